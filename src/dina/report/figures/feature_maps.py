"""Test images beside their maps and the maps of the responses to them, and how alike matched and mismatched maps are."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dina.report.canvas import finish_axes, in_style, new_figure
from dina.report.style import COLOURS

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
    for example in range(n_examples):
        for number, name in enumerate(shown):
            row = panels[example * n_shown + number]
            _clear(row)
            if number == 0:
                spread = 2.5 * max(float(pixels[example].std()), 1e-6)
                middle = float(pixels[example].mean())
                row[0].imshow(pixels[example], cmap="gray", vmin=middle - spread, vmax=middle + spread, aspect="equal")
                row[0].set_ylabel(f"{LIMITS[example]}\u202f%", rotation=0, ha="right", va="center", labelpad=3)
            else:
                row[0].axis("off")
            limit = max(float(np.abs(maps[:, example, number]).max()) * 0.8, 1e-6)
            for side in range(2):
                row[1 + side].imshow(maps[side, example, number], cmap="RdBu_r", norm=Normalize(-limit, limit), aspect="equal")
            row[2].annotate(
                name,
                (1.02, 0.5),
                xycoords="axes fraction",
                va="center",
                fontsize=7,
                color=COLOURS["muted"][0],
                annotation_clip=False,
            )
    for panel, heading in zip(panels[0], HEADINGS, strict=True):
        panel.set_title(heading)
    left, right = below.subplots(1, 2)
    _draw_pairs(left, dataset["correlation"].to_numpy(), "a", "correlation of maps")
    _draw_pairs(right, dataset["similarity"].to_numpy(), "b", "structural similarity (SSIM)")
    return figure


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
