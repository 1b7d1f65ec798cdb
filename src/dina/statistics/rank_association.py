"""Association by rank, with intervals: Spearman's correlation, and the area under the ROC curve."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtri
from scipy.stats import rankdata

from dina.checks import DataError
from dina.statistics.finding import Finding
from dina.statistics.resampling import LEVEL

FEWEST = 5


def spearman_with_interval(
    first: Float[np.ndarray, "item"], second: Float[np.ndarray, "item"], level: float = LEVEL
) -> tuple[float, float, float]:
    r"""Return Spearman's correlation over the items where both are finite, and the ends of its interval of coverage ``level``.

    Both are in any unit; items count as independent. All three are NaN with fewer than five items, or where one of the two does not
    vary.

    Notes
    -----
    The interval is symmetric in :math:`z = \operatorname{artanh}\rho` with variance :math:`(1 + \rho^2/2)/(n - 3)`.

    References
    ----------
    Bonett & Wright (2000), Psychometrika 65:23. https://doi.org/10.1007/BF02294183

    Examples
    --------
    >>> items = np.arange(6.0)
    >>> spearman_with_interval(items, items**3)
    (1.0, 1.0, 1.0)
    """
    known = np.isfinite(first) & np.isfinite(second)
    n_known = int(known.sum())
    if n_known < FEWEST:
        return np.nan, np.nan, np.nan
    ranks = [rankdata(values[known]) - (n_known + 1) / 2 for values in (first, second)]
    spread = float(np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1])))
    if spread == 0:
        return np.nan, np.nan, np.nan
    correlation = float(np.clip(ranks[0] @ ranks[1] / spread, -1.0, 1.0))
    if abs(correlation) == 1:
        return correlation, correlation, correlation
    reach = float(ndtri(0.5 + level / 2)) * float(np.sqrt((1 + correlation**2 / 2) / (n_known - 3)))
    centre = float(np.arctanh(correlation))
    return correlation, float(np.tanh(centre - reach)), float(np.tanh(centre + reach))


def spearman_null(n: int, level: float = LEVEL) -> float:
    r"""Return the half width of the central range of Spearman's correlation between unrelated items.

    Notes
    -----
    Under the null :math:`\rho\sqrt{n - 1}` is close to standard normal for some twenty items and more.

    Examples
    --------
    >>> round(spearman_null(401), 3)
    0.098
    """
    return float(ndtri(0.5 + level / 2)) / float(np.sqrt(n - 1)) if n > 1 else np.nan


def rank_correlation(
    name: str,
    first: Float[np.ndarray, "item"],
    second: Float[np.ndarray, "item"],
    reason: str = "",
    interval: tuple[float, float] | None = None,
) -> Finding:
    """Return Spearman's correlation of two measures of neurons (NaN where unknown) as a finding; null: neurons permuted.

    ``reason`` says why it is undefined, if not for too few neurons or a measure that does not vary. ``interval`` replaces that of
    `spearman_with_interval` where more than neurons was sampled.

    Examples
    --------
    >>> found = rank_correlation("agreement", np.arange(6.0), np.arange(6.0) ** 3)
    >>> found.value, found.n, round(found.null_high, 3)
    (1.0, 6, 0.877)
    """
    n_known = int((np.isfinite(first) & np.isfinite(second)).sum())
    value, low, high = spearman_with_interval(first, second)
    if np.isnan(value):
        reason = reason or "Too few neurons, or one of the two measures does not vary."
        return Finding(name, value, "1", n_known, reason=reason)
    reach = spearman_null(n_known)
    return Finding(name, value, "1", n_known, *(interval or (low, high)), -reach, reach, "neurons permuted")


def roc_area(
    values: Float[np.ndarray, "item"], is_positive: Bool[np.ndarray, "item"], level: float = LEVEL
) -> tuple[float, float, float]:
    """Return how often a positive item has a larger value than a negative one, ties by half, with its interval.

    ``values``, in any unit and finite, are larger for items that should be positive. One half is chance.

    Raises
    ------
    DataError
        If all items, or none, are positive.

    Notes
    -----
    DeLong's variance: that of the placements of positives among negatives over their number, plus the reverse. The interval
    is cut off at 0 and 1.

    References
    ----------
    DeLong et al. (1988), Biometrics 44:837. https://doi.org/10.2307/2531595

    Examples
    --------
    >>> roc_area(np.array([3.0, 2.0, 1.0, 2.0]), np.array([True, True, False, False]))[0]
    0.875
    """
    n_positive = int(is_positive.sum())
    n_negative = len(values) - n_positive
    if not n_positive or not n_negative:
        raise DataError(f"A ROC curve needs positive and negative items; got {n_positive} and {n_negative}.")
    ranks = rankdata(values)
    # of each positive: the fraction of negatives below it; of each negative: the fraction of positives above it
    above = (ranks[is_positive] - rankdata(values[is_positive])) / n_negative
    below = 1 - (ranks[~is_positive] - rankdata(values[~is_positive])) / n_positive
    area = float(above.mean())
    parts = [part.var(ddof=1) / len(part) if len(part) > 1 else 0.0 for part in (above, below)]
    reach = float(ndtri(0.5 + level / 2) * np.sqrt(sum(parts)))
    return area, max(0.0, area - reach), min(1.0, area + reach)
