"""The page of the brain score: how well each layer of the image tower predicts the neurons, beside their noise ceilings."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import CHANCE_LINE, finish_axes, in_style, new_figure
from dina.figures.caption_words import channels_words, responses_words
from dina.figures.finding_parts import draw_dots, finding_table, reasons
from dina.figures.finding_words import in_a_sentence
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

MOST_POINTS = 500
SPREADS = ((0.05, 0.95, 1.0), (0.25, 0.75, 3.0))  # quantiles over neurons, and width of their line


WHOLE = (
    "Each layer is read as a whole, without knowledge of where a neuron looks. Models of one field for each neuron need fewer images and"
    " may predict better."
)
UNDIVIDED = " Their correlations, among the properties of single neurons, are not divided by a ceiling."
RELIABLE = (
    "Neurons are reliable if the images explain enough of the variance of their single trials; scores of the others would be ratios of noise."
    " Where more are reliable than are asked for, some are drawn at random."
)


def brain_score_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the noise-corrected score of every layer."""
    layers = [str(layer) for layer in dataset["layer"].to_numpy()]
    of_layer = dict(zip(layers, findings, strict=True))
    names = {one.name: layer for layer, one in of_layer.items()}
    best = max(of_layer, key=lambda layer: of_layer[layer].value)
    found = {one.name: one for one in findings}
    reason = str(dataset.attrs["reason"])
    n_neurons = dataset.sizes["neuron"]
    unit = "of the noise ceiling" if not reason else "(correlation, not corrected for noise)"
    others = "" if best == "pixels" else f"; pixels reach {in_a_sentence(of_layer['pixels'], '')}"
    answer = (
        f"“{best}” has the highest median score over {n_neurons:,} {'' if reason else 'reliable '}neurons: {in_a_sentence(of_layer[best], '')}"
        f" {unit}{others}. Differences between layers were not tested."
    )
    answer += channels_words(dataset)
    if not reason:
        answer += f" {RELIABLE}"
    answer += f" {WHOLE}{'' if reason else UNDIVIDED}"
    untrained = " Training changes only gains of these towers, so untrained maps are no control and are left out."
    if any("untrained" in layer for layer in layers):
        untrained = " An untrained map is the mean over several draws of its weights."
    divided = against_ceiling = ""
    if not reason:
        divided = ", divided by the ceiling that each neuron's repeats set"
        against_ceiling = (
            f" b, the layer with the best median, neuron by neuron{f' ({MOST_POINTS} of {n_neurons:,})' if n_neurons > MOST_POINTS else ''};"
            " dashed: the noise ceiling."
            " Points above it are possible, since ceilings are estimates."
        )
    part = FigurePart(
        "brain_score",
        _draw_brain_score(dataset, of_layer),
        f"{'C' if reason else 'a, c'}orrelation over test images of predicted with measured {responses_words(dataset)}{divided}: points with lines, median over"
        " neurons with 95\u202f% interval over images; pale lines beneath, the middle 50 and 90\u202f% of the neurons; grey bands,"
        " predictions compared with responses to other images. Predictions are ridge regressions on training images."
        f"{against_ceiling}{untrained}",
        answer,
        finding_table("Score of each layer, median over neurons.", names, found),
    )
    missing = ((reason,) if reason else ()) + reasons(names, found)
    title = "Neurons predicted from the layers of the image tower"
    return Section("brain-score", title, (answer,), (part,), missing=missing)


@in_style
def _draw_brain_score(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw one line per layer, and correlation against ceiling for the layer with the best median."""
    is_corrected = not dataset.attrs["reason"]
    figure = new_figure(170 if is_corrected else 110, 30 + 8.0 * max(len(found), 5))
    left, *right = figure.subplots(1, 2 if is_corrected else 1, width_ratios=[1.5, 1][: 1 + is_corrected], squeeze=False)[0]
    values = dataset["score" if is_corrected else "correlation"].to_numpy()
    label = "correlation / ceiling" if is_corrected else "correlation, not corrected for noise"
    draw_dots(left, list(found.items()), label)
    for place, row in enumerate(values):
        for low, high, width in SPREADS:
            ends = np.quantile(row, [low, high])
            left.plot(ends, [place + 0.26] * 2, color=COLOURS["dina"][0], alpha=0.35, linewidth=width, solid_capstyle="butt")
    best = max(found, key=lambda layer: found[layer].value)
    if is_corrected:
        left.set_title("a")
        _draw_ceilings(right[0], dataset["ceiling"].to_numpy(), dataset["correlation"].sel(layer=best).to_numpy(), best)
    return figure


def _draw_ceilings(axes: Axes, ceiling: np.ndarray, correlation: np.ndarray, layer: str) -> None:
    rows = np.unique(np.linspace(0, len(ceiling) - 1, min(len(ceiling), MOST_POINTS)).round().astype(int))
    axes.plot([0, 1], [0, 1], **CHANCE_LINE)
    axes.plot(ceiling[rows], correlation[rows], "o", color=COLOURS["dina"][0], markersize=2.2, alpha=0.5, markeredgewidth=0)
    axes.set(xlabel="ceiling", ylabel=f"correlation, {layer}", title="b", xlim=(0, 1.02))
    finish_axes(axes, "both")
