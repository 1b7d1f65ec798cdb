"""What contrastive training did: its curves, the epochs done, and accuracy before and after."""

import numpy as np

from dina.report.figures import draw_training
from dina.report.parts import FigurePart, Section, Table
from dina.report.read_run import Run
from dina.report.sections.accuracy import QUERIES
from dina.report.words import interval, number, percent

MAX_ROWS = 24


def training(run: Run) -> Section:
    """Show training curves with epochs done of the budget, and accuracy before and after."""
    tables = _before_and_after(run)
    if not run.history:
        reason = run.summary.get("training", {}).get("reason") if isinstance(run.summary.get("training"), dict) else None
        return Section(
            "training",
            "Training",
            tables=tables,
            missing=(f"There are no training curves: {reason or 'nothing was trained in this run.'}",),
        )
    epoch = run.history.get("epoch", np.arange(1, 1 + len(next(iter(run.history.values())))).astype(float))
    losses = {_words(name): values for name, values in run.history.items() if "loss" in name}
    accuracies = {_words(name): values for name, values in run.history.items() if "top" in name or "accuracy" in name}
    n_validation = run.summary.get("split", {}).get("n_validation")
    chance = 1 / n_validation if isinstance(n_validation, int) and n_validation > 0 else None
    chosen = _chosen_epoch(run, epoch, accuracies)
    figures = []
    if losses or accuracies:
        of = f" among {n_validation} validation images" if chance is not None else ""
        figures.append(
            FigurePart(
                "training",
                draw_training(epoch, losses, accuracies, chance, chosen),
                f"Training curves over {len(epoch)} epochs. Accuracy is measured{of} and decides which epoch is kept; the test images take no part.",
                f"Loss and validation accuracy over {len(epoch)} epochs; the numbers are in the table.",
                _history_table(run, epoch),
            )
        )
    return Section("training", "Training", paragraphs=_budget(run, epoch, chosen), figures=figures, tables=tables)


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


def _budget(run: Run, epoch: np.ndarray, chosen: int | None) -> list[str]:
    facts = run.summary.get("training")
    facts = facts if isinstance(facts, dict) else {}
    own = next((row.others for row in run.rows if row.decoder == "dina"), {})
    done = facts.get("epochs_done", own.get("epochs_done", int(epoch[-1]) if len(epoch) else 0))
    budget = facts.get("epochs_budget", own.get("epochs_budget"))
    sentence = f"{done} epochs were trained" + (f" of a budget of {budget}." if budget is not None else ".")
    if isinstance(budget, int) and isinstance(done, int) and done < budget:
        sentence += " Training ended early because validation no longer improved."
    if chosen is not None:
        sentence += f" The towers of epoch {chosen} were kept."
    return [sentence]


def _chosen_epoch(run: Run, epoch: np.ndarray, accuracies: dict[str, np.ndarray]) -> int | None:
    facts = run.summary.get("training")
    told = facts.get("chosen_epoch", facts.get("best_epoch")) if isinstance(facts, dict) else None
    return int(told) if isinstance(told, int) else None


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
    return name.replace("_", " ")
