"""Differences as words, with their sign, and how likely they are by luck."""

import math

from dina.figures.words import DASH, NARROW, from_to


def signed(value: float | None, digits: int) -> str:
    """Write a number with its sign and so many decimals, a dash where there is none.

    Examples
    --------
    >>> signed(1.23, 1), signed(-0.2, 1), signed(0.0, 1)
    ('+1.2', '−0.2', '0.0')
    """
    if value is None or not math.isfinite(value):
        return DASH
    value = round(value + math.copysign(1e-9, value), digits)  # halves up
    return ("+" if value > 0 else "−" if value < 0 else "") + f"{abs(value):.{digits}f}"


def points(difference: float | None) -> str:
    r"""Write a difference of two fractions in percentage points, with its sign; a dash where there is none.

    Examples
    --------
    >>> points(0.1234), points(-0.0021), points(None)
    ('+12.3\u202fpoints', '−0.2\u202fpoints', '–')
    """
    written = signed(None if difference is None else 100 * difference, 1)
    return written if written == DASH else f"{written}{NARROW}points"


def points_interval(low: float | None, high: float | None) -> str:
    r"""Write an interval of differences of fractions in percentage points, such as ``'−1.2 to +3.4\u202fpoints'``."""
    return from_to(points(low).removesuffix(f"{NARROW}points"), points(high))


def p_words(p_value: float | None) -> str:
    """Write a p-value: three decimals, or "< 0.001"; a dash where there is none."""
    if p_value is None or not math.isfinite(p_value):
        return DASH
    return "<\N{NO-BREAK SPACE}0.001" if p_value < 0.001 else f"{p_value:.3f}"
