"""The page of image reconstruction: test images beside their reconstructions from maps, and how similar they are."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import in_style, new_figure
from dina.figures.finding_table import finding_table
from dina.figures.matched_pairs import draw_matched_pairs
from dina.figures.parts import FigurePart, Section
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

METHODS = {
    "linear": "from the response's map, linear",
    "convolutional": "from the response's map, convolutional",
    "linear_from_image_map": "from the image's own map, linear",
}
MEASURES = {
    "pixel_correlation": "correlation of pixels",
    "ssim": "structural similarity",
    "two_way": "how often more like its own image than another",
}
WORDS = {f"{measure}_{method}": f"{what}, {how}" for method, how in METHODS.items() for measure, what in MEASURES.items()}
HEADINGS = ("image shown", "linear", "convolutional", "from its own map")
WIDTH_MM = 170


def image_reconstruction_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show test images reconstructed from maps, and how similar they are to the images that were shown."""
    found = {finding.name: finding for finding in findings}
    linear, ceiling, two_way = (
        found[name] for name in ("pixel_correlation_linear", "pixel_correlation_linear_from_image_map", "two_way_linear")
    )
    verb = "is" if linear.value > linear.null_high else "is not"
    answer = (
        f"The reconstruction from the map of a response {verb} more like the image shown than chance predicts: pixels correlate"
        f" by {number(linear.value)}, and by {number(ceiling.value)} for the reconstruction from the image's own map. In"
        f" {percent(two_way.value)} of the comparisons the reconstruction is more like its own image than another, where chance is"
        " 50\u202f%. Error of the reconstruction from the image's own map is information the map lacks; the extra error from the"
        " response is neural noise, or lost in the neural tower."
    )
    part = FigurePart(
        "image_reconstruction",
        draw_image_reconstruction(dataset),
        "Test images; their reconstructions from the averaged responses, linear and by a convolutional network; and their linear"
        " reconstructions from the map of the image itself. Reconstructions are deviations from the mean training image, each drawn"
        " in its own contrast. All are learnt from training images and their own maps, without any response and without a"
        " generative model. The maps of responses of “default” are posterior means, hence weighted sums of training images' maps:"
        " the weights follow the statistics of the training images. Images are chosen by rule: those at the 90, 70, 50, 30 and"
        " 10\u202f% quantile of the correlation of pixels of the linear reconstruction from the response. a, all pairs of"
        " reconstructions and test images; b, those of at most 50 test images; vertical lines: means.",
        answer,
        finding_table("How similar reconstructions and test images are.", WORDS, found),
    )
    missing = (str(dataset.attrs["reason"]),) if dataset.attrs["reason"] else ()
    return Section("image-reconstruction", "Images rebuilt from maps", paragraphs=(answer,), figures=(part,), missing=missing)


@in_style
def draw_image_reconstruction(dataset: xr.Dataset) -> Figure:
    """Draw examples with their reconstructions, above the distributions of two similarities.

    Parameters
    ----------
    dataset
        From the analysis ``image_reconstruction``.
    """
    pixels, rebuilt = dataset["pixels"].to_numpy(), dataset["rebuilt"].to_numpy()
    n_examples = len(pixels)
    tall = min(24.0, 0.9 * WIDTH_MM / 4 * pixels.shape[1] / pixels.shape[2])
    figure = new_figure(WIDTH_MM, (tall + 2) * n_examples + 62)
    parts = figure.add_gridspec(2, 1, height_ratios=[(tall + 2) * n_examples + 8, 54])
    above, below = (figure.add_subfigure(parts[part]) for part in range(2))
    panels = above.subplots(n_examples, 4, squeeze=False)
    for example, row in enumerate(panels):
        shown = [pixels[example], *rebuilt[:, example]]
        for axes, image in zip(row, shown, strict=True):
            _draw_image(axes, image)
        row[0].set_ylabel(
            f"{100 * float(dataset['quantile'][example]):.0f}\u202f%", rotation=0, ha="right", va="center", labelpad=3
        )
    for axes, heading in zip(panels[0], HEADINGS, strict=True):
        axes.set_title(heading)
    left, right = below.subplots(1, 2)
    draw_matched_pairs(left, dataset["correlation"].to_numpy()[0], "a", "correlation of pixels, linear")
    draw_matched_pairs(right, dataset["similarity"].to_numpy()[0], "b", "structural similarity (SSIM), linear")
    return figure


def _draw_image(axes: Axes, image: np.ndarray) -> None:
    """Draw an image in its own contrast: reconstructions are fainter than what they rebuild."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if np.isnan(image).any():
        axes.text(0.5, 0.5, "–", ha="center", va="center", transform=axes.transAxes)
        return
    spread = 2.5 * max(float(image.std()), 1e-6)
    middle = float(image.mean())
    axes.imshow(image, cmap="gray", vmin=middle - spread, vmax=middle + spread, aspect="equal")
