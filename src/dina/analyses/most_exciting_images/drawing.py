"""Most exciting images of single neurons by two models, and whether the models agree more on one neuron than on two."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.canvas import finish_axes, in_style, new_figure
from dina.figures.style import COLOURS

HEADINGS = ("first model", "second model", "best natural image")
WIDTH_MM = 170
BELOW_MM = 42


@in_style
def draw_inception_loop(dataset: xr.Dataset) -> Figure:
    """Draw one row of three images for each neuron, above two comparisons of own with other neurons' images.

    Parameters
    ----------
    dataset
        From the analysis ``inception_loop``.
    """
    exciting, natural = dataset["exciting"].to_numpy(), dataset["best_natural"].to_numpy()
    n_neurons = len(natural)
    tall = min(24.0, 0.9 * WIDTH_MM / 3 * natural.shape[1] / natural.shape[2])
    above_mm = (tall + 2) * n_neurons + 8
    figure = new_figure(WIDTH_MM, above_mm + BELOW_MM)
    parts = figure.add_gridspec(2, 1, height_ratios=[above_mm, BELOW_MM])
    above, below = (figure.add_subfigure(parts[part]) for part in range(2))
    panels = above.subplots(n_neurons, 3, squeeze=False)
    limit = 2.5 * float(dataset.attrs["contrast"])
    for number, row in enumerate(panels):
        for axes, image in zip(row, (exciting[0, number], exciting[1, number], natural[number]), strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            axes.imshow(image, cmap="gray", vmin=-limit, vmax=limit, aspect="equal")
        told = f"neuron {int(dataset['neuron_index'][number])}\nr = {float(dataset['test_correlation'][number]):.2f}"
        row[0].set_ylabel(told, rotation=0, ha="right", va="center", labelpad=3, fontsize=7)
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
