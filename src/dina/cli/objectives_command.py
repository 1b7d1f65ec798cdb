"""What `dina objectives` does: train the same towers with every objective, compare, answer, and write for papers."""

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dina.cli.process import choose_device, set_threads
from dina.cli.sessions import open_recording

log = logging.getLogger("dina.cli")


def carry_out_objectives(
    recording: str,
    names: Sequence[str],
    seeds: Sequence[int],
    epochs: int | None,
    overrides: Sequence[str],
    out: Path | None,
    device: str,
    threads: int | None,
    force: bool,
    images: Path | None,
) -> None:
    """Train, measure, print and write; see ``dina objectives --help`` for the arguments.

    Raises
    ------
    DataError
        If an objective is unknown, or none can be trained on this recording.
    """
    began = time.monotonic()
    n_threads = set_threads(threads)
    # imported here: threads must be set before numpy and torch are loaded
    from dina.analyses.objectives.page import ObjectivesReport, objectives_remarks, objectives_table, write_objectives
    from dina.study.objectives_study import study_objectives
    from dina.study.unfinished_run import safe_name

    opened = open_recording(recording, images, seeds[0])
    folder = out or Path("runs") / f"{safe_name(opened.name)}-objectives"
    found = study_objectives(
        opened, folder, names or None, seeds, epochs, choose_device(device), n_threads, overrides, force=force
    )
    report = ObjectivesReport(opened.name, found.comparison, found.learning, found.reasons)
    shown = objectives_table(found.comparison.findings)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160, highlight=False)
    table = Table(title=shown.caption, title_justify="left")
    for number, heading in enumerate(shown.columns):
        table.add_column(heading, justify="left" if number < shown.n_words else "right")
    for row in shown.rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for line in objectives_remarks(report):
        console.print(Text(line), soft_wrap=True)
    print("Written: " + ", ".join(str(path) for path in write_objectives(report, folder)))
    log.info("Done in %.0f s.", time.monotonic() - began)
