"""What a page is made of: sections with paragraphs, tables, and figures that bring their own words and table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """A table of finished words; the first column names the row.

    Parameters
    ----------
    caption
        One sentence saying what the table holds.
    columns
        Headings, with units.
    rows
        Cells as they are to be read.
    n_words
        How many of the first columns hold words, set to the left; the others hold numbers, set to the right.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_words: int = 1


@dataclass(frozen=True, eq=False)
class FigurePart:
    """A figure with its caption, the sentence that stands for it where it cannot be seen, and its numbers.

    Parameters
    ----------
    name
        Name of the file in ``figures/``, without ending.
    figure
        The drawing.
    caption
        What it shows, how many, and what the marks mean.
    alternative
        What a reader who cannot see it must know.
    table
        The numbers drawn.
    """

    name: str
    figure: Figure
    caption: str
    alternative: str
    table: Table


@dataclass(frozen=True, eq=False)
class Section:
    """One section of the page; ``missing`` says what could not be shown here, and why."""

    anchor: str
    title: str
    paragraphs: Sequence[str] = field(default=())
    figures: Sequence[FigurePart] = field(default=())
    tables: Sequence[Table] = field(default=())
    missing: Sequence[str] = field(default=())
