"""Figures that all look alike (millimetres, one font, light lines), and their SVG, the same bytes every time."""

import io
import re
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from dina.figures.fitting_layout import FittingLayout
from dina.figures.style import COLOURS

Parameters = ParamSpec("Parameters")

RC: Any = {  # Widths are measured in DejaVu Sans, which ships with matplotlib and is wider than the fonts shown: so layout is
    # the same on every machine and no label can run into another.
    "font.family": ["DejaVu Sans"],
    **dict.fromkeys(("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 8.0),
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor"), COLOURS["ink"][0]
    ),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), COLOURS["muted"][0]),
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width", "grid.linewidth"), 0.6),
    "grid.color": COLOURS["grid"][0],
    "figure.facecolor": COLOURS["paper"][0],
    "axes.facecolor": "none",
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "lines.linewidth": 1.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "svg.fonttype": "none",
    "svg.image_inline": True,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
}

CHANCE_LINE: Any = {"color": COLOURS["chance"][0], "linestyle": (0, (2, 1.5)), "linewidth": 1.0}


def in_style(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Make a drawing function work under the report's settings of matplotlib, and leave everyone else's alone."""

    @wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with mpl.rc_context(RC):
            return draw(*args, **kwargs)

    return drawn


def new_figure(width_mm: int | float, height_mm: int | float) -> Figure:
    """Return an empty figure of the given size that lays itself out; it belongs to no global state.

    Whatever is drawn, no label comes out longer than its axes, and an axis that counts has ticks at whole numbers only.
    """
    # the types of matplotlib know layouts by their names only
    layout: Any = FittingLayout()
    return Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout=layout)


def finish_axes(axes: Axes, grid: Literal["x", "y", "both"] | None, *, has_named_rows: bool = False) -> None:
    """Give axes their light grid lines; rows that have names need no tick and no line at the left.

    Without a grid only the image that is drawn is left: no ticks and no lines around it.
    """
    if grid is None:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        return
    axes.grid(axis=grid)
    axes.tick_params(length=2.5)
    if has_named_rows:
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)


def write_plain_numbers(*axis: Axis, form: str = "g") -> None:
    """Write the major ticks of an x or y axis as plain numbers, and none of the minor ones: mathematical text is switched off.

    A logarithmic axis must be made so before.
    """
    for one in axis:
        one.set_major_formatter(FuncFormatter(lambda value, _: format(value, form)))
        one.set_minor_formatter(NullFormatter())


FONTS = "'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def svg_of(figure: Figure, name: str) -> str:
    """Return a figure as SVG, the same bytes every time: no date, no program, ids from ``name``.

    Text is kept as text in a generic stack of fonts, so that it can be searched, read aloud and edited.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({**RC, "svg.hashsalt": name}), warnings.catch_warnings():
        # text stays text, so a letter that matplotlib's own font lacks is drawn by the reader's
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # `Figure.savefig` would draw everything twice, the first time only to lay it out, which drawing does by itself
        dpi = figure.dpi
        FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # type: ignore[no-untyped-call]
        figure.set_dpi(dpi)  # it was set to that of an SVG
    text = buffer.getvalue().replace("'DejaVu Sans'", FONTS)
    # names of clip paths are made from coordinates in all their digits, of which the last can differ between drawings
    for number, clip in enumerate(re.findall(r'<clipPath id="(\w+)"', text)):
        text = text.replace(clip, f"{name}-clip{number}")  # several drawings may be put into one file
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def inline_svg(svg: str, name: str) -> str:
    """Return an SVG to be put into a page: colours become CSS variables, ids become unique, nothing else changes.

    So the same drawing follows light and dark paper. The drawing is hidden from screen readers, for which the page
    gives a sentence and a table instead.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, count=1, flags=re.DOTALL)  # it would style the whole page
    used = set(re.findall(r"#([A-Za-z_][\w-]*)", body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'(href="#|url\(#)([^")]+)', rf"\g<1>{name}-\g<2>", body)
    for meaning, (light, _) in COLOURS.items():
        body = re.sub(light, f"var(--{meaning})", body, flags=re.IGNORECASE)
    body = re.sub(r'<svg([^>]*?) width="[\d.]+pt" height="[\d.]+pt"', r"<svg\1", body, count=1)
    return body.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
