"""Numbers as words: percentages, points, intervals, with a dash where there is no number.

Accuracies and shares are written in per cent, differences of accuracies in points. Correlations, similarities and indices (Gini,
selectivity, sparseness, kernel alignment) are fractions by definition and stay as they are.
"""

import math

DASH = "–"
NARROW = "\u202f"  # the space between a number and its unit, at which no line breaks


def percent(fraction: float | None) -> str:
    r"""Write a fraction as a percentage: one decimal from 1 % up, two significant digits below; a dash where there is none.

    Examples
    --------
    >>> percent(0.9321), percent(1 / 280), percent(-0.032), percent(1e-17), percent(None)
    ('93.2\u202f%', '0.36\u202f%', '−3.2\u202f%', '0\u202f%', '–')
    """
    if fraction is None or not math.isfinite(fraction):
        return DASH
    value = 100 * float(fraction)
    if abs(value) < 1e-6:  # what rounding leaves of zero
        return f"0{NARROW}%"
    return (f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}").replace("-", "−", 1) + f"{NARROW}%"


def interval(low: float | None, high: float | None) -> str:
    r"""Write an interval of fractions as percentages, such as ``'90.1 to 95.7\u202f%'``; a dash where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    return f"{percent(low).removesuffix(f'{NARROW}%')} to {percent(high)}"


def signed(value: float | None, digits: int) -> str:
    """Write a number with its sign and so many decimals, a dash where there is none.

    Examples
    --------
    >>> signed(1.23, 1), signed(-0.2, 1), signed(0.0, 1)
    ('+1.2', '−0.2', '0.0')
    """
    if value is None or not math.isfinite(value):
        return DASH
    value = round(value, digits)
    return ("+" if value > 0 else "−" if value < 0 else "") + f"{abs(value):.{digits}f}"


def number(value: int | float | None, digits: int = 3) -> str:
    """Write a number with so many significant digits, a dash where there is none.

    Examples
    --------
    >>> number(0.123456), number(1500), number(1.5), number(1e-5)
    ('0.123', '1,500', '1.5', '1e-05')
    """
    if value is None or not math.isfinite(value):
        return DASH
    if value == round(value) or abs(value) >= 10**digits:
        return f"{round(value):,}".replace("-", "−")
    return f"{value:.{digits}g}".replace("-", "−", 1) if value < 0 else f"{value:.{digits}g}"


def from_to(low: str, high: str) -> str:
    """Join the ends of a range that are written already; a dash where either is missing."""
    return DASH if DASH in (low, high) else f"{low} to {high}"


def p_words(p_value: float | None) -> str:
    """Write a p-value: three decimals, or "< 0.001"; a dash where there is none."""
    if p_value is None or not math.isfinite(p_value):
        return DASH
    return "<\N{NO-BREAK SPACE}0.001" if p_value < 0.001 else f"{p_value:.3f}"
