"""Interactions of pairs beside chance, the interactions of coupled pairs, and whether contributions add up."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.finding_dots import draw_dots
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

SUMMARY = {
    "summed_contributions": "noise of repeats",
    "decoder_summed_contributions": "noise of the decoder",
}
DISCOVERY = 0.05


@in_style
def draw_functional_interactions(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw how often interactions exceed a size, the coupled pairs, and the sum of contributions.

    Parameters
    ----------
    dataset
        From the analysis ``functional_interactions``.
    found
        Findings by name.
    """
    figure = new_figure(180, 70)
    first, second, third = figure.subplots(1, 3, width_ratios=[1.15, 1.15, 1.0])
    _draw_sizes(first, dataset)
    _draw_coupled(second, dataset)
    rows = [(words, found[name]) for name, words in SUMMARY.items() if name in found]
    draw_dots(third, rows, "sum of contributions / all")
    third.axvline(1, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    ends = [end for _, one in rows for end in (one.value, one.low, one.high, one.null_low, one.null_high) if np.isfinite(end)]
    low, high = min([1.0, *ends]), max([1.0, *ends])
    room = 0.15 * (high - low) + 0.01
    third.set_xlim(low - room, high + room)  # sums near 1 are told apart; 0 is of no interest
    third.set_title("c  adding up")
    return figure


def _draw_sizes(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw the fraction of pairs beyond each size, of either sign, beside that of permuted noise."""
    smallest = np.inf
    for name, colour, words in (("null_interaction", "chance", "by chance"), ("sampled_interaction", "dina", "observed")):
        size = np.sort(np.abs(dataset[name].to_numpy()))[::-1]
        size = size[np.isfinite(size) & (size > 0)]
        if not len(size):
            continue
        rank = np.unique(np.geomspace(1, len(size), 200).astype(int)) - 1
        axes.plot(size[rank], (rank + 1) / len(size), color=COLOURS[colour][0], label=words)
        smallest = min(smallest, float(size[int(0.95 * (len(size) - 1))]))
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):  # plain numbers: mathematical text is switched off
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
    if axes.lines:
        axes.set_xlim(left=smallest)
        axes.legend(loc="lower left")
    else:
        axes.annotate("no pair interacts", (0.5, 0.5), xycoords="axes fraction", ha="center", color=COLOURS["muted"][0])
    axes.set_xlabel("size of interaction (score)")
    axes.set_ylabel("fraction of pairs beyond it")
    axes.set_title("a  all pairs")
    finish_axes(axes, "both")


def _draw_coupled(axes: Axes, dataset: xr.Dataset) -> None:
    """Draw interaction against coupling, with intervals for pairs whose coupling is beyond doubt."""
    coupling, interaction = dataset["coupling"].to_numpy(), dataset["interaction"].to_numpy()
    sure = dataset["coupling_p"].to_numpy() <= DISCOVERY
    axes.axhline(0, color=COLOURS["ink"][0], linewidth=0.8, zorder=1)
    axes.plot(coupling[~sure], interaction[~sure], ".", color=COLOURS["chance"][0], markersize=2.5, zorder=2)
    low, high = dataset["interaction_low"].to_numpy()[sure], dataset["interaction_high"].to_numpy()[sure]
    axes.vlines(coupling[sure], low, high, color=COLOURS["rival"][0], linewidth=0.7, alpha=0.6, zorder=3)
    axes.plot(coupling[sure], interaction[sure], "o", color=COLOURS["rival"][0], markersize=2.8, zorder=4)
    if not np.isfinite(coupling * interaction).any():
        axes.annotate("not known", (0.5, 0.56), xycoords="axes fraction", ha="center", color=COLOURS["muted"][0])
    axes.set_xlabel("coupling of noise (partial correlation)")
    axes.set_ylabel("interaction (score)")
    axes.set_title("b  surest couplings")
    for words, place, alignment in (("redundant", 0.98, "top"), ("synergistic", 0.02, "bottom")):
        axes.annotate(words, (0.02, place), xycoords="axes fraction", va=alignment, fontsize=7, color=COLOURS["muted"][0])
    finish_axes(axes, "both")
