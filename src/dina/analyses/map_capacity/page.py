"""The page of map capacity: frequency edge and accuracy of towers against the size of their maps."""

import math

import numpy as np
import xarray as xr
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.style import COLOURS
from dina.figures.words import DASH, interval, number, percent, signed
from dina.statistics.finding import Finding


def map_capacity_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show edge and accuracy of towers with maps of other sizes, and whether the edge follows the size."""
    slope = next(finding for finding in findings if finding.name == "edge_per_capacity")
    n, epochs = int(dataset.attrs["n_images"]), int(dataset.attrs["n_epochs"])
    if math.isfinite(slope.value):
        answer = (
            f"The frequency edge changes by {signed(slope.value, 2)} octaves with every doubling of the map"
            f" ({signed(slope.low, 2)} to {signed(slope.high, 2)}; if the size had no effect,"
            f" {signed(slope.null_low, 2)} to {signed(slope.null_high, 2)})."
        )
    else:
        answer = f"There is no estimate of whether the edge follows the size of the map: {slope.reason}"
    part = FigurePart(
        "map_capacity",
        _draw_map_capacity(dataset),
        f"Towers fitted with maps of other sizes, at most {epochs} epochs each, tested on {n} images. a, frequency above which"
        " hardly anything is matched; dotted: Nyquist limit, where triangles mark fits whose signal still rises there. b, top-1"
        " accuracy; grey: 95\u202f% of it with queries assigned to other images. Bars: 95\u202f% intervals over images; hollow:"
        " differs in more than size.",
        answer,
        _table_of_fits(dataset),
    )
    return Section(
        "map-capacity",
        "Size of the maps",
        paragraphs=(answer, "If the edge follows the size, a coarse result may come from the maps and not from the neurons."),
        figures=(part,),
    )


def _table_of_fits(dataset: xr.Dataset) -> Table:
    rows = []
    for name in map(str, dataset["fit"].to_numpy()):
        one = dataset.sel(fit=name)
        channels, height, width = (int(extent) for extent in one["map_shape"].to_numpy())
        edge = float(one["edge"])
        ends = f"{number(edge)} ({number(float(one['edge_low']))} to {number(float(one['edge_high']))})"
        accuracy = f"{percent(float(one['top1']))} ({interval(float(one['top1_low']), float(one['top1_high']))})"
        rows.append((name, f"{channels} × {height} × {width}", ends if math.isfinite(edge) else DASH, accuracy))
    return Table(
        "Towers with maps of other sizes (95\u202f% intervals over images).",
        ("fit", "channels × height × width", f"frequency edge, {dataset['edge'].attrs['units']}", "top-1 accuracy"),
        tuple(rows),
        n_words=2,
    )


@in_style
def _draw_map_capacity(dataset: xr.Dataset) -> Figure:
    """Draw edge and accuracy of every fit against the numbers in its map.

    Hollow are fits that differ in more than size; triangles, fits whose matched signal still rises at the Nyquist limit.
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
