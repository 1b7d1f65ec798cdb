"""What a page is made of: sections with paragraphs, tables, and figures that bring their own words and table."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """A table of finished words; headings have units, and the first column names the row.

    The first ``n_words`` columns hold words, set to the left; the others hold numbers, set to the right.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_words: int = 1


@dataclass(frozen=True, eq=False)
class FigurePart:
    """A figure ``figures/<name>.svg`` with its caption, ``alternative`` for readers who cannot see it, and the numbers drawn."""

    name: str
    figure: Figure
    caption: str
    alternative: str
    table: Table


@dataclass(frozen=True)
class Line:
    """A line of a list, with what is ``folded`` under it."""

    words: str
    folded: str = ""


@dataclass(frozen=True, eq=False)
class Section:
    """One section of the page; ``missing`` says what could not be shown here, and why. ``lists`` have a heading each."""

    anchor: str
    title: str
    paragraphs: Sequence[str] = ()
    figures: Sequence[FigurePart] = ()
    tables: Sequence[Table] = ()
    missing: Sequence[str] = ()
    lists: Sequence[tuple[str, Sequence[Line]]] = ()
