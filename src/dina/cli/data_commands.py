"""What `dina simulate` and `dina fetch` do."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from dina.checks import DataError, check_choice
from dina.cli.process import set_threads

log = logging.getLogger("dina.cli")

SOURCES = ("stringer2018",)


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


def carry_out_fetch(source: str, names: Sequence[str]) -> None:
    """Fetch files of a deposit into the cache and print where they lie; without names list what can be fetched."""
    check_choice("source", source, SOURCES)
    from dina.recordings.stringer2018_deposit import (
        fetch_stringer2018,
        list_stringer2018,
    )  # imported here: `dina --help` stays quick

    if not names:
        for line in list_stringer2018():
            print(line)
        return
    for path in fetch_stringer2018(names):
        print(path)
