"""Figures that all look alike: sizes in millimetres, one font, light lines, no global state of matplotlib."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dina.figures.style import COLOURS

Parameters = ParamSpec("Parameters")

RC: Any = {  # Widths are measured in DejaVu Sans, which ships with matplotlib and is wider than the fonts shown: so layout is
    # the same on every machine and no label can run into another.
    "font.family": ["DejaVu Sans"],
    "font.size": 8.0,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",
    "svg.image_inline": True,
    "axes.linewidth": 0.6,
    "axes.edgecolor": COLOURS["muted"][0],
    "axes.labelcolor": COLOURS["ink"][0],
    "axes.labelsize": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": COLOURS["ink"][0],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "text.color": COLOURS["ink"][0],
    "xtick.color": COLOURS["muted"][0],
    "ytick.color": COLOURS["muted"][0],
    "xtick.labelcolor": COLOURS["ink"][0],
    "ytick.labelcolor": COLOURS["ink"][0],
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": COLOURS["grid"][0],
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "figure.facecolor": COLOURS["paper"][0],
    "axes.facecolor": "none",
}


def in_style(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Make a drawing function work under the report's settings of matplotlib, and leave everyone else's alone."""

    @wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with mpl.rc_context(RC):
            return draw(*args, **kwargs)

    return drawn


def new_figure(width_mm: int | float, height_mm: int | float) -> Figure:
    """Return an empty figure of the given size that lays itself out; it belongs to no global state."""
    return Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout="constrained")


def finish_axes(axes: Axes, grid: Literal["x", "y", "both"]) -> None:
    """Give a pair of axes its light grid lines."""
    axes.grid(axis=grid)
    axes.tick_params(length=2.5)
