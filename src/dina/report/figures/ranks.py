"""How often the right image is among the best k, for every k at once."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS, style_of


@in_style
def draw_ranks(ranks: Mapping[str, np.ndarray], n_gallery: Mapping[str, int], reads: Mapping[str, str]) -> Figure:
    """Draw the fraction of queries whose target is among the best k, against k, with chance k / n_gallery.

    Parameters
    ----------
    ranks
        Decoder name → rank of the target of each query, 1 = best.
    n_gallery
        Decoder name → number of candidates; chance is drawn for the first.
    reads
        Decoder name → "images", "templates" or "truth".
    """
    figure = new_figure(130, 92)
    axes = figure.add_subplot()
    largest = max(n_gallery.values())
    k = np.unique(np.geomspace(1, largest, 200).round().astype(int))
    for name, rank in ranks.items():
        style = style_of(name, reads.get(name, "images"))
        fraction = np.searchsorted(np.sort(rank), k, side="right") / len(rank)
        axes.step(
            k,
            100 * fraction,
            where="post",
            color=style.colour,
            linestyle=style.line,
            linewidth=2.2 if name == "dina" else 1.2,
            label=style.short,
        )
    chance = np.minimum(k / next(iter(n_gallery.values())), 1.0)
    axes.plot(k, 100 * chance, color=COLOURS["chance"][0], linestyle=(0, (2, 1.5)), linewidth=1.0, label="chance")
    axes.set_xscale("log")
    axes.set_xlim(1, largest)
    axes.set_ylim(0, 101)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("k (number of best images looked at, logarithmic)")
    axes.set_ylabel("right image among the best k (% of queries)")
    figure.legend(loc="outside lower center", ncols=3, handlelength=2.6)
    finish_axes(axes, "both")
    return figure
