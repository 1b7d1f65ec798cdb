"""The table of verdicts that `dina verdict` prints: each claim, the answer for each run, and why."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from dina.analyses.verdict import Verdict

STYLES = {"supported": "green", "not supported": "red", "cannot tell": "dim"}


def print_verdicts(judged: "Mapping[str, Mapping[str, Verdict]]") -> None:
    """Print the answers to standard output, one column for each run, with the reasons below.

    Parameters
    ----------
    judged
        Run → claim → verdict.
    """
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table(title="Which claims do the findings support?", title_justify="left")
    table.add_column("claim")
    for run in judged:
        table.add_column(Text(run))
    claims = next(iter(judged.values()), {})
    for name, verdict in claims.items():
        answers = [verdicts[name].verdict for verdicts in judged.values()]
        table.add_row(Text(verdict.claim), *(Text(answer, style=STYLES[answer]) for answer in answers))
    console.print(table)
    for run, verdicts in judged.items():
        for name, verdict in verdicts.items():
            console.print(Text(f"{run}, {name}: {verdict.reason}", style="dim"), soft_wrap=True)
    console.print(Text("The rules are written down in docs/verdicts.md.", style="dim"))
