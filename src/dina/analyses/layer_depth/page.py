"""The page of the layer depth: what each layer of the trained network adds to Gabor channels."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.caption_words import responses_words
from dina.figures.finding_parts import finding_table, reasons, write_across
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.words import interval, percent
from dina.statistics.finding import Finding

CERTAIN = (
    "b, how many neurons each layer predicts best, for the {n_certain} of {n_neurons} neurons that it predicts better than with permuted"
    " weights by more than three standard errors."
)
NETWORK = (
    "The network was trained on photographs of other collections, never on this recording; here its layers are only read. The Gabor channels"
    " to which they are added are fixed filters and contain nothing of it, nor of any network trained on this recording."
)
NONE_CERTAIN = "b, would show the best layer of single neurons; of none of {n_neurons} does a layer predict more than with permuted weights, by three standard errors."


def layer_depth_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the gain of every layer against its depth, and the best layer of every neuron."""
    layers = [str(layer) for layer in dataset["layer"].to_numpy()]
    gains, depth = findings[:-1], findings[-1]
    names = {one.name: layer.replace("_", " ") for layer, one in zip(layers, gains, strict=True)}
    names[depth.name] = "depth of the best layer"
    together = gains[-1]
    n_neurons, n_certain = dataset.sizes["neuron"], int(np.isfinite(dataset["best_depth"]).sum())
    how = "beyond" if together.low > together.null_high else "not beyond"
    answer = (
        f"Gabor channels explain {percent(float(dataset.attrs['explained_by_gabors']))} of the variance of {responses_words(dataset)}"
        " (no interval: it is only what gains are added to)."
        f" All layers of a network trained on photographs change what is explained by"
        f" {percent(together.value)} ({interval(together.low, together.high)}) of the variance, {how} the same network with permuted weights"
        f" ({interval(together.null_low, together.null_high)})."
    )
    if np.isfinite(depth.value):
        best = layers[round(depth.value * (len(layers) - 2))].replace("_", " ")
        answer += f" The best single layer is {best}, at {percent(depth.value)} of the depth ({interval(depth.low, depth.high)})."
    part = FigurePart(
        "layer_depth",
        _draw(dataset, gains),
        f"a, how much more of the variance of {responses_words(dataset)} is explained if a layer is added to Gabor channels, for all neurons"
        " together: points with lines, gain with 95\u202f% interval over images; grey bands, the same network with permuted weights."
        " Every image is predicted from weights that were fitted without it. The seven layers were not corrected for their number."
        f" {CERTAIN if n_certain else NONE_CERTAIN}".format(n_certain=f"{n_certain:,}", n_neurons=f"{n_neurons:,}"),
        answer,
        finding_table(
            "Share of the variance that layers explain beyond Gabor channels.", names, {one.name: one for one in findings}, names
        ),
    )
    title = "What a network trained on photographs adds to Gabor channels"
    return Section("layer-depth", title, (answer, NETWORK), (part,), missing=reasons(names, {one.name: one for one in findings}))


@in_style
def _draw(dataset: xr.Dataset, gains: tuple[Finding, ...]) -> Figure:
    figure = new_figure(170, 68)
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    labels = [str(layer).replace("block_", "").replace("all layers", "all") for layer in dataset["layer"].to_numpy()]
    _draw_gains(left, labels, gains)
    depth = dataset["best_depth"].to_numpy()
    places = np.rint(depth[np.isfinite(depth)] * (len(labels) - 2)).astype(int)
    right.bar(range(len(labels) - 1), np.bincount(places, minlength=len(labels) - 1), color=COLOURS["dina"][0], width=0.7)
    right.set_xticks(range(len(labels) - 1), labels[:-1])
    right.set(xlabel="best layer (block)", ylabel="neurons", title="b")
    if not len(places):
        write_across(right, "known of no neuron")
    right.set_ylim(0, max(1.0, right.get_ylim()[1]))
    right.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    finish_axes(right, "y")
    return figure


def _draw_gains(axes: Axes, labels: list[str], gains: tuple[Finding, ...]) -> None:
    """Draw gain, interval and null of each layer in percent; all layers together stand apart."""
    places = [*range(len(labels) - 1), len(labels) - 0.5]
    colour = COLOURS["dina"][0]
    for place, one in zip(places, gains, strict=True):
        axes.fill_between(
            [place - 0.36, place + 0.36],
            100 * one.null_low,
            100 * one.null_high,
            color=COLOURS["chance"][0],
            alpha=0.25,
            linewidth=0,
        )
        axes.plot([place, place], [100 * one.low, 100 * one.high], color=colour, linewidth=1.4, solid_capstyle="butt")
    values = [100 * one.value for one in gains]
    axes.plot(places[:-1], values[:-1], "-", color=colour, linewidth=0.8, alpha=0.6)
    axes.plot(places, values, "o", color=colour, markersize=4.5)
    axes.axhline(0, color=COLOURS["muted"][0], linewidth=0.6)
    axes.set_xticks(places, labels)
    axes.set(xlabel="layer (block), first to last", ylabel="gain in explained variance (%)", title="a")
    finish_axes(axes, "y")
