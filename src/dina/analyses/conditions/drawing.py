"""Retrieval under several stimulus conditions: within each, from the first one, and by the ideal observer."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS


@in_style
def draw_conditions(dataset: xr.Dataset) -> Figure:
    """Draw top-1 accuracy by condition, side by side for each kind of decoder.

    Parameters
    ----------
    dataset
        From the analysis ``conditions``.
    """
    names = [str(name) for name in dataset["condition"].to_numpy()]
    place = np.arange(len(names), dtype=float)
    figure = new_figure(130, 78)
    axes = figure.add_subplot()
    low, high = (100 * dataset[f"within_null_{end}"].to_numpy() for end in ("low", "high"))
    axes.bar(place, high - low, bottom=low, width=0.8, color=COLOURS["chance"][0], alpha=0.3, linewidth=0, zorder=1)
    blue, purple = COLOURS["dina"][0], COLOURS["reference"][0]
    shown = [
        ("within", -0.2, blue, blue, "o", "trained and tested within"),
        ("transferred", 0.0, blue, COLOURS["paper"][0], "o", f"trained on {names[0]}"),
    ]
    if "ideal" in dataset:
        shown.append(("ideal", 0.2, purple, purple, "v", "ideal observer"))
    for name, shift, colour, face, marker, label in shown:
        value, low, high = (100 * dataset[name + end].to_numpy() for end in ("", "_low", "_high"))
        axes.vlines(place + shift, low, high, color=colour, linewidth=1.2, zorder=2)
        axes.plot(
            place + shift, value, marker, color=colour, markerfacecolor=face, markersize=5, linestyle="", label=label, zorder=3
        )
    axes.set_xticks(place, names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0, 105)
    axes.set_xlabel("stimulus condition")
    axes.set_ylabel("top-1 accuracy (% of queries)")
    figure.legend(loc="outside upper center", ncols=len(shown), fontsize=7.5, handletextpad=0.2, columnspacing=1.5)
    finish_axes(axes, "y")
    axes.tick_params(axis="x", length=0)
    return figure
