"""Findings as dots with intervals, each on the band of its null, on axes that a figure provides."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from dina.figures.canvas import finish_axes
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding


def draw_dots(axes: Axes, rows: Sequence[tuple[str, Finding]], label: str) -> None:
    """Draw one line per finding, the first on top; those that are NaN say so.

    Parameters
    ----------
    axes
        Empty.
    rows
        Words of at most some thirty letters, and the finding.
    label
        Of the horizontal axis, with unit.
    """
    for place, (_, one) in enumerate(rows):
        if np.isfinite(one.null_low):
            axes.fill_betweenx(
                [place - 0.36, place + 0.36], one.null_low, one.null_high, color=COLOURS["chance"][0], alpha=0.25, linewidth=0
            )
        if not np.isfinite(one.value):
            axes.annotate("not known", (0, place), ha="left", va="center", fontsize=7.5, color=COLOURS["muted"][0])
            continue
        colour = COLOURS["dina"][0]
        if np.isfinite(one.low):
            axes.plot([one.low, one.high], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=3)
        axes.plot(one.value, place, "o", color=colour, markersize=4.5, zorder=4)
    axes.axvline(0, color=COLOURS["muted"][0], linewidth=0.6)
    axes.set_yticks(range(len(rows)), [words for words, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(label)
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
