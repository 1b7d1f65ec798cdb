"""A table of findings as they are: value, interval, null, and what the null is."""

from collections.abc import Mapping

from dina.figures.parts import Table
from dina.figures.words import DASH, number
from dina.statistics.finding import Finding


def finding_table(caption: str, words: Mapping[str, str], found: Mapping[str, Finding]) -> Table:
    """Return the table of those findings that are there, in the order of ``words``.

    Parameters
    ----------
    caption
        One sentence saying what the table holds.
    words
        Name of a finding → what it is, for the first column.
    found
        Findings by name.
    """
    rows = tuple(
        (
            words[name],
            number(one.value),
            _range(one.low, one.high),
            _range(one.null_low, one.null_high),
            one.null or DASH,
        )
        for name, one in ((name, found[name]) for name in words if name in found)
    )
    return Table(caption, ("statistic", "value", "95\u202f% interval", "null", "what the null is"), rows)


def _range(low: float, high: float) -> str:
    ends = number(low), number(high)
    return DASH if DASH in ends else f"{ends[0]} to {ends[1]}"
