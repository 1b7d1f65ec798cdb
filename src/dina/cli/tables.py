"""The tables that commands print: decoders of a run, recordings together, findings, verdicts, and the facts of `dina doctor`."""

import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from dina.cli.hardware import choose_device
from dina.figures.style import MARKS, QUERIES, REMARKS
from dina.recordings.download import data_folder
from dina.safe_words import one_line, printable, say
from dina.study.environment import describe_environment
from dina.study.needs import estimate_needs
from dina.study.shown_once import as_shown
from dina.study.this_machine import measure_gigaflops, memory_gb

if TYPE_CHECKING:
    from dina.analyses.verdict import Verdict
    from dina.figures.parts import Table as ReportTable
    from dina.retrieval.evaluate import DecodingRow
    from dina.statistics.finding import Finding
    from dina.study.run_directory import AnalysisRecord, Run
    from dina.study.verify import Verified

_LARGE = (10_000, 2_800, 68 * 270, 5_600)  # neurons, images, pixels of each, trials
STYLES = {"supported": "green", "not supported": "red", "cannot tell": "dim"}


def print_run(run: "Run") -> None:
    """Print the table of a finished study to standard output: its decoders or, of several recordings, what each gains.

    Numbers that could not be computed show as "–", with the reasons below the table.
    """
    if run.has_several_recordings:
        _print_together(run.summary)
        return
    rows = [row for row in as_shown(run).rows if row.direction == "image_from_response"]
    console = _console(110)
    recording, split = run.summary["recording"], run.summary["split"]
    simulated = ", simulated" if recording.get("is_simulated") else ""
    folds = f" in each of {len(run.folds)} folds, all" if run.folds else ""
    headline = (
        f"{recording['name']}{simulated}: {recording['n_neurons']} neurons, {recording['n_stimuli']} images;"
        f" {split['n_train']} to learn from, {split['n_validation']} to choose by{folds or ','} {split['n_test']} to test."
    )
    console.print(_text(headline), soft_wrap=True)
    console.print(_decoders(rows))
    _print_remarks(console, _remarks(rows))
    for warning in run.summary.get("warnings", []):
        console.print(_text(f"Attention: {warning}", style="bold"), soft_wrap=True)


def print_report_table(table: "ReportTable", remarks: Iterable[str], style: str = "dim") -> None:
    """Print a table that the report shows, too, with remarks below it."""
    console = _console(160)
    shown = Table(title=_text(table.caption), title_justify="left")
    for number, heading in enumerate(table.columns):
        shown.add_column(Text(one_line(heading).replace(", ", "\n")), justify="left" if number < table.n_words else "right")
    for row in table.rows:
        shown.add_row(*map(_text, row))
    console.print(shown)
    _print_remarks(console, remarks, style)


def print_findings(found: "Mapping[str, AnalysisRecord]") -> None:
    """Print what each analysis found to standard output; those that could not be carried out say why."""
    console = _console(120)
    table = Table(
        "analysis",
        "statistic",
        title="Findings, with 95 % interval and the 95 % range of the null; accuracies and shares are fractions of 1",
        title_justify="left",
    )
    for words in ("value", "interval", "null", "n"):
        table.add_column(words, justify="right")
    for analysis, one in found.items():
        for number, finding in enumerate(one.findings):
            table.add_row(_text(analysis if number == 0 else ""), *_finding_cells(finding))
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
        table.add_column(_text(run))
    claims = {name: verdict.claim for verdicts in judged.values() for name, verdict in verdicts.items()}
    for name, claim in claims.items():  # claims of a user's own are in some runs only
        answers = [verdicts[name].verdict if name in verdicts else "" for verdicts in judged.values()]
        table.add_row(_text(claim), *(_text(answer or "–", style=STYLES.get(answer, "")) for answer in answers))
    console.print(table)
    reasons = [
        f"{run}: {one.claim} {one.verdict.capitalize()}: {one.reason}"
        for run, verdicts in judged.items()
        for one in verdicts.values()
    ]
    _print_remarks(console, [*reasons, "The rules are written down in docs/verdicts.md."])


