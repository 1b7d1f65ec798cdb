"""What `dina joint` does: open several recordings, study them together, write the page and print the table."""

import logging
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dina.checks import DataError
from dina.cli.process import choose_device, set_threads

log = logging.getLogger("dina.cli")


def carry_out_joint(
    words: Sequence[str],
    study_file: Path | None,
    preset: str | None,
    overrides: Sequence[str],
    out: Path | None,
    seed: int | None,
    device: str,
    threads: int | None,
    force: bool,
    images: Path | None,
) -> None:
    """Study recordings together, report and print; see ``dina joint --help`` for the arguments.

    Raises
    ------
    DataError
        If a recording cannot be opened, or they cannot be studied together.
    """
    began = time.monotonic()
    n_threads = set_threads(threads)
    # imported here: threads must be set before numpy and torch are loaded
    from dina.report import write_report
    from dina.study.joint import run_joint_study
    from dina.study.joint_settings import read_joint_settings

    changes = [*overrides, *([f'preset="{preset}"'] if preset else []), *([f"seed={seed}"] if seed is not None else [])]
    settings = read_joint_settings(study_file, changes)
    opened = [open_member(word, images, settings.seed) for word in words]
    run = out or Path("runs") / f"joint-{settings.preset}-seed{settings.seed}"
    summary = run_joint_study(opened, settings, run, choose_device(device), n_threads, force=force)
    page = write_report(run)
    _print_table(summary)
    if summary["animals_from_names"]:
        print(summary["animals_from_names"])
    print(f"Report: {page}   Numbers: {run / 'summary.json'}")
    log.info("Done in %.0f s.", time.monotonic() - began)


def open_member(word: str, images: Path | None, seed: int) -> Any:
    """Open one of several recordings; ``demo:2`` is another mouse that sees the images of the simulated session demo.

    Parameters
    ----------
    word
        As in `dina.cli.sessions.open_recording`, or the name of a simulated session, a colon and the number of a mouse.
    images
        Where the images are, if not beside the recording.
    seed
        Of the simulation.

    Raises
    ------
    DataError
        If there is no such recording.
    """
    # imported here: see above
    from dina.cli.sessions import open_recording
    from dina.recordings.simulator import NAMED_SESSIONS, simulate

    match = re.fullmatch(r"(\w+):(\d+)", word)
    if match and match[1] in NAMED_SESSIONS and not Path(word).exists():
        log.info("Simulating the session %s, mouse %s …", match[1], match[2])
        return simulate(match[1], seed=seed, mouse=int(match[2]))
    try:
        return open_recording(word, images, seed)
    except DataError as error:
        raise DataError(f"{word}: {error}") from error


def _print_table(summary: dict[str, Any]) -> None:
    """Print what every recording gains, and the mean over mice."""
    from rich.console import Console  # imported here: only commands that print need it
    from rich.table import Table

    table = Table(title=f"{len(summary['recordings'])} recordings, preset {summary['preset']}, top-1 from averaged responses")
    for number, heading in enumerate(("recording", "together", "alone", "gain", "95 % interval")):
        table.add_column(heading, justify="left" if number == 0 else "right", overflow="fold")
    rows = [(each["name"], each["findings"]) for each in summary["recordings"]]
    for name, findings in [*rows, ("mean over mice", summary["over_mice"])]:
        known = {finding["name"]: finding for finding in findings}
        gain = known["gain_joint"]
        ends = "–" if gain["low"] is None else f"{100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}"
        values = [f"{100 * known[key]['value']:.1f} %" for key in ("top1_joint", "top1_alone")]
        table.add_row(name, *values, f"{100 * gain['value']:+.1f}", ends)
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110, highlight=False).print(table)
