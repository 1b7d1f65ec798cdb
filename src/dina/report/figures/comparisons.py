"""Paired differences between dina and every other decoder, query by query, with intervals and zero."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS, style_of


@dataclass(frozen=True)
class Difference:
    """One paired difference dina − rival; positive is better for dina. ``low`` and ``high`` bound it; any may be NaN."""

    rival: str
    queries: str
    value: float
    low: float
    high: float
    p_value: float
    q_value: float = math.nan


@in_style
def draw_differences(differences: Sequence[Difference], axis_label: str, reads: Mapping[str, str]) -> Figure:
    """Draw paired differences as dots with intervals beside a line at zero, one line per rival.

    Parameters
    ----------
    differences
        In the unit of ``axis_label``; averaged queries filled, single trials hollow.
    axis_label
        What is compared, and its unit.
    reads
        Decoder name → "images", "templates" or "truth".
    """
    shown = [d for d in differences if d.value == d.value]
    kinds = {d.rival: style_of(d.rival, reads.get(d.rival, "images")) for d in shown}
    names = sorted(kinds, key=lambda name: (kinds[name].kind == "reference", list(kinds).index(name)))
    figure = new_figure(130, 18 + 7.0 * len(names))
    axes = figure.add_subplot()
    axes.axvline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    for difference in shown:
        style = kinds[difference.rival]
        y = names.index(difference.rival) + (-0.16 if difference.queries == "averaged" else 0.16)
        axes.plot([difference.low, difference.high], [y, y], color=style.colour, linewidth=1.3, zorder=2)
        face = style.colour if difference.queries == "averaged" else COLOURS["paper"][0]
        axes.plot(
            difference.value,
            y,
            style.marker,
            color=style.colour,
            markerfacecolor=face,
            markersize=5.0,
            markeredgewidth=1.1,
            zorder=3,
        )
    axes.set_yticks(range(len(names)), [kinds[name].short for name in names])
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_color(kinds[name].colour)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(axis_label)
    axes.set_title(
        "←\u2002the other is better\u2003\u2003dina is better\u2002→",
        fontweight="normal",
        fontsize=8,
        color=COLOURS["muted"][0],
        loc="center",
    )
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure
