"""Most exciting images, on the page."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.finding_parts import finding_table, reasons
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
    verb = "agree" if agreement.value > agreement.null_high else "do not agree"
    words = (
        f"Two encoding models fitted on different images {verb} on what excites a neuron most: their images correlate by"
        f" {in_a_sentence(agreement, '')}; chance: the neurons exchanged at random. The second model rates the first one's image above {in_a_sentence(beats)} of the test images"
        " at the same contrast."
    )
    part = FigurePart(
        "most_exciting_images",
        draw_most_exciting_images(dataset),
        "Images that an encoding model of each neuron rates highest, found by gradient ascent from noise at a fixed contrast. The first and"
        " the second model were fitted on different halves of the training images. Right: the training image that the first model rates"
        " highest, brought to the same contrast. Neurons: those that left-out training images predict best; r, correlation of"
        " prediction and averaged response over test images. a and b, each dot a neuron, or a pair of different ones; lines: means."
        " No animal has seen these images.",
        words,
        finding_table("How far the two models agree.", WORDS, found, ("mei_beats_images",)),
    )
    title, missing = "Most exciting images", reasons(WORDS, found)
    return Section("most-exciting-images", title, paragraphs=(words,), figures=(part,), missing=missing)


@in_style
def draw_most_exciting_images(dataset: xr.Dataset) -> Figure:
    """Draw one row of three images for each neuron, above two comparisons of the same with other neurons.

    Parameters
    ----------
    dataset
        From the analysis ``most_exciting_images``.
    """
    exciting, natural = dataset["exciting"].to_numpy(), dataset["best_natural"].to_numpy()
    n_neurons = len(natural)
    tall = min(24.0, 0.9 * WIDTH_MM / 3 * natural.shape[1] / natural.shape[2])
    above_mm = (tall + 2) * n_neurons + 8
    figure = new_figure(WIDTH_MM, above_mm + BELOW_MM)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[above_mm, BELOW_MM]).flat
    panels = above.subplots(n_neurons, 3, squeeze=False)
    limit = 2.5 * float(dataset.attrs["contrast"])
    for neuron, row in enumerate(panels):
        for axes, image in zip(row, (exciting[0, neuron], exciting[1, neuron], natural[neuron]), strict=True):
            finish_axes(axes, None)
            axes.imshow(image, cmap="gray", vmin=-limit, vmax=limit, aspect="equal")
        label = f"neuron {int(dataset['neuron_index'][neuron])}\nr = {float(dataset['test_correlation'][neuron]):.2f}"
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=3, fontsize=7)
    for axes, heading in zip(panels[0], HEADINGS, strict=True):
        axes.set_title(heading)
    left, right = below.subplots(1, 2)
    _draw_pairs(left, dataset["agreement"].to_numpy(), "a", "correlation of both models' images")
    _draw_pairs(right, 100 * dataset["beaten"].to_numpy(), "b", "test images that excite less (%)")
    return figure


def _draw_pairs(axes: Axes, pairs: np.ndarray, letter: str, label: str) -> None:
    """Draw every neuron's own value over those of all pairs of different neurons, each with its mean."""
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
