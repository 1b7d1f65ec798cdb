"""The tables that commands print: decoders of a run, recordings together, findings, verdicts, and tables of the report."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dina.figures.style import MARKS, QUERIES, REMARKS

if TYPE_CHECKING:
    from dina.analyses.verdict import Verdict
    from dina.figures.parts import Table as ReportTable
    from dina.retrieval.evaluate import DecodingRow
    from dina.statistics.finding import Finding
    from dina.study.run_directory import AnalysisRecord, Run

STYLES = {"supported": "green", "not supported": "red", "cannot tell": "dim"}


def print_run(run: "Run") -> None:
    """Print the table of a finished study to standard output: its decoders or, of several recordings, what each gains.

    Numbers that could not be computed show as "–", with the reasons below the table.
    """
    if run.has_several_recordings:
        _print_together(run.summary)
        return
    rows = [row for row in run.rows if row.direction == "image_from_response"]
    console = _console(110)
    recording, split = run.summary["recording"], run.summary["split"]
    simulated = ", simulated" if recording.get("is_simulated") else ""
    headline = (
        f"{recording['name']}{simulated}: {recording['n_neurons']} neurons, {recording['n_stimuli']} images;"
        f" {split['n_train']} to learn from, {split['n_validation']} to choose by, {split['n_test']} to test."
    )
    console.print(Text(headline))
    console.print(_decoders(rows))
    _print_remarks(console, _remarks(rows))
    for warning in run.summary.get("warnings", []):
        console.print(Text(f"Attention: {warning}", style="bold"), soft_wrap=True)


def print_report_table(table: "ReportTable", remarks: Iterable[str], style: str = "dim") -> None:
    """Print a table that the report shows, too, with remarks below it."""
    console = _console(160)
    shown = Table(title=table.caption, title_justify="left")
    for number, heading in enumerate(table.columns):
        shown.add_column(heading.replace(", ", "\n"), justify="left" if number < table.n_words else "right")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    console.print(shown)
    _print_remarks(console, remarks, style)


def print_findings(found: "Mapping[str, AnalysisRecord]") -> None:
    """Print what each analysis found to standard output; those that could not be carried out say why."""
    console = _console(120)
    table = Table(
        "analysis", "statistic", title="Findings, with 95 % interval and the 95 % range of the null", title_justify="left"
    )
    for words in ("value", "interval", "null", "n"):
        table.add_column(words, justify="right")
    for analysis, one in found.items():
        for number, finding in enumerate(one.findings):
            table.add_row(Text(analysis if number == 0 else ""), *_finding_cells(finding))
        table.add_section()
    console.print(table)
    for analysis, one in found.items():
        reasons = [one.reason] if one.reason else list(dict.fromkeys(f.reason for f in one.findings if f.reason))
        _print_remarks(console, [f"– {analysis}: {reason}" for reason in reasons])


def print_verdicts(judged: "Mapping[str, Mapping[str, Verdict]]") -> None:
    """Print the answers (run → claim → verdict) to standard output, one column for each run, with the reasons below."""
    console = _console(120)
    table = Table("claim", title="Which claims do the findings support?", title_justify="left")
    for run in judged:
        table.add_column(Text(run))
    for name, verdict in next(iter(judged.values()), {}).items():
        answers = [verdicts[name].verdict for verdicts in judged.values()]
        table.add_row(Text(verdict.claim), *(Text(answer, style=STYLES[answer]) for answer in answers))
    console.print(table)
    reasons = [f"{run}, {name}: {one.reason}" for run, verdicts in judged.items() for name, one in verdicts.items()]
    _print_remarks(console, [*reasons, "The rules are written down in docs/verdicts.md."])


def _console(width: int) -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else width, highlight=False)


def _print_remarks(console: Console, lines: Iterable[str], style: str = "dim") -> None:
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)


def _decoders(rows: "Sequence[DecodingRow]") -> Table:
    table = Table(title="Which image was shown? Accuracy in %, with 95 % interval", title_justify="left", caption_justify="left")
    table.add_column("decoder")
    for words in QUERIES.values():
        table.add_column(f"{words}\ntop-1", justify="right")
        table.add_column("\ntop-5", justify="right")
    table.add_column("\ngallery", justify="right")
    for decoder in dict.fromkeys(row.decoder for row in rows):
        known = {row.queries: row for row in rows if row.decoder == decoder}
        cells = [cell for queries in QUERIES for cell in _accuracies(known.get(queries))]
        galleries = dict.fromkeys(str(row.n_gallery) for row in known.values() if row.n_gallery)
        table.add_row(Text(_name(next(iter(known.values())))), *cells, " / ".join(galleries) or "–")
    table.add_section()
    chance = [next((row for row in rows if row.queries == queries and row.chance_top1 is not None), None) for queries in QUERIES]
    levels = [level for row in chance for level in ((None, None) if row is None else (row.chance_top1, row.chance_top5))]
    table.add_row("chance", *(_percent(level, 2) for level in levels), "", style="dim")
    return table


def _name(row: "DecodingRow") -> str:
    epochs = "" if row.epochs_done is None else f", {row.epochs_done} of {row.epochs_budget} epochs"
    preset = f" ({row.preset}{epochs})" if row.preset else ""
    return f"{row.decoder}{preset}{MARKS.get(row.reads, '')}"


def _accuracies(row: "DecodingRow | None") -> tuple[str, str]:
    if row is None or row.top1 is None:
        return "–", "–"
    known = row.top1_low is not None and row.top1_high is not None
    interval = f" [{_percent(row.top1_low)}, {_percent(row.top1_high)}]" if known else ""
    return _percent(row.top1) + interval, _percent(row.top5)


def _percent(fraction: float | None, digits: int = 1) -> str:
    return "–" if fraction is None else f"{100 * fraction:.{digits}f}"


def _remarks(rows: "Sequence[DecodingRow]") -> list[str]:
    """List what marks mean and why numbers are missing, each reason once with the decoders it concerns."""
    reads = {row.reads for row in rows}
    missing: dict[str, list[str]] = {}
    for row in rows:
        if row.top1 is None and row.reason:
            missing.setdefault(row.reason, []).append(f"{row.decoder}, {QUERIES[row.queries]}")
    marks = [remark for kind, remark in REMARKS.items() if kind in reads]
    return marks + [f"– {'; '.join(names)}: {reason}" for reason, names in missing.items()]


def _print_together(summary: Mapping[str, Any]) -> None:
    """Print what every recording gains, and the mean over mice."""
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
    _console(110).print(table)
    if summary["animals_from_names"]:
        print(summary["animals_from_names"])


def _finding_cells(finding: "Finding") -> tuple[Text, str, str, str, str]:
    units = "" if finding.units == "1" else f" ({finding.units})"
    mark = " *" if finding.beats_null else ""
    ranges = (_range(finding.low, finding.high), _range(finding.null_low, finding.null_high))
    return Text(f"{finding.name}{units}"), f"{_words(finding.value)}{mark}", *ranges, f"{finding.n:,}"


def _range(low: float, high: float) -> str:
    return "–" if math.isnan(low) and math.isnan(high) else f"{_words(low)} … {_words(high)}"


def _words(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "–"
