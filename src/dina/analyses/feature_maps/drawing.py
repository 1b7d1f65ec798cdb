"""Test images beside their maps and the maps of the responses to them, and how alike matched and mismatched maps are."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS

HEADINGS = ("image shown", "map of the image", "map of the response")
N_BINS = 30
LIMITS = ("90", "50", "10")  # quantiles that the examples stand for


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
        for number, name in enumerate(shown):
            row = panels[example * n_shown + number]
            _clear(row)
            if number == 0:
                _draw_image(row[0], pixels[example], extent)
                row[0].set_ylabel(f"{LIMITS[example]}\u202f%", rotation=0, ha="right", va="center", labelpad=3)
            else:
                row[0].axis("off")
            limit = max(float(np.abs(maps[:, example, number]).max()) * 0.8, 1e-6)
            for side in range(2):
                drawn = row[1 + side].imshow(
                    maps[side, example, number], cmap="RdBu_r", norm=Normalize(-limit, limit), extent=extent, aspect="equal"
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
    _draw_pairs(left, dataset["correlation"].to_numpy(), "a", "correlation of maps")
    _draw_pairs(right, dataset["similarity"].to_numpy(), "b", "structural similarity (SSIM)")
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


def _draw_pairs(axes: Axes, pairs: np.ndarray, letter: str, label: str) -> None:
    """Draw the distribution of matched pairs over that of mismatched ones, each with its mean."""
    matched, others = pairs.diagonal(), pairs[~np.eye(len(pairs), dtype=bool)]
    bins = np.linspace(float(np.quantile(pairs, 0.001)), float(pairs.max()), N_BINS + 1)
    for values, colour, words in ((others, "chance", "other images"), (matched, "dina", "its own image")):
        share = 100 * np.histogram(np.clip(values, bins[0], bins[-1]), bins)[0] / len(values)
        axes.stairs(share, bins, fill=True, color=COLOURS[colour][0], alpha=0.55 if colour == "dina" else 0.4, label=words)
        axes.axvline(float(values.mean()), color=COLOURS[colour][0], linewidth=1.2)
    axes.set_xlabel(label)
    axes.set_ylabel("pairs (%)")
    axes.set_title(letter)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2, handlelength=1.2)
    finish_axes(axes, "y")
