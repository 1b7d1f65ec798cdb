"""Frequency edge and accuracy of towers against the size of their maps."""

import numpy as np
import xarray as xr
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS


@in_style
def draw_map_capacity(dataset: xr.Dataset) -> Figure:
    """Draw edge and accuracy of every fit against the numbers in its map.

    Hollow are fits that differ in more than size; triangles, fits whose matched signal still rises at the Nyquist limit.

    Parameters
    ----------
    dataset
        From the analysis ``map_capacity``.
    """
    figure = new_figure(160, 76)
    first, second = figure.subplots(1, 2)
    _draw_fits(first, dataset, "edge", 1, dataset["edge_is_open"].to_numpy().astype(bool))
    units = dataset["edge"].attrs["units"]
    if np.isfinite(dataset["edge"].to_numpy()).any():
        first.set_yscale("log", base=2)
        first.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        first.yaxis.set_minor_locator(NullLocator())
        first.axhline(dataset.attrs["nyquist"], color=COLOURS["muted"][0], linestyle=(0.0, (1.0, 1.5)), linewidth=1.0)
    else:
        first.annotate("no fit finds more than chance", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=7.5)
        first.set_yticks([])
    first.set_ylabel(f"frequency edge ({units})")
    first.set_title("a  what is read")
    low, high = (100 * dataset[f"top1_null_{end}"].to_numpy() for end in ("low", "high"))
    second.axhspan(float(low.min()), float(high.max()), color=COLOURS["chance"][0], alpha=0.3, linewidth=0)
    _draw_fits(second, dataset, "top1", 100, np.zeros(dataset.sizes["fit"], dtype=bool))
    second.set_ylim(bottom=0)
    second.set_ylabel("top-1 accuracy (% of queries)")
    second.set_title("b  how well")
    for axes in (first, second):
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("numbers in a map")
        finish_axes(axes, "y")
    return figure


def _draw_fits(axes: Axes, dataset: xr.Dataset, name: str, scale: float, is_open: Bool[np.ndarray, "fit"]) -> None:
    """Draw one point with interval for each fit; a triangle says that the value is no less."""
    size = dataset["map_shape"].to_numpy().prod(axis=1)
    value, low, high = (scale * dataset[name + end].to_numpy() for end in ("", "_low", "_high"))
    blue = COLOURS["dina"][0]
    axes.vlines(size, low, high, color=blue, linewidth=1.2, zorder=2)
    is_swept = dataset["is_in_slope"].to_numpy().astype(bool)
    for marker, has_it in (("o", ~is_open), ("^", is_open)):
        for face, chosen in ((blue, is_swept & has_it), (COLOURS["paper"][0], ~is_swept & has_it)):
            axes.plot(size[chosen], value[chosen], marker, color=blue, markerfacecolor=face, markersize=4.5, zorder=3)
