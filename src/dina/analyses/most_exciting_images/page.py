"""Most exciting images, on the page."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.caption_words import responses_words
from dina.figures.finding_parts import finding_table, reasons, write_across
from dina.figures.finding_words import in_a_sentence
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.statistics.finding import Finding

HEADINGS = ("first model", "second model", "best natural image")
WIDTH_MM = 170
BELOW_MM = 42
WORDS = {
    "mei_agreement": "correlation of the images that two models make for one neuron",
    "mei_beats_images": "share of test images that excite the second model less",
}


def most_exciting_images_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show the images that excite model neurons most, and how far two models agree on them."""
    found = {finding.name: finding for finding in findings}
    agreement, beats = found["mei_agreement"], found["mei_beats_images"]
    verb = "agree" if agreement.value > agreement.null_high else "do not agree beyond the null"
    words = (
        f"Two encoding models fitted on different images {verb} on what excites a neuron most: their images correlate by"
        f" {in_a_sentence(agreement, '')}. The second model rates the first one's image above {in_a_sentence(beats)} of the test images"
        " at the same contrast. For the null, neurons are exchanged at random."
    )
    in_colour = " Colours are averaged, so that brightness alone is shown." if dataset.attrs.get("n_colours", 1) > 1 else ""
    part = FigurePart(
        "most_exciting_images",
        draw_most_exciting_images(dataset, found),
        "Images that an encoding model of each neuron rates highest, found by gradient ascent from noise at a fixed contrast. The first and"
        " the second model were fitted on different halves of the training images. Right: the training image that the first model rates"
        " highest, brought to the same contrast. Neurons: those that left-out training images predict best; r, correlation of"
        f" prediction and {responses_words(dataset)} over test images. Grey is the mean of the image; black and white lie 2.5 times the contrast"
        f" below and above it.{in_colour} a and b, each dot a neuron, or a pair of different ones; upright lines: means, across: 95\u202f%"
        " interval over neurons; grey band: null. No animal has seen these images.",
        words,
        finding_table("How far the two models agree.", WORDS, found, ("mei_beats_images",)),
    )
    title, missing = "Most exciting images", reasons(WORDS, found)
    return Section("most-exciting-images", title, paragraphs=(words,), figures=(part,), missing=missing)


@in_style
def draw_most_exciting_images(dataset: xr.Dataset, found: Mapping[str, Finding]) -> Figure:
    """Draw one row of three images for each neuron, above two comparisons of the same with other neurons.

    Parameters
    ----------
    dataset, found
        From the analysis ``most_exciting_images``, and its findings by name.
    """
    exciting, natural = dataset["exciting"].to_numpy(), dataset["best_natural"].to_numpy()
    n_neurons = len(natural)
    tall = min(24.0, 0.9 * WIDTH_MM / 3 * natural.shape[1] / natural.shape[2])
    above_mm = (tall + 2) * n_neurons + 8
    figure = new_figure(WIDTH_MM, above_mm + BELOW_MM)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[above_mm, BELOW_MM]).flat
    panels = above.subplots(n_neurons, 3, squeeze=False)
    limit = 2.5 * float(dataset.attrs["contrast"])
    # a model that predicts the same for all images has no best one
    flat = (
        dataset["predicted_deviation"].to_numpy() < 1e-9 if "predicted_deviation" in dataset else np.zeros((2, n_neurons), bool)
    )
    for neuron, row in enumerate(panels):
        shown = (exciting[0, neuron], exciting[1, neuron], natural[neuron])
        for axes, image, is_flat in zip(row, shown, (*flat[:, neuron], flat[0, neuron]), strict=True):
            finish_axes(axes, None)
            axes.imshow(np.zeros_like(image) if is_flat else image, cmap="gray", vmin=-limit, vmax=limit, aspect="equal")
            if is_flat:
                write_across(axes, "predicts the same\nfor all images", colour="white")
        label = f"neuron {int(dataset['neuron_index'][neuron])}\nr = {float(dataset['test_correlation'][neuron]):.2f}"
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=3, fontsize=7)
    for axes, heading in zip(panels[0], HEADINGS, strict=True):
        axes.set_title(heading)
    left, right = below.subplots(1, 2)
    _draw_pairs(left, dataset["agreement"].to_numpy(), found["mei_agreement"], 1, "a  correlation of both models' images")
    _draw_pairs(right, dataset["beaten"].to_numpy(), found["mei_beats_images"], 100, "b  test images that excite less (%)")
    return figure


def _draw_pairs(axes: Axes, pairs: np.ndarray, one: Finding, scale: float, title: str) -> None:
    """Draw every neuron's own value over those of all pairs of different neurons, the mean with its interval on the band of chance."""
    letter, _, label = title.partition("  ")
    pairs = scale * pairs
    null, between = ((scale * low, scale * high) for low, high in ((one.null_low, one.null_high), (one.low, one.high)))
    axes.fill_betweenx([-0.38, 0.38], *null, color=COLOURS["chance"][0], alpha=0.25, linewidth=0)
    axes.plot(between, [0, 0], color=COLOURS["dina"][0], linewidth=1.2)
    groups = (("same neuron", pairs.diagonal(), "dina"), ("other neurons", pairs[~np.eye(len(pairs), dtype=bool)], "chance"))
    for place, (_, values, colour) in enumerate(groups):
        spread = 0.22 * np.cos(np.arange(len(values)) * 2.4)  # dots side by side, the same at every drawing
        axes.plot(values, place + spread, "o", color=COLOURS[colour][0], markersize=3, alpha=0.6, markeredgewidth=0)
        axes.plot([values.mean()] * 2, [place - 0.38, place + 0.38], color=COLOURS[colour][0], linewidth=1.6)
    axes.set_yticks([0, 1], [name for name, _, _ in groups])
    axes.set_ylim(1.6, -0.6)
    axes.set_xlabel(label)
    axes.set_title(letter)
    finish_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
