"""Test images beside what can be rebuilt of them, and how alike reconstructions are with their own and with other images."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS

HEADINGS = ("image shown", "linear", "convolutional", "from its own map")
N_BINS = 30
WIDTH_MM = 170


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
    _draw_pairs(left, dataset["correlation"].to_numpy()[0], "a", "correlation of pixels, linear")
    _draw_pairs(right, dataset["similarity"].to_numpy()[0], "b", "structural similarity (SSIM), linear")
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


def _draw_pairs(axes: Axes, pairs: np.ndarray, letter: str, label: str) -> None:
    """Draw the distribution of reconstructions with their own images over that with other images, each with its mean."""
    matched, others = pairs.diagonal(), pairs[~np.eye(len(pairs), dtype=bool)]
    bins = np.linspace(float(np.quantile(pairs, 0.001)), float(pairs.max()) + 1e-9, N_BINS + 1)
    for values, colour, words in ((others, "chance", "other images"), (matched, "dina", "its own image")):
        share = 100 * np.histogram(np.clip(values, bins[0], bins[-1]), bins)[0] / len(values)
        axes.stairs(share, bins, fill=True, color=COLOURS[colour][0], alpha=0.55 if colour == "dina" else 0.4, label=words)
        axes.axvline(float(values.mean()), color=COLOURS[colour][0], linewidth=1.2)
    axes.set_xlabel(label)
    axes.set_ylabel("pairs (%)")
    axes.set_title(letter)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2, handlelength=1.2)
    finish_axes(axes, "y")
