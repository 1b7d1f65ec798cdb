"""Intervals and p-values by resampling: Wilson's interval, the bootstrap over images, and permutation tests."""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri
from scipy.stats import t as student

from dina.checks import DataError, check_count

LEVEL = 0.95
"""Coverage of every interval in this package, unless said otherwise."""


FEWEST_DEFINED = 20
"""Values under the null that must be defined for a null to be given; it then holds where the statistic is defined."""

WELL_DEFINED = 0.95
"""Share of the resamples in which a statistic must be defined for an interval to be given: to leave more out would hide ends."""


def wilson_interval(fraction: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    r"""Return Wilson's score interval of a success fraction, for example of a top-1 accuracy.

    It stays inside [0, 1] and has width above zero at 0 and 1, unlike the normal interval.

    Parameters
    ----------
    fraction
        Observed fraction of successes in [0, 1]; need not be a multiple of 1/n (ties count by expectation).
    n
        Number of *independent* observations. Trials of one image are not independent: give the number of images.
    level
        Coverage in (0, 1).

    Returns
    -------
    low, high
        Ends of the interval, in [0, 1].

    Raises
    ------
    DataError
        If ``fraction`` lies outside [0, 1] or ``n`` is below 1.

    Notes
    -----
    With :math:`z` the normal quantile, the ends are
    :math:`(p + z^2/2n \pm z\sqrt{p(1-p)/n + z^2/4n^2}) / (1 + z^2/n)`.

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22:209. https://doi.org/10.1080/01621459.1927.10502953

    Examples
    --------
    No success among ten leaves z²/(n + z²) = 3.84/13.84 possible:

    >>> low, high = wilson_interval(0.0, 10)
    >>> round(low, 4), round(high, 4)
    (0.0, 0.2775)
    """
    check_count("n", n, 1)
    if not 0 <= fraction <= 1:
        raise DataError(f"A success fraction must lie between 0 and 1; got {fraction}.")
    z = float(ndtri(0.5 + level / 2))
    centre = fraction + z * z / (2 * n)
    spread = z * float(np.sqrt(fraction * (1 - fraction) / n + z * z / (4 * n * n)))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def resample_counts(n: int, n_resamples: int, generator: np.random.Generator) -> Int[np.ndarray, "resample item"]:
    """Draw bootstrap resamples of ``n`` items and count how often each item was drawn.

    Counts instead of indices turn every bootstrapped mean into one matrix product, also where the items (images)
    carry unequal numbers of trials.

    Returns
    -------
    counts
        Shape ``(n_resamples, n)``; every row sums to ``n``.

    Examples
    --------
    >>> resample_counts(5, 3, np.random.default_rng(0)).sum(axis=1)
    array([5, 5, 5])
    """
    drawn = generator.integers(n, size=(n_resamples, n))
    drawn += np.arange(n_resamples)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=n_resamples * n).reshape(n_resamples, n)


def percentile_interval(values: Float[np.ndarray, "resample"], level: float = LEVEL) -> tuple[float, float]:
    """Return the central interval holding ``level`` of the resampled values.

    Examples
    --------
    >>> percentile_interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def central_range(
    values: Float[np.ndarray, "resample"], at_least: float = WELL_DEFINED, fewest: int = FEWEST_DEFINED
) -> tuple[float, float]:
    """Return the central 95 % of the values that are defined; NaN if too few are.

    Parameters
    ----------
    values
        Resamples of a statistic, NaN where it is not defined.
    at_least
        Share of them that must be defined.
    fewest
        Number of them that must be defined.

    Examples
    --------
    >>> values = np.append(np.zeros(30), np.full(10, np.nan))
    >>> central_range(values), central_range(values, at_least=0.5)
    ((nan, nan), (0.0, 0.0))
    """
    defined = values[np.isfinite(values)]
    is_enough = len(defined) >= max(fewest, at_least * len(values))
    return percentile_interval(defined) if is_enough else (math.nan, math.nan)


def jackknife_interval(value: float, without: Float[np.ndarray, "item"]) -> tuple[float, float]:
    """Return the 95 % interval of a statistic from its values without each item in turn; NaN where one is not defined.

    Parameters
    ----------
    value
        Of all items, any unit.
    without
        Without each item, same unit, shape ``(n_items,)``.

    References
    ----------
    Efron & Stein (1981), Ann. Stat. 9:586. https://doi.org/10.1214/aos/1176345462

    Examples
    --------
    Of a mean it is Student's interval:

    >>> items = np.array([1.0, 2.0, 3.0])
    >>> low, high = jackknife_interval(2.0, (6 - items) / 2)
    >>> round(low, 2), round(high, 2)
    (-0.48, 4.48)
    """
    if not np.isfinite([value, *without]).all():
        return math.nan, math.nan
    n = len(without)
    error = math.sqrt((n - 1) * float(((without - without.mean()) ** 2).mean()))
    reach = float(student.ppf(0.5 + LEVEL / 2, n - 1)) * error
    return value - reach, value + reach


def permutation_p_value(observed: float, permuted: Float[np.ndarray, "permutation"], extreme: Literal["small", "large"]) -> float:
    r"""Return how often chance does as well as what was observed, never 0.

    Parameters
    ----------
    observed
        The statistic of the data.
    permuted
        The statistic after each random permutation, shape ``(n_permutations,)``.
    extreme
        Whether "small" or "large" values speak against chance.

    Returns
    -------
    p_value
        :math:`(b + 1) / (m + 1)` in (0, 1], with :math:`b` of :math:`m` permutations at least as extreme; the
        observed assignment counts as one of them.

    References
    ----------
    Phipson & Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39. https://doi.org/10.2202/1544-6115.1585

    Examples
    --------
    >>> permutation_p_value(5.0, np.array([1.0, 2.0, 3.0]), "large")
    0.25
    """
    # sums in another order differ by rounding; such a permutation is as extreme as the observation itself
    slack = 1e-9 * max(1.0, abs(observed))
    as_extreme = permuted <= observed + slack if extreme == "small" else permuted >= observed - slack
    return (int(as_extreme.sum()) + 1) / (len(permuted) + 1)
