"""Tables, figures and methods of a page as files for a paper: CSV, SVG and PDF, for one column and for two."""

import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends import backend_mixed, backend_pdf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from dina.artifacts import atomic_path, write_text
from dina.figures.canvas import RC, svg_of
from dina.figures.parts import Section
from dina.report.table_files import plain, table_csv
from dina.safe_words import one_line

# Columns of a journal → width in mm, and size of the usual letters in points.
WIDTHS = {"single": (88.0, 6.0), "double": (180.0, 7.0)}
USUAL = 8.0  # size of letters on the page, in points
MM_PER_INCH = 25.4
# their functions have no types
_PDF: Any = backend_pdf
_MIXED: Any = backend_mixed


def export_page(sections: Sequence[Section], methods: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """Write every table and figure of a page, and the methods paragraph, into a folder, which is made.

    Parameters
    ----------
    sections, methods
        Of the page. Figures are laid out anew: draw the page first.
    folder
        Gets ``tables/*.csv`` (one number to a cell; no cell is a formula), ``tables/README.txt`` with the caption of each, ``figures/*-single.svg``, ``*-double.svg`` and the same as
        ``.pdf`` (88 and 180 mm wide), ``figures/README.txt`` with caption and size of letters of each, and ``methods.txt``.

    Returns
    -------
    written
        All files, in the order of the page.
    """
    written, captions, titles = [], [], []
    for section in sections:
        named = [(part.name, part.table) for part in section.figures]
        count = len(section.tables)
        named += [
            (section.anchor.replace("-", "_") + (f"_{place}" if count > 1 else ""), table)
            for place, table in enumerate(section.tables, 1)
        ]
        for name, table in ((name, table) for name, table in named if table.rows):
            written.append(folder / "tables" / f"{name}.csv")
            write_text(written[-1], table_csv(table))
            titles.append(f"{name}.csv\n{section.title}. {plain(table.caption)}\n")
        for part in section.figures:
            sizes = []
            for column in WIDTHS:
                paths = [folder / "figures" / f"{part.name}-{column}.{ending}" for ending in ("svg", "pdf")]
                sizes.append(f"{column} column: letters of {_write_figure(part.figure, part.name, column, *paths):.1f} pt")
                written += paths
            captions.append(f"{part.name} ({'; '.join(sizes)})\n{one_line(part.caption)}\n")
    if titles:
        written.append(folder / "tables" / "README.txt")
        write_text(written[-1], "\n".join(titles))
    if captions:
        written.append(folder / "figures" / "README.txt")
        write_text(written[-1], "\n".join(captions))
    if methods:
        methods = [one_line(line) for line in methods]
        written.append(folder / "methods.txt")
        write_text(written[-1], "\n\n".join([methods[0], "\n".join(methods[1:])]).rstrip() + "\n")
    return tuple(written)


def _write_figure(figure: Figure, name: str, column: str, svg: Path, pdf: Path) -> float:
    """Write a figure for a column, and return the size of its usual letters in points.

    It is laid out anew, so that letters have the size of the column. Where labels would then lie on each other, its layout stays and it
    is made smaller as a whole, never larger.
    """
    width, letters = WIDTHS[column]
    before = figure.get_size_inches().copy()
    scale = letters / USUAL
    wanted = width / MM_PER_INCH / scale
    figure.set_size_inches(wanted, before[1] * max(1.0, wanted / before[0]) ** 0.5)
    if not _is_readable(figure):
        figure.set_size_inches(*before)
        scale = min(1.0, width / MM_PER_INCH / before[0])
    with mpl.rc_context(RC):
        write_text(svg, _scaled_svg(svg_of(figure, f"{name}-{column}"), scale))
        with atomic_path(pdf) as temporary:
            temporary.write_bytes(_pdf_of(figure, scale))
    figure.set_size_inches(*before)
    return USUAL * scale


def _is_readable(figure: Figure) -> bool:
    """Say whether all axes have room, all words lie inside the figure, and no two of them on each other."""
    canvas: Any = FigureCanvasAgg(figure)
    with mpl.rc_context(RC), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        canvas.draw()
    if any("collapsed" in str(one.message) for one in caught):
        return False
    renderer = canvas.get_renderer()
    frame, hidden = figure.bbox, _hidden_labels(figure)
    boxes = [
        text.get_window_extent(renderer)
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip() and text not in hidden
    ]
    if any(box.x0 < frame.x0 - 1 or box.x1 > frame.x1 + 1 or box.y0 < frame.y0 - 1 or box.y1 > frame.y1 + 1 for box in boxes):
        return False
    return not any(
        min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.2 * min(a.height, b.height)
        for place, a in enumerate(boxes)
        for b in boxes[:place]
    )


def _hidden_labels(figure: Figure) -> set[Text]:
    """Return the numbers of axes that are not drawn: of spare ticks, and of ticks beyond the ends of an axis."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            room = 1e-9 * max(abs(low), abs(high))
            used = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            inside = [tick for tick in used if low - room <= tick.get_loc() <= high + room]
            shown = {label for tick in inside for label in (tick.label1, tick.label2) if axes.axison and axes.get_visible()}
            hidden |= set(axis.findobj(Text)) - shown - {axis.label, axis.offsetText}
    return hidden


def _scaled_svg(text: str, scale: float) -> str:
    """Return an SVG that is shown at another size; what it draws stays as it is."""

    def scaled(found: re.Match[str]) -> str:
        return f'{found[1]} width="{float(found[2]) * scale:.3f}pt" height="{float(found[3]) * scale:.3f}pt"'

    return re.sub(r'(<svg[^>]*?) width="([\d.]+)pt" height="([\d.]+)pt"', scaled, text, count=1)


def _pdf_of(figure: Figure, scale: float) -> bytes:
    """Return a figure as PDF at another size, with letters that can be edited and no date."""
    buffer = io.BytesIO()
    nothing: dict[str, Any] = dict.fromkeys(("Creator", "Producer", "CreationDate"))
    with mpl.rc_context({**RC, "pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        dpi, figure.dpi = figure.dpi, 72  # a PDF has 72 units to the inch
        width, height = figure.get_size_inches()
        file = _PDF.PdfFile(buffer, metadata=nothing)
        try:
            file.newPage(scale * width, scale * height)
            # markers and lines beyond the page are left out, by their places before they are made smaller
            file.width, file.height = width, height
            file.output(scale, 0, 0, scale, 0, 0, _PDF.Op.concat_matrix)
            renderer = _MIXED.MixedModeRenderer(figure, width, height, 300, _PDF.RendererPdf(file, 300, height, width))
            figure.draw(renderer)
            renderer.finalize()
            file.finalize()
        finally:
            file.close()
            figure.dpi = dpi
    return buffer.getvalue()