class _PlainConsole(Console):
    """A console that prints words as `dina.safe_words.printable` gives them, and styles of its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def _console(width: int) -> Console:
    return _PlainConsole(file=sys.stdout, width=None if sys.stdout.isatty() else width, highlight=False)


def _text(words: str, style: str = "") -> Text:
    """Return words on one line, in which nothing is markup."""
    return Text(one_line(words), style=style)


def _print_remarks(console: Console, lines: Iterable[str], style: str = "dim") -> None:
    for line in lines:
        console.print(_text(line, style=style), soft_wrap=True)


def _decoders(rows: "Sequence[DecodingRow]") -> Table:
    table = Table(title="Which image was shown? Accuracy in %, with 95 % interval", title_justify="left", caption_justify="left")
    table.add_column("decoder")
    kinds = [kind for kind in QUERIES if any(row.queries == kind and row.top1 is not None for row in rows)] or list(QUERIES)[:1]
    for words in (QUERIES[kind] for kind in kinds):
        table.add_column(f"{words}\ntop-1", justify="right")
        table.add_column("\ntop-5", justify="right")
    table.add_column("\ngallery", justify="right")
    for decoder in dict.fromkeys(row.decoder for row in rows):
        known = {row.queries: row for row in rows if row.decoder == decoder}
        cells = [cell for kind in kinds for cell in _accuracies(known.get(kind))]
        galleries = dict.fromkeys(str(row.n_gallery) for row in known.values() if row.n_gallery)
        table.add_row(_text(_name(next(iter(known.values())))), *cells, " / ".join(galleries) or "–")
    table.add_section()
    chance = [next((row for row in rows if row.queries == kind and row.chance_top1 is not None), None) for kind in kinds]
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
    """Print what every recording gains, and the mean over animals."""
    title = f"{len(summary['recordings'])} recordings, preset {summary['preset']}, top-1 from averaged responses"
    table = Table(title=_text(title))
    for number, heading in enumerate(("recording", "together", "alone", "gain", "95 % interval")):
        table.add_column(heading, justify="left" if number == 0 else "right", overflow="fold")
    rows = [(each["name"], each["findings"]) for each in summary["recordings"]]
    for name, findings in [*rows, ("mean over animals", summary["over_mice"])]:
        known = {finding["name"]: finding for finding in findings}
        gain = known["gain_joint"]
        ends = "–" if gain["low"] is None else f"{100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}".replace("-", "−")
        values = [f"{100 * known[key]['value']:.1f} %" for key in ("top1_joint", "top1_alone")]
        table.add_row(name, *values, f"{100 * gain['value']:+.1f}".replace("-", "−"), ends)
    _console(110).print(table)
    if summary["animals_from_names"]:
        say(summary["animals_from_names"])


def _finding_cells(finding: "Finding") -> tuple[Text, str, str, str, str]:
    units = "" if finding.units == "1" else f" ({finding.units})"
    mark = " *" if finding.beats_null else ""
    ranges = (_range(finding.low, finding.high), _range(finding.null_low, finding.null_high))
    return _text(f"{finding.name}{units}"), f"{_words(finding.value)}{mark}", *ranges, f"{finding.n:,}"


def _range(low: float, high: float) -> str:
    return "–" if math.isnan(low) and math.isnan(high) else f"{_words(low)} … {_words(high)}"


def _words(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "–"


def print_verified(run: Path, verified: "Verified") -> None:
    """Print what was verified of a run to standard output."""
    say(f"{run}: {verified.n_files} files are as they were written.")
    if verified.strangers:
        say(f"Not of the run, and not read: {', '.join(verified.strangers)}.")
    table = Table(title="Top-1 accuracy in %", title_justify="left")
    for number, heading in enumerate(("decoder", "queries", "computed again from", "stated", "computed")):
        table.add_column(heading, justify="left" if number < 3 else "right")
    for source, numbers in (("its scores", verified.from_scores), ("its model and the recording", verified.from_model)):
        for one in numbers:
            name = one.decoder if one.run == run else f"{one.run.name}: {one.decoder}"
            mark = "" if one.is_same else " differs"
            cells = (_percent(one.stated, 2), _percent(one.computed, 2) + mark)
            table.add_row(_text(name), QUERIES[one.queries], source, *cells)
    _console(110).print(table)


def print_doctor(n_threads: int) -> None:
    """Print versions, threads, device, memory, cache and speed to standard output, and what to do about the bad ones."""
    device = choose_device("auto")
    advice: list[str] = []
    facts = {name: str(value) for name, value in describe_environment(device, n_threads).items()} | {"cores": str(os.cpu_count())}
    total, free = memory_gb()
    facts["memory"] = "unknown" if total is None else f"{free:.1f} GB free of {total:.1f} GB"
    facts |= _cache_facts(advice)
    facts["here"] = f"{Path.cwd()} ({_writable(Path.cwd(), advice)}, {shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB free)"
    facts["speed"] = f"{_gigaflops('cpu'):.0f} GFLOP/s (float32 matrix product, cpu)"
    if device == "cuda":
        facts["speed, cuda"] = f"{_gigaflops('cuda'):.0f} GFLOP/s"
    needs, speed = estimate_needs(*_LARGE), measure_gigaflops()
    facts["a large study"] = f"{needs.words(n_threads, speed)}, for 10,000 neurons and 2,800 images of 68 x 270"
    if free is not None and free < needs.memory_gb:
        advice.append(f"A study of a large recording needs {needs.memory_gb:.0f} GB of free memory; {free:.1f} GB are free.")
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name, _text(value))
    console = _console(110)
    console.print(table)
    _print_remarks(console, advice or ["All is well."], style="")


def _cache_facts(advice: list[str]) -> dict[str, str]:
    folder = data_folder("stringer2018").parent
    if not folder.is_dir():
        return {"cache": f"{folder} (not made yet; `dina fetch` makes it)"}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"cache": f"{folder} ({_writable(folder, advice)}, holds {size / 1e9:.2f} GB)"}


def _writable(folder: Path, advice: list[str]) -> str:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return "writable"
    except OSError:
        advice.append(f"{folder} is not writable; runs and downloads need a folder that is.")
        return "not writable"


def _gigaflops(device: str) -> float:
    """Time products of two 1024 × 1024 matrices for a quarter of a second."""
    a = torch.ones(1024, 1024, device=device)
    b = a @ a
    n, began = 0, time.perf_counter()
    while time.perf_counter() - began < 0.25:
        b = a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        n += 1
    del b
    return n * 2 * 1024**3 / (time.perf_counter() - began) / 1e9
