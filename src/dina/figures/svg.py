"""Figures as SVG: the same bytes every time, text kept as text, and a form that follows the page's light or dark paper."""

import io
import re
import warnings

import matplotlib as mpl
from matplotlib.figure import Figure

from dina.figures.canvas import RC
from dina.figures.style import COLOURS

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
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue().replace("'DejaVu Sans'", FONTS)
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
