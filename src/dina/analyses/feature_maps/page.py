"""The page of feature maps: test images beside their maps and the maps of the responses to them, and how similar the maps are."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from dina.figures.canvas import in_style, new_figure
from dina.figures.finding_table import finding_table
from dina.figures.matched_pairs import draw_matched_pairs
from dina.figures.parts import FigurePart, Section
from dina.figures.style import COLOURS
from dina.figures.words import number, percent
from dina.statistics.finding import Finding

WORDS = {
    "map_correlation": "correlation of the map of a response with that of its image",
    "map_ssim": "structural similarity of the two",
    "map_two_way": "how often it is more like its own image's map than another's",
}
HEADINGS = ("image shown", "map of the image", "map of the response")
LIMITS = ("90", "50", "10")  # quantiles that the examples stand for


def feature_maps_section(dataset: xr.Dataset, findings: tuple[Finding, ...]) -> Section:
    """Show maps side by side, and how similar those of matched and of mismatched pairs are."""
    found = {finding.name: finding for finding in findings}
    two_way, correlation = found["map_two_way"], found["map_correlation"]
    verb = "is" if two_way.value > two_way.null_high else "is not"
    answer = (
        f"The map of a response {verb} more like the map of its own image than chance predicts: it is in"
        f" {percent(two_way.value)} of the comparisons with another image, where chance is 50\u202f%. Their correlation is"
        f" {number(correlation.value)}."
    )
    part = FigurePart(
        "feature_maps",
        draw_feature_maps(dataset),
        "Test images, their maps and the maps of the averaged responses to them, as deviations from the mean map of the training"
        " images, in deviations of each channel. Both maps of a row share the scale beside them (in deviations; arrows: values"
        " beyond it), red above and blue below the mean. Images are chosen by rule: those at the 90, 50 and 10\u202f% quantile of"
        " the correlation; the single channels are the two in which maps of validation images agree best. Maps of responses:"
        f" {dataset.attrs['form']}. a and b, all pairs of test responses and images; vertical lines: means.",
        answer,
        finding_table("How similar the maps of responses and images are.", WORDS, found),
    )
    return Section("feature-maps", "Feature maps of images and of responses", paragraphs=(answer,), figures=(part,))


@in_style
def draw_feature_maps(dataset: xr.Dataset) -> Figure:
    """Draw three examples, each with its maps averaged over channels and in single channels, above two histograms.

    Parameters
    ----------
    dataset
        From the analysis ``feature_maps``.
    """
    shown = [str(name) for name in dataset["shown"].to_numpy()]
    n_examples, n_shown = dataset.sizes["example"], len(shown)
    pixels = dataset["pixels"].to_numpy()
    tall = float(np.clip(45.0 * pixels.shape[1] / pixels.shape[2], 12.0, 20.0)) * n_examples * n_shown
    figure = new_figure(170, tall + 58)
    parts = figure.add_gridspec(2, 1, height_ratios=[tall, 52])
    above, below = (figure.add_subfigure(parts[part]) for part in range(2))
    panels = above.subplots(n_examples * n_shown, 3, squeeze=False)
    maps = np.stack([dataset[name].to_numpy() for name in ("image_maps", "neural_maps")])
    degrees = float(dataset.attrs.get("deg_per_pixel", 1.0))
    extent = (0.0, degrees * pixels.shape[2], degrees * pixels.shape[1], 0.0)
    for example in range(n_examples):
        for place, name in enumerate(shown):
            row = panels[example * n_shown + place]
            _clear(row)
            if place == 0:
                _draw_image(row[0], pixels[example], extent)
                row[0].set_ylabel(f"{LIMITS[example]}\u202f%", rotation=0, ha="right", va="center", labelpad=3)
            else:
                row[0].axis("off")
            limit = max(float(np.abs(maps[:, example, place]).max()) * 0.8, 1e-6)
            for side in range(2):
                drawn = row[1 + side].imshow(
                    maps[side, example, place], cmap="RdBu_r", norm=Normalize(-limit, limit), extent=extent, aspect="equal"
                )
            _add_bar(row, drawn, name)
    for panel in panels[-1, 1:]:
        panel.tick_params(axis="x", bottom=True, labelbottom=True, labelsize=6.5, length=2)
        panel.set_xticks(np.linspace(0.0, extent[1], 4).round(-1 if extent[1] > 60 else 0))
        panel.set_xlim(0.0, extent[1])
        panel.set_xlabel("degrees" if "deg_per_pixel" in dataset.attrs else "pixels", fontsize=7, labelpad=1)
    for panel, heading in zip(panels[0], HEADINGS, strict=True):
        panel.set_title(heading)
    left, right = below.subplots(1, 2)
    draw_matched_pairs(left, dataset["correlation"].to_numpy(), "a", "correlation of maps")
    draw_matched_pairs(right, dataset["similarity"].to_numpy(), "b", "structural similarity (SSIM)")
    return figure


def _draw_image(axes: Axes, pixels: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    spread = 2.5 * max(float(pixels.std()), 1e-6)
    middle = float(pixels.mean())
    axes.imshow(pixels, cmap="gray", vmin=middle - spread, vmax=middle + spread, extent=extent, aspect="equal")


def _add_bar(row: np.ndarray, drawn: AxesImage, name: str) -> None:
    """Put the scale that both maps of a row share beside them, named by the channel."""
    bar = row[2].figure.colorbar(drawn, ax=list(row[1:]), fraction=0.03, pad=0.01, aspect=8, extend="both")
    bar.ax.tick_params(labelsize=6, length=1.5)
    bar.ax.locator_params(nbins=3)
    bar.outline.set_visible(False)
    bar.ax.set_ylabel(f"{name}\n(deviations)", rotation=0, ha="left", va="center", fontsize=7, color=COLOURS["muted"][0])


def _clear(row: np.ndarray) -> None:
    for axes in row:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
