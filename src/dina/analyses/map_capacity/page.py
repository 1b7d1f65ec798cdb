"""Whether what is read follows from the size of the maps, on the page."""

import math

import xarray as xr

from dina.analyses.map_capacity.drawing import draw_map_capacity
from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import DASH, interval, number, percent, signed
from dina.statistics.finding import Finding


def map_capacity_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show edge and accuracy of towers with maps of other sizes, and whether the edge follows."""
    found = {finding.name: finding for finding in findings}
    slope = found["edge_per_capacity"]
    units = dataset["edge"].attrs["units"]
    rows = []
    for name in map(str, dataset["fit"].to_numpy()):
        one = dataset.sel(fit=name)
        channels, height, width = (int(extent) for extent in one["map_shape"].to_numpy())
        edge = float(one["edge"])
        ends = f"{number(edge)} ({number(float(one['edge_low']))} to {number(float(one['edge_high']))})"
        accuracy = f"{percent(float(one['top1']))} ({interval(float(one['top1_low']), float(one['top1_high']))})"
        rows.append((name, f"{channels} × {height} × {width}", ends if math.isfinite(edge) else DASH, accuracy))
    table = Table(
        "Towers with maps of other sizes (95\u202f% intervals over images).",
        ("fit", "channels × height × width", f"frequency edge, {units}", "top-1 accuracy"),
        tuple(rows),
        n_words=2,
    )
    n, epochs = int(dataset.attrs["n_images"]), int(dataset.attrs["n_epochs"])
    if math.isfinite(slope.value):
        told = (
            f"The frequency edge changes by {signed(slope.value, 2)} octaves with every doubling of the map"
            f" ({signed(slope.low, 2)} to {signed(slope.high, 2)}; {signed(slope.null_low, 2)} to {signed(slope.null_high, 2)} if sizes"
            " meant nothing)."
        )
    else:
        told = f"Whether the edge follows the size of the map cannot be told: {slope.reason}"
    part = FigurePart(
        "map_capacity",
        draw_map_capacity(dataset),
        f"Towers fitted with maps of other sizes, at most {epochs} epochs each, asked about {n} test images. a, frequency above which"
        " hardly anything is matched; dotted: Nyquist limit, at which triangles lie whose signal still rises there. b, top-1"
        " accuracy; grey: 95\u202f% of it with queries assigned to other images. Bars: 95\u202f% intervals over images; hollow: differs in more than size.",
        told,
        table,
    )
    return Section(
        "map-capacity",
        "Size of the maps",
        paragraphs=(told, "If the edge follows the size, a coarse result may be made by the maps and not by the neurons."),
        figures=(part,),
    )
