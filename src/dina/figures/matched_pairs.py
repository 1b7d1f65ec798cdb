"""Similarities of matched pairs over those of mismatched ones, as two histograms on axes that a figure provides."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from dina.figures.canvas import finish_axes
from dina.figures.style import COLOURS

N_BINS = 30


def draw_matched_pairs(axes: Axes, pairs: Float[np.ndarray, "item other"], letter: str, label: str) -> None:
    """Draw the distribution of matched pairs over that of mismatched ones, each with its mean.

    Parameters
    ----------
    axes
        Empty.
    pairs
        A similarity of every item with every image; matched pairs lie on the diagonal.
    letter
        Of the panel.
    label
        What the similarity is.
    """
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
