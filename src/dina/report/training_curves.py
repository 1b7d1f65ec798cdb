"""Contrastive training: its curves, the number of epochs, and accuracy before and after."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS, QUERIES
from dina.figures.words import DASH, interval, number, percent
from dina.study.run_directory import Run

CRITERIA = {"top1": "the highest top-1 accuracy", "loss": "the lowest loss", "log_rank": "the lowest mean log rank"}
# Columns of history.csv whose names are no words.
COLUMNS = {
    "train_loss": "training loss",
    "learning_rate_image": "learning rate of the image tower",
    "learning_rate_neural": "learning rate of the neural tower",
}
# Said wherever validation accuracy is shown.
TOO_HIGH = "The validation images chose these settings, so accuracy of the chosen model on them is too high; only test images measure it."


@in_style
def draw_training(
    epoch: np.ndarray,
    losses: Mapping[str, np.ndarray],
    accuracies: Mapping[str, np.ndarray],
    chance: float | None,
    chosen_epoch: int | None,
) -> Figure:
    """Draw losses (nats) and accuracies (fractions) per epoch by name, NaN where not measured, and the epoch that was kept."""
    both = ((losses, 1.0, "loss (nats)"), (accuracies, 100.0, "accuracy (%)"))
    shown = [each for each in both if each[0]]
    figure = new_figure(130, 12 + 50 * len(shown))
    panels = list(figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0])
    for axes, (lines, scale, label) in zip(panels, shown, strict=True):
        if chosen_epoch is not None:
            dotted: Any = {"color": COLOURS["muted"][0], "linewidth": 0.8, "linestyle": (0, (1, 1))}
            axes.axvline(chosen_epoch, label=f"kept: epoch {chosen_epoch}", **dotted)
        _draw_lines(axes, epoch, lines, scale)
        axes.set_ylabel(label)
        if lines is accuracies:
            axes.set_ylim(0, 1.08 * axes.get_ylim()[1])  # the highest line stays whole
            if chance is not None:
                axes.axhline(100 * chance, label="chance", **CHANCE_LINE)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, handlelength=2.4)
        finish_axes(axes, "y")
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw_lines(axes: Axes, epoch: np.ndarray, lines: Mapping[str, np.ndarray], scale: float) -> None:
    """Draw one line per name; training is thin and dashed, everything measured on validation images is solid."""
    for name, values in lines.items():
        seen = np.isfinite(values)
        is_training = "train" in name
        colour, line, width = ("muted", (0, (3, 1)), 1.1) if is_training else ("dina", "-", 1.8)
        look: Any = {"color": COLOURS[colour][0], "linestyle": line, "linewidth": width, "markersize": 2.5}
        axes.plot(epoch[seen], scale * values[seen], label=name, marker="o" if seen.sum() < 40 else None, **look)


MAX_ROWS = 24
APART = (
    " Losses of training and of validation cannot be compared: they are among different numbers of images, and training may leave neurons out"
    " at random. Validation images alone decide which epoch is kept."
)


def training(run: Run) -> Section:
    """Show training curves with epochs done of the budget, and accuracy before and after."""
    known = run.summary.get("training")
    facts: dict[str, Any] = known if isinstance(known, dict) else {}
    tables = _before_and_after(run)
    if not run.history:
        missing = (f"There are no training curves. {facts.get('reason') or 'nothing was trained in this run.'}",)
        return Section("training", "Training", tables=tables, missing=missing)
    figures = _curves(run, facts)
    return Section(
        "training", "Training", paragraphs=[_budget(facts, run.history, _criterion(run))], figures=figures, tables=tables
    )


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
    caption = f"Accuracy is top-1{of}. {TOO_HIGH}{APART if len(losses) > 1 else ''}"
    spoken = f"Loss and validation accuracy up to epoch {int(epoch[-1])}; the numbers are in the table."
    drawing = draw_training(epoch, losses, accuracies, chance, chosen if isinstance(chosen, int) else None)
    return [FigurePart("training", drawing, caption, spoken, _history_table(run, epoch))]


def _before_and_after(run: Run) -> list[Table]:
    rows = []
    for queries, words in QUERIES.items():
        known = {row.decoder: row for row in run.select(queries)}
        for name, decoder in (("before", "dina_before_training"), ("after", "dina")):
            if decoder in known and "dina_before_training" in known and known[decoder].top1 is not None:
                row = known[decoder]
                accuracy = (percent(row.top1), interval(row.top1_low, row.top1_high), percent(row.chance_top1))
                rows.append((f"{name} contrastive training", words, *accuracy, number(row.n_gallery)))
    columns = ("dina", "queries", "top-1", "95\u202f% interval", "chance", "gallery size")
    return [Table("Test accuracy before and after contrastive training.", columns, tuple(rows), n_words=2)] if rows else []


def _budget(facts: dict[str, Any], history: dict[str, np.ndarray], criterion: str) -> str:
    """Say how many epochs were done of how many allowed, why training ended, and which epoch was kept by what."""
    done, budget, chosen = (facts.get(key) for key in ("epochs_done", "epochs_budget", "chosen_epoch"))
    done = int(_epochs(history)[-1]) if done is None else done
    if done == budget:
        sentences = [f"The whole budget of {_count_epochs(done)} was trained."]  # this is why training ended, too
    else:
        sentences = [f"{_count_epochs(done)} of training" + (f", of a budget of {budget}." if budget is not None else ".")]
        sentences += [str(facts["stop_reason"])] if facts.get("stop_reason") else []
    if chosen is not None:
        sentences.append(
            f"The towers of epoch {chosen} were kept"
            + (", those from before any training: " if chosen == 0 else ": ")
            + criterion
        )
    return " ".join(sentences)


def _criterion(run: Run) -> str:
    """Say by what validation chose the epoch, and what decides between equal ones."""
    found = re.search(r"^select_by = \"(\w+)\"", run.settings, re.MULTILINE)
    first = CRITERIA.get(found[1] if found else "top1", CRITERIA["top1"])
    tie = "" if first == CRITERIA["loss"] else "; among equal ones, that with the lowest validation loss"
    return f"the one with {first} of the validation images{tie}."


def _epochs(history: dict[str, np.ndarray]) -> np.ndarray:
    return history.get("epoch", np.arange(1.0, 1 + len(next(iter(history.values())))))


def _history_table(run: Run, epoch: np.ndarray) -> Table:
    """Return at most `MAX_ROWS` epochs, evenly spaced, the last always among them."""
    places = np.unique(np.linspace(0, len(epoch) - 1, min(MAX_ROWS, len(epoch))).round().astype(int))
    names = [name for name in run.history if name != "epoch"]
    scale = {name: 100 if "top1" in name else 1 for name in names}
    rows = tuple(
        (number(float(epoch[i])), *(number(scale[name] * float(run.history[name][i]), 4) for name in names)) for i in places
    )
    few = " (evenly spaced; all are in history.csv)" if len(places) < len(epoch) else ""
    gap = any(not np.isfinite(run.history[name][places]).all() for name in names)
    unknown = f" {DASH}: not measured; before the first epoch there is no training loss." if gap else ""
    words = f"Training history{few}; accuracies are in %, losses in nats.{unknown}"
    return Table(words, ("epoch", *map(_words, names)), rows, n_words=0)


def _words(name: str) -> str:
    return COLUMNS.get(name, name.replace("_", " ").replace("top1", "top-1"))


def _count_epochs(count: int) -> str:
    return f"{count:,} epoch" + ("" if count == 1 else "s")
