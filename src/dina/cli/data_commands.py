"""What `dina simulate` and `dina fetch` do."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from dina.checks import DataError, check_choice
from dina.cli.process import set_threads

log = logging.getLogger("dina.cli")


def carry_out_simulation(
    session: str, out: Path, condition: str | None, overrides: Sequence[str], seed: int | None, threads: int | None, force: bool
) -> None:
    """Simulate a session and write it; see ``dina simulate --help`` for the arguments.

    Raises
    ------
    DataError
        If the name of the file is of no known format, or something is there already.
    """
    if out.suffix not in (".nc", ".zarr"):
        raise DataError(f"A recording is written as FILE.nc or FOLDER.zarr; got {out}. Change the ending of --out.")
    if out.exists() and (out.suffix == ".zarr" or not force):
        remedy = "Choose another --out." if out.suffix == ".zarr" else "Choose another --out, or replace it with --force."
        raise DataError(f"{out} already exists. {remedy}")
    set_threads(threads)
    # imported here: threads must be set before numpy and torch are loaded
    from dina.recordings.simulator import simulate
    from dina.study.settings_file import apply_overrides

    changes = apply_overrides({}, overrides)
    log.info("Simulating the session %s …", session)
    recording = simulate(session, seed or 0, settings=changes, condition=cast(Any, condition))
    recording.write(out)
    counts = recording.repeats_per_stimulus()
    print(
        f"{out}: {recording.name}, {recording.n_neurons} neurons, {recording.n_stimuli} images"
        f" shown {counts.min()} to {counts.max()} times, {out.stat().st_size / 1e6:.0f} MB."
    )


def carry_out_fetch(source: str | None, names: Sequence[str]) -> None:
    """Fetch recordings into the cache and print where they lie; without names list what a source has, without one the sources."""
    from dina.recordings.formats import FORMATS  # imported here: `dina --help` stays quick

    deposits = {name: known.deposit for name, known in FORMATS.items() if known.deposit is not None}
    if source is None:
        print(*deposits, sep="\n")
        return
    deposit = deposits[check_choice("source", source, deposits)]
    print(*(deposit.fetch(names) if names else deposit.list_recordings()), sep="\n")
