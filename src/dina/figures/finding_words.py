"""A finding in words, with its interval and its null."""

from dina.figures.words import DASH, from_to, interval, number, percent
from dina.statistics.finding import Finding


def in_a_sentence(one: Finding, scale: float | None = None) -> str:
    """Write a value with its interval and its null in brackets, as far as there are any; without a ``scale`` as a percentage.

    Examples
    --------
    >>> kept = Finding("kept", 0.5, "1", 40, low=0.4, high=0.6, null_low=-0.1, null_high=0.1, null="pairs permuted")
    >>> in_a_sentence(kept, 1)
    '0.5 (0.4 to 0.6; chance: −0.1 to 0.1)'
    >>> in_a_sentence(Finding("kept", 0.5, "1", 40), 100)
    '50 (no interval)'
    """
    ends = (one.low, one.high), (one.null_low, one.null_high)
    if scale is None:
        value, between, chance = percent(one.value), *(interval(low, high) for low, high in ends)
    else:
        value, between, chance = number(scale * one.value), *(from_to(number(scale * a), number(scale * b)) for a, b in ends)
    parts = ["no interval" if between == DASH else between, *([] if chance == DASH else [f"chance: {chance}"])]
    return f"{value} ({'; '.join(parts)})"


def write_percentages(one: Finding) -> tuple[str, str, str]:
    """Write value, interval and null of a fraction as percentages."""
    return percent(one.value), interval(one.low, one.high), interval(one.null_low, one.null_high)
