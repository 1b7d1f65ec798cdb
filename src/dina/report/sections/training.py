"""What contrastive training did: its curves, the epochs done, and accuracy before and after."""

from typing import Any

import numpy as np

from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import interval, number, percent
from dina.report.figures import draw_training
from dina.report.read_run import Run
from dina.report.sections.accuracy import QUERIES

MAX_ROWS = 24


def training(run: Run) -> Section:
    """Show training curves with epochs done of the budget, and accuracy before and after."""
    told = run.summary.get("training")
    facts: dict[str, Any] = told if isinstance(told, dict) else {}
    tables = _before_and_after(run)
    if not run.history:
        missing = (f"There are no training curves: {facts.get('reason') or 'nothing was trained in this run.'}",)
        return Section("training", "Training", tables=tables, missing=missing)
    figures = _curves(run, facts)
    return Section("training", "Training", paragraphs=[_budget(facts, run.history)], figures=figures, tables=tables)


def _curves(run: Run, facts: dict[str, Any]) -> list[FigurePart]:
    epoch = _epochs(run.history)
    losses = {_words(name): values for name, values in run.history.items() if "loss" in name}
    accuracies = {_words(name): values for name, values in run.history.items() if "top1" in name}
    if not losses and not accuracies:
        return []
    n_validation = run.summary.get("split", {}).get("n_validation")
    chance = 1 / n_validation if isinstance(n_validation, int) and n_validation > 0 else None
    chosen = facts.get("chosen_epoch")
    of = f" among the {n_validation:,} validation images (chance {percent(chance)})" if chance is not None else ""
    return [
        FigurePart(
            "training",
            draw_training(epoch, losses, accuracies, chance, chosen if isinstance(chosen, int) else None),
            f"Training curves up to epoch {int(epoch[-1])}. Accuracy is top-1{of}. Validation decides which epoch is kept; the test"
            " images take no part.",
            f"Loss and validation accuracy up to epoch {int(epoch[-1])}; the numbers are in the table.",
            _history_table(run, epoch),
        )
    ]


def _before_and_after(run: Run) -> list[Table]:
    before = {
        row.queries: row for row in run.rows if row.decoder == "dina_before_training" and row.direction == "image_from_response"
    }
    rows = []
    for queries, words in QUERIES.items():
        for name, row in (
            ("before", before.get(queries)),
            ("after", next((r for r in run.select(queries) if r.decoder == "dina"), None)),
        ):
            if row is not None and queries in before:
                rows.append(
                    (
                        name + " contrastive training",
                        words,
                        percent(row.top1),
                        interval(row.top1_low, row.top1_high),
                        percent(row.chance_top1),
                        number(row.n_gallery),
                    )
                )
    columns = ("dina", "queries", "top-1", "95\u202f% interval", "chance", "gallery size")
    return [Table("Test accuracy before and after contrastive training.", columns, tuple(rows), n_words=2)] if rows else []


def _budget(facts: dict[str, Any], history: dict[str, np.ndarray]) -> str:
    """Say how many epochs were done of how many allowed, why training ended, and which epoch was kept."""
    done, budget, chosen = (facts.get(key) for key in ("epochs_done", "epochs_budget", "chosen_epoch"))
    sentences = [
        f"{int(_epochs(history)[-1]) if done is None else done} epochs were trained"
        + (f" of a budget of {budget}." if budget is not None else ".")
    ]
    if facts.get("stop_reason"):
        sentences.append(str(facts["stop_reason"]))
    if chosen is not None:
        sentences.append(
            f"The towers of epoch {chosen} were kept" + (": those from before any training." if chosen == 0 else ".")
        )
    return " ".join(sentences)


def _epochs(history: dict[str, np.ndarray]) -> np.ndarray:
    return history.get("epoch", np.arange(1.0, 1 + len(next(iter(history.values())))))


def _history_table(run: Run, epoch: np.ndarray) -> Table:
    """Return at most `MAX_ROWS` epochs, evenly spaced, the last always among them."""
    places = np.unique(np.linspace(0, len(epoch) - 1, min(MAX_ROWS, len(epoch))).round().astype(int))
    names = [name for name in run.history if name != "epoch"]
    rows = tuple((number(float(epoch[i])), *(number(float(run.history[name][i]), 4) for name in names)) for i in places)
    few = " (evenly spaced; all are in history.csv)" if len(places) < len(epoch) else ""
    return Table(
        f"Training history{few}; accuracies are fractions, losses in nats.", ("epoch", *map(_words, names)), rows, n_words=0
    )


def _words(name: str) -> str:
    return name.replace("_", " ").replace("top1", "top-1")
