"""What `dina compare` does: put several finished runs into one table and one figure."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dina.cli.process import set_threads


def carry_out_comparison(runs: Sequence[Path], out: Path | None, reference: str | None, mixed: bool, threads: int | None) -> None:
    """Compare, print, and write for papers; see ``dina compare --help`` for the arguments.

    Raises
    ------
    DataError
        If a run is not finished, or the runs cannot be compared.
    """
    set_threads(threads)
    # imported here: threads must be set before numpy and torch are loaded
    from dina.report.comparison_of_runs import comparison_remarks, comparison_table, write_comparison
    from dina.study.compared_runs import compare_runs

    comparison = compare_runs(runs, reference, mixed=mixed)
    found = comparison_table(comparison)
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160, highlight=False)
    table = Table(title=found.caption, title_justify="left")
    for number, heading in enumerate(found.columns):
        table.add_column(heading.replace(", ", "\n"), justify="left" if number < found.n_words else "right")
    for row in found.rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for line in comparison_remarks(comparison):
        console.print(Text(line, style="dim"), soft_wrap=True)
    if out is not None:
        print("Written: " + ", ".join(str(path) for path in write_comparison(comparison, out)))
