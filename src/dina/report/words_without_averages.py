"""The words of a page whose responses are all single trials: no sentence speaks of averages."""

import re
from dataclasses import replace

from dina.figures.parts import FigurePart, Section, Table

_AVERAGED = re.compile(r"\b(the )?averaged? ((?:measured )?(?:responses?|queries)\b)", re.IGNORECASE)
_OVER_TRIALS = re.compile(r",? mean over (?:its|the) trials(?: of (?:this|each|an) image)?")


def without_averages(words: str) -> str:
    """Return a sentence that speaks of responses instead of averaged responses.

    Examples
    --------
    >>> without_averages("Averaged responses as queries; maps of the averaged measured responses.")
    'Responses as queries; maps of the measured responses.'
    """

    def shorter(found: re.Match[str]) -> str:
        rest = (found[1] or "") + found[2]
        return rest[0].upper() + rest[1:] if found[0][0].isupper() else rest

    return _OVER_TRIALS.sub("", _AVERAGED.sub(shorter, words))


def say_without_averages(section: Section) -> Section:
    """Return a section whose words, captions and tables speak of responses instead of averaged responses."""
    return replace(
        section,
        title=without_averages(section.title),
        paragraphs=tuple(map(without_averages, section.paragraphs)),
        figures=tuple(map(_of_figure, section.figures)),
        tables=tuple(map(_of_table, section.tables)),
        missing=tuple(map(without_averages, section.missing)),
    )


def _of_figure(part: FigurePart) -> FigurePart:
    caption, alternative = without_averages(part.caption), without_averages(part.alternative)
    return replace(part, caption=caption, alternative=alternative, table=_of_table(part.table))


def _of_table(table: Table) -> Table:
    rows = tuple(tuple(map(without_averages, row)) for row in table.rows)
    return replace(table, caption=without_averages(table.caption), columns=tuple(map(without_averages, table.columns)), rows=rows)
