"""How well the layers of the image tower predict the neurons, on the page."""

import xarray as xr

from dina.analyses.brain_score.drawing import draw_brain_score
from dina.figures.finding_table import finding_table
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number
from dina.statistics.finding import Finding


def brain_score_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the noise-corrected score of every layer."""
    layers = [str(layer) for layer in dataset["layer"].to_numpy()]
    of_layer = dict(zip(layers, findings, strict=True))
    best = max(of_layer, key=lambda layer: of_layer[layer].value)
    reason = str(dataset.attrs["reason"])
    n_neurons = dataset.sizes["neuron"]
    what = "of what their noise allows" if not reason else "(correlation, not corrected for noise)"
    told = (
        f"The highest median score, over {n_neurons:,} neurons, is that of “{best}”: {number(of_layer[best].value)} {what}"
        f" ({number(of_layer[best].low)} to {number(of_layer[best].high)}); pixels reach {number(of_layer['pixels'].value)}."
        " Differences between layers were not tested."
    )
    divided = against_ceiling = ""
    if not reason:
        divided = ", divided by the ceiling that each neuron's repeats set"
        against_ceiling = (
            f" b, the layer with the best median, neuron by neuron (at most 500 of {n_neurons:,}); dashed: as good as noise allows."
            " Points above it are possible, since ceilings are estimates."
        )
    part = FigurePart(
        "brain_score",
        draw_brain_score(dataset, of_layer),
        f"a, correlation over test images of predicted with averaged measured responses{divided}: points with lines, median over"
        " neurons with 95\u202f% interval over images; grey lines beneath, the middle 50 and 90\u202f% of the neurons; grey bands,"
        " predictions compared with responses to other images. Predictions are ridge regressions on training images."
        f"{against_ceiling} An untrained map is the mean over several draws of its weights; it is left out where training changes"
        " nothing but gains.",
        told,
        finding_table(
            "Score of each layer, median over neurons.",
            {one.name: layer for layer, one in of_layer.items()},
            {one.name: one for one in findings},
        ),
    )
    missing = (reason,) if reason else ()
    title = "Neurons predicted from the layers of the image tower"
    return Section("brain-score", title, paragraphs=(told,), figures=(part,), missing=missing)
