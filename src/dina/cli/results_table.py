"""The table of decoders that a study prints: accuracies beside chance, intervals and gallery size."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

QUERIES = {"averaged": "averaged responses", "single_trial": "single trials"}
DIRECTION = "image_from_response"


def print_results(summary: Mapping[str, Any]) -> None:
    """Print the accuracies of a study's ``summary.json`` to standard output, image from response.

    Numbers that could not be computed show as "–", with the reasons below the table.
    """
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110, highlight=False)
    rows = [row for row in summary["decoding"] if row["direction"] == DIRECTION]
    console.print(_headline(summary))
    console.print(_table(rows))
    for line in _remarks(summary, rows):
        console.print(Text(line, style="dim"), soft_wrap=True)
    for warning in summary.get("warnings", []):
        console.print(Text(f"Attention: {warning}", style="bold"), soft_wrap=True)


def _headline(summary: Mapping[str, Any]) -> Text:
    recording, split = summary["recording"], summary["split"]
    simulated = ", simulated" if recording.get("is_simulated") else ""
    return Text(
        f"{recording['name']}{simulated}: {recording['n_neurons']} neurons, {recording['n_stimuli']} images;"
        f" {split['n_train']} to learn from, {split['n_validation']} to choose by, {split['n_test']} to test."
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Which image was shown? Accuracy in %, with 95 % interval", title_justify="left", caption_justify="left")
    table.add_column("decoder")
    for words in QUERIES.values():
        table.add_column(f"{words}\ntop-1", justify="right")
        table.add_column("\ntop-5", justify="right")
    table.add_column("\ngallery", justify="right")
    for decoder in dict.fromkeys(row["decoder"] for row in rows):
        own = {row["queries"]: row for row in rows if row["decoder"] == decoder}
        cells = [cell for queries in QUERIES for cell in _cells(own.get(queries, {}))]
        galleries = dict.fromkeys(str(row["n_gallery"]) for row in own.values() if row["n_gallery"])
        table.add_row(Text(_name(next(iter(own.values())))), *cells, " / ".join(galleries) or "–")
    chance = [_chance_cells(rows, queries) for queries in QUERIES]
    table.add_section()
    table.add_row("chance", *(cell for pair in chance for cell in pair), "", style="dim")
    return table


def _name(row: Mapping[str, Any]) -> str:
    preset, done, budget = row.get("preset"), row.get("epochs_done"), row.get("epochs_budget")
    epochs = "" if done is None else f", {done} of {budget} epochs"
    mark = {"templates": " †", "truth": " ‡", "queries": " §"}.get(str(row.get("reads")), "")
    return f"{row['decoder']} ({preset}{epochs}){mark}" if preset else f"{row['decoder']}{mark}"


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    if row.get("top1") is None:
        return "–", "–"
    low, high = row.get("top1_low"), row.get("top1_high")
    interval = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    top5 = row.get("top5")
    return f"{100 * row['top1']:.1f}{interval}", "–" if top5 is None else f"{100 * top5:.1f}"


def _chance_cells(rows: Sequence[Mapping[str, Any]], queries: str) -> tuple[str, str]:
    found = next((row for row in rows if row["queries"] == queries and row.get("chance_top1") is not None), None)
    if found is None:
        return "–", "–"
    top5 = found.get("chance_top5")
    return f"{100 * found['chance_top1']:.2f}", "–" if top5 is None else f"{100 * top5:.2f}"


def _remarks(summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """List what marks mean and why numbers are missing, each reason once with the decoders it concerns."""
    lines = []
    reads = {row.get("reads") for row in rows}
    if "templates" in reads:
        lines.append("† reads responses to the very images of the gallery: a reference level, not a rival.")
    if "truth" in reads:
        lines.append("‡ knows the simulation: the bound for its family.")
    if "queries" in reads:
        lines.append("§ corrects scores with the help of all other queries: no decoder of one response.")
    missing: dict[str, list[str]] = {}
    for row in rows:
        if row.get("top1") is None and row.get("reason"):
            missing.setdefault(str(row["reason"]), []).append(f"{row['decoder']}, {QUERIES[row['queries']]}")
    return lines + [f"– {'; '.join(who)}: {reason}" for reason, who in missing.items()]
