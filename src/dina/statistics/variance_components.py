"""How much of the spread of a number comes from seeds, from folds and from recordings."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import chdtri, fdtri

from dina.checks import DataError
from dina.statistics.finding import Finding

TAIL = 0.025


def variance_components(values: Float[np.ndarray, "..."], sources: Sequence[str]) -> tuple[Finding, ...]:
    r"""Divide the variance of a number between crossed sources and a rest.

    Variation with the seed of training, with the choice of test images (fold) and between recordings are three different
    errors. A mean over seeds says nothing about the other two.

    ``values`` holds one dimensionless number for every combination, with one axis for each source. For each source there is a
    finding ``variance_<source>``, then ``variance_rest`` (interactions and chance), in squared units of the values; ``n`` counts
    levels. Estimates are unbiased, so they can be below 0 where a source adds nothing. NaN, with the reason, where a source has one
    level or a combination is missing. The null of a source is the range of its estimate if it added nothing.

    Raises
    ------
    DataError
        If there is not one name for each axis.

    Notes
    -----
    Analysis of variance of the additive random-effects model
    :math:`y_{ijk} = \mu + a_i + b_j + c_k + e_{ijk}`: :math:`\hat\sigma_a^2 = (M_a - M_e) / m_a` with mean squares :math:`M`
    and :math:`m_a` values on each level. The interval of the difference of two mean squares is the modified
    large-sample one; the null follows from :math:`M_a / M_e \sim F`. Both assume normal effects. Two or three levels
    say little about a variance, and the interval says so.

    References
    ----------
    Searle, Casella & McCulloch (1992), Variance Components, chapter 4, https://doi.org/10.1002/9780470316856; Ting et al.
    (1990), J. Stat. Comput. Simul. 35:135, https://doi.org/10.1080/00949659008811240

    Examples
    --------
    Recordings differ, seeds do not:

    >>> values = np.array([[0.2, 0.6, 0.4], [0.3, 0.5, 0.4]])
    >>> [round(finding.value, 4) for finding in variance_components(values, ("seed", "recording"))]
    [-0.0017, 0.02, 0.005]
    """
    if values.ndim != len(sources):
        raise DataError(f"Each axis needs one name; got {values.ndim} axes and {len(sources)} names. Name every source once.")
    if not np.isfinite(values).all():
        return _unknown(values, sources, "A combination is missing; all must be there to divide the variance.")
    freedom, squares = [], []
    for axis in range(values.ndim):
        means = values.mean(axis=tuple(other for other in range(values.ndim) if other != axis))
        freedom.append(len(means) - 1)
        squares.append(float(values.size / len(means) * ((means - values.mean()) ** 2).sum()))
    rest_freedom = values.size - 1 - sum(freedom)
    if rest_freedom < 1:
        return _unknown(values, sources, "Fewer than two sources have two levels each; no variance is left to compare them with.")
    rest = max(float(((values - values.mean()) ** 2).sum()) - sum(squares), 0.0) / rest_freedom
    found = [
        _component(f"variance_{source}", square, levels_freedom, rest, rest_freedom, values.size // n_levels)
        if levels_freedom
        else Finding(f"variance_{source}", math.nan, "1", 1, reason=f"There is one {source} only.")
        for source, square, levels_freedom, n_levels in zip(sources, squares, freedom, values.shape, strict=True)
    ]
    low, high = rest / _upper_of_many(TAIL, rest_freedom), rest / _upper_of_many(1 - TAIL, rest_freedom)
    return (*found, Finding("variance_rest", rest, "1", values.size, low, high))


def _component(name: str, square: float, levels_freedom: int, rest: float, rest_freedom: int, per_level: int) -> Finding:
    mean_square = square / levels_freedom
    low, high = _difference_interval(mean_square, levels_freedom, rest, rest_freedom)
    null_low, null_high = ((float(fdtri(levels_freedom, rest_freedom, p)) - 1) * rest / per_level for p in (TAIL, 1 - TAIL))
    value = (mean_square - rest) / per_level
    words = "the source adds nothing"
    return Finding(name, value, "1", levels_freedom + 1, low / per_level, high / per_level, null_low, null_high, words)


def _difference_interval(first: float, levels_freedom: int, second: float, other: int) -> tuple[float, float]:
    """Return the modified large-sample interval of the difference of two expected mean squares (Ting et al. 1990)."""
    g1, h2 = 1 - 1 / _upper_of_many(TAIL, levels_freedom), 1 / _upper_of_many(1 - TAIL, other) - 1
    h1, g2 = 1 / _upper_of_many(1 - TAIL, levels_freedom) - 1, 1 - 1 / _upper_of_many(TAIL, other)
    high, low = float(fdtri(levels_freedom, other, 1 - TAIL)), float(fdtri(levels_freedom, other, TAIL))
    g12 = ((high - 1) ** 2 - g1**2 * high**2 - h2**2) / high
    h12 = ((1 - low) ** 2 - h1**2 * low**2 - g2**2) / low
    below = g1**2 * first**2 + h2**2 * second**2 + g12 * first * second
    above = h1**2 * first**2 + g2**2 * second**2 + h12 * first * second
    return first - second - math.sqrt(max(below, 0.0)), first - second + math.sqrt(max(above, 0.0))


def _upper_of_many(probability: float, freedom: int) -> float:
    """Return the number that a mean square of expectation 1 exceeds with this probability."""
    return float(chdtri(freedom, probability)) / freedom


def _unknown(values: np.ndarray, sources: Sequence[str], reason: str) -> tuple[Finding, ...]:
    counts = [*zip(sources, values.shape, strict=True), ("rest", values.size)]
    return tuple(Finding(f"variance_{source}", math.nan, "1", n, reason=reason) for source, n in counts)
