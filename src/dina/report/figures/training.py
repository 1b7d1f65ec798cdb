"""Training curves: losses above, validation accuracy below, with chance and the epoch that was kept."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS


@in_style
def draw_training(
    epoch: np.ndarray,
    losses: Mapping[str, np.ndarray],
    accuracies: Mapping[str, np.ndarray],
    chance: float | None,
    chosen_epoch: int | None,
) -> Figure:
    """Draw losses and validation accuracy per epoch.

    Parameters
    ----------
    epoch
        Number of each epoch.
    losses
        Name → loss per epoch in nats; NaN where it was not measured.
    accuracies
        Name → fraction per epoch; NaN where it was not measured.
    chance
        Chance level of the accuracies, or None if unknown.
    chosen_epoch
        The epoch whose towers were kept, or None if unknown.
    """
    n_panels = bool(losses) + bool(accuracies)
    figure = new_figure(130, 12 + 50 * n_panels)
    panels = list(figure.subplots(n_panels, 1, sharex=True, squeeze=False)[:, 0])
    for axes in panels:
        if chosen_epoch is not None:
            axes.axvline(
                chosen_epoch, color=COLOURS["muted"][0], linewidth=0.8, linestyle=(0, (1, 1)), label=f"kept: epoch {chosen_epoch}"
            )
    remaining = iter(panels)
    if losses:
        axes = next(remaining)
        _draw_lines(axes, epoch, losses, 1.0)
        axes.set_ylabel("loss (nats)")
    if accuracies:
        axes = next(remaining)
        _draw_lines(axes, epoch, accuracies, 100.0)
        if chance is not None:
            axes.axhline(100 * chance, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0, label="chance")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("accuracy (%)")
    for axes in panels:
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
        axes.plot(
            epoch[seen],
            scale * values[seen],
            label=name,
            color=COLOURS["muted" if is_training else "dina"][0],
            linestyle=(0, (3, 1)) if is_training else "-",
            linewidth=1.1 if is_training else 1.8,
            marker="o" if seen.sum() < 40 else None,
            markersize=2.5,
        )
