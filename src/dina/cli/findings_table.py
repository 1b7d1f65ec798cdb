"""The table of findings that `dina interpret` prints: each statistic beside its interval and its null."""

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dina.statistics.finding import Finding

if TYPE_CHECKING:
    from dina.study.analysis_record import AnalysisRecord


def print_findings(found: "Mapping[str, AnalysisRecord]") -> None:
    """Print what each analysis found to standard output; those that could not be carried out say why."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table(title="What was found, with 95 % interval and the 95 % range of its null", title_justify="left")
    table.add_column("analysis")
    table.add_column("statistic")
    for words in ("value", "interval", "null", "n"):
        table.add_column(words, justify="right")
    for analysis, one in found.items():
        for number, finding in enumerate(one.findings):
            table.add_row(Text(analysis if number == 0 else ""), *_cells(finding))
        table.add_section()
    console.print(table)
    for analysis, one in found.items():
        reasons = [one.reason] if one.reason else list(dict.fromkeys(f.reason for f in one.findings if f.reason))
        for reason in reasons:
            console.print(Text(f"– {analysis}: {reason}", style="dim"), soft_wrap=True)


def _cells(finding: Finding) -> tuple[Text, str, str, str, str]:
    units = "" if finding.units == "1" else f" ({finding.units})"
    mark = " *" if finding.beats_null else ""
    return (
        Text(f"{finding.name}{units}"),
        f"{_words(finding.value)}{mark}",
        _range(finding.low, finding.high),
        _range(finding.null_low, finding.null_high),
        f"{finding.n:,}",
    )


def _range(low: float, high: float) -> str:
    return "–" if math.isnan(low) and math.isnan(high) else f"{_words(low)} … {_words(high)}"


def _words(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "–"
