"""Names of lines, written beside the axes where no line, band or other name lies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression


def name_lines(axes: Axes, ends: Sequence[tuple[float, str, str]], height_points: float, size: float = 7.5) -> None:
    """Write the name of each line (height, name, colour) at the right of the axes, moved so that no two names overlap.

    ``height_points`` is the height of the axes, in points.
    """
    low, high = axes.get_ylim()
    spacing = (size + 2) * (high - low) / height_points  # one line of text in the units of the axis
    places = spread(np.array([end for end, _, _ in ends]), spacing, low + spacing / 2, high)
    beside = axes.get_yaxis_transform()
    for place, (end, text, colour) in zip(places, ends, strict=True):
        arrow = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
        where: Any = {"xycoords": beside, "xytext": (1.035, float(place)), "textcoords": beside, "arrowprops": arrow}
        axes.annotate(text, (1.0, end), color=colour, va="center", fontsize=size, **where)


def spread(values: np.ndarray, spacing: float, low: float, high: float) -> np.ndarray:
    """Move values apart until neighbours are ``spacing`` apart, keeping their order and staying in [low, high] if they fit.

    Examples
    --------
    >>> spread(np.array([1.0, 1.0, 5.0]), 1.0, 0.0, 10.0).tolist()
    [0.5, 1.5, 5.0]
    """
    order = np.argsort(values, kind="stable")
    room = spacing * np.arange(len(values))
    # less the room of the labels below, places need only be in order: labels that touch get the mean of their values
    places = np.clip(isotonic_regression(values[order] - room).x, low, max(low, high - room[-1])) + room
    result = np.empty_like(places)
    result[order] = places
    return result
