"""Numbers as words: percentages, points, intervals, with a dash where there is no number.

Accuracies and shares are written in per cent, differences of accuracies in points. Correlations, similarities and indices (Gini,
selectivity, sparseness, kernel alignment) are fractions by definition and stay as they are.
"""

import math
from collections.abc import Sequence

NOISE = 1e-12  # smaller numbers are rounding errors of sums
SMALL = 1e-4  # smaller numbers are written with an exponent
DASH = "–"
NARROW = "\u202f"  # the space between a number and its unit, at which no line breaks


def percent(fraction: float | None) -> str:
    r"""Write a fraction as a percentage: one decimal from 1 % up, two significant digits below; a dash where there is none.

    Examples
    --------
    >>> percent(0.9321), percent(1 / 280), percent(-0.032), percent(1e-17), percent(None)
    ('93.2\u202f%', '0.36\u202f%', '−3.2\u202f%', '0\u202f%', '–')
    """
    return percents(fraction)[0]


def percents(*fractions: float | None) -> tuple[str, ...]:
    r"""Write fractions that belong together as percentages of as many decimals: a value and the ends of its interval, for example.

    Examples
    --------
    >>> percents(0.014, -0.0042, 0.033), percents(0.0042, 0.0), percents(0.9996, 1.0)
    (('1.4\u202f%', '−0.4\u202f%', '3.3\u202f%'), ('0.42\u202f%', '0.00\u202f%'), ('99.96\u202f%', '100.00\u202f%'))
    """
    # what rounding leaves of zero is zero
    values = [None if one is None else 0.0 if abs(one) < 1e-8 else 100 * float(one) for one in fractions]
    largest = max(map(abs, _known(values)), default=0.0)
    decimals = 0 if largest == 0 else 1 if largest >= 1 else 1 - math.floor(math.log10(largest))
    return tuple(word if word == DASH else f"{word}{NARROW}%" for word in _with_decimals(values, decimals))


def interval(low: float | None, high: float | None) -> str:
    r"""Write an interval of fractions as percentages, such as ``'90.1 to 95.7\u202f%'``; a dash where there is none."""
    first, last = percents(low, high)
    return from_to(first.removesuffix(f"{NARROW}%"), last)


def number(value: int | float | None, digits: int = 3) -> str:
    """Write a number with so many significant digits, or fewer where these are exact; a dash where there is none.

    Examples
    --------
    >>> number(0.123456), number(0.90004), number(0.9), number(1500), number(1.5), number(1e-5)
    ('0.123', '0.900', '0.9', '1,500', '1.5', '1e-05')
    """
    return numbers(value, digits=digits)[0]


def numbers(*values: int | float | None, digits: int = 3) -> tuple[str, ...]:
    """Write numbers that belong together with as many decimals: the largest has so many significant digits.

    There are more decimals where different numbers would else look the same, and fewer where these are exact.

    Examples
    --------
    >>> numbers(0.90004, 0.885, 0.9139), numbers(4.6, 4.1, 5.0), numbers(0.0325, -0.00877, 0.0825)
    (('0.900', '0.885', '0.914'), ('4.6', '4.1', '5.0'), ('0.0325', '−0.0088', '0.0825'))
    """
    values = tuple(None if one is None else 0.0 if abs(one) < NOISE else one for one in values)
    largest = max(map(abs, _known(values)), default=0.0)
    if 0 < largest < SMALL:
        words = iter([("−" if one < 0 else "") + f"{abs(one):.{digits}g}" for one in _known(values)])
        return tuple(next(words) if _is_known(one) else DASH for one in values)
    decimals = max(0, digits - 1 - math.floor(math.log10(largest))) if largest else 0
    enough = (some for some in range(decimals) if all(abs(round(one, some) - one) < 1e-9 * largest for one in _known(values)))
    return _with_decimals(values, next(enough, decimals))


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _known(values: Sequence[float | None]) -> list[float]:
    return [one for one in values if one is not None and math.isfinite(one)]


def _with_decimals(values: Sequence[float | None], decimals: int) -> tuple[str, ...]:
    """Write numbers with so many decimals, halves up, or with up to two more where different ones would look the same."""
    n_different = len(set(_known(values)))

    def written(more: int) -> list[str]:
        nudge = 1e-6 * 10.0 ** -(decimals + more)  # a half that rounding has made smaller is a half
        words = [f"{abs(one) + nudge:,.{decimals + more}f}" for one in _known(values)]
        return ["−" * (one < 0 and bool(word.strip("0.,"))) + word for one, word in zip(_known(values), words, strict=True)]

    tried = (words for words in map(written, range(3)) if len(set(words)) == n_different)
    words = iter(next(tried, written(0)))
    return tuple(next(words) if _is_known(one) else DASH for one in values)


def from_to(low: str, high: str) -> str:
    """Join the ends of a range that are written already; a dash where either is missing."""
    return DASH if DASH in (low, high) else f"{low} to {high}"
