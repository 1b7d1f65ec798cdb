"""Intervals by formula: for a fraction of successes, from the jackknife, and for one more draw after many or only a few."""

import math

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri
from scipy.stats import t as student

from dina.checks import DataError
from dina.statistics.resampling import FEWEST_DEFINED, LEVEL


def wilson_interval(fraction: float, n: float, level: float = LEVEL, freedom: float = math.inf) -> tuple[float, float]:
    r"""Return Wilson's score interval of a success fraction, for example of a top-1 accuracy.

    It stays inside [0, 1] and has width above zero at 0 and 1, unlike the normal interval.

    Parameters
    ----------
    fraction
        Of successes, in [0, 1]; need not be a multiple of 1/n (ties count by expectation).
    n
        Number of *independent* observations, or as many as amount to the same. Trials of one image are not independent: give the
        number of images. For retrieval accuracies use `dina.retrieval.half_galleries`: there images depend on each other too.
    level
        Coverage in (0, 1).
    freedom
        Degrees of freedom with which ``n`` was estimated; Student's quantile then takes the place of the normal one.

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
    if not n >= 1:
        raise DataError(f"An interval of a success fraction needs at least 1 observation; got {n}. Give the number of images.")
    if not 0 <= fraction <= 1:
        raise DataError(f"A success fraction must lie between 0 and 1; got {fraction}.")
    z = float(student.ppf(0.5 + level / 2, freedom)) if freedom < math.inf else float(ndtri(0.5 + level / 2))
    centre = fraction + z * z / (2 * n)
    spread = z * float(np.sqrt(fraction * (1 - fraction) / n + z * z / (4 * n * n)))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def jackknife_interval(value: float, without: Float[np.ndarray, "item"]) -> tuple[float, float]:
    """Return the 95 % interval of a statistic from its values without each item in turn; NaN if one of these is undefined.

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


def prediction_reach(draws: Float[np.ndarray, "draw *more"], level: float = LEVEL) -> Float[np.ndarray, "*more"]:
    r"""Return the half width of the prediction interval of a few draws: one more draw lies in it with probability ``level``.

    Quantiles of a few draws are too narrow. One more draw lies outside the range of n draws in 2 of n + 1 cases: with four
    draws, in 40 %. The interval lies about the mean of the draws, which are independent and may be of several statistics.

    Raises
    ------
    DataError
        If there are fewer than two draws.

    Notes
    -----
    Prediction interval of a normal variable: :math:`t_{n-1} s \sqrt{1 + 1/n}` with the standard deviation :math:`s` of the draws.

    Examples
    --------
    >>> prediction_reach(np.array([[-1.0, 0.0], [1.0, 0.0]])).round(2)
    array([22.01,  0.  ])
    """
    n = len(draws)
    if n < 2:
        raise DataError(f"A range needs at least two draws; got {n}. Draw more.")
    quantile = float(student.ppf(0.5 + level / 2, n - 1))
    return np.asarray(quantile * draws.std(axis=0, ddof=1) * np.sqrt(1 + 1 / n))


def prediction_range(draws: Float[np.ndarray, "draw"], centre: float | None = None) -> tuple[float, float]:
    """Return the range in which one more draw of a statistic would lie with a probability of 95 %.

    The range lies about ``centre``, for example 0 for a difference between two draws; None for the mean of the draws.

    Examples
    --------
    >>> low, high = prediction_range(np.array([-1.0, 1.0]), 1.0)
    >>> round(low, 2), round(high, 2)
    (-21.01, 23.01)
    """
    middle, reach = float(draws.mean()) if centre is None else centre, float(prediction_reach(draws))
    return middle - reach, middle + reach


def null_range(draws: Float[np.ndarray, "draw"], at_least: float = 0.0, fewest: int = FEWEST_DEFINED) -> tuple[float, float]:
    r"""Return the range of a null: an observation that is one more draw lies in it with a probability of at least 95 %.

    The ends are the k-th smallest and the k-th largest draw. Quantiles between draws would be too near: with 20 draws one more
    draw lies outside them in 14 %. With fewer than 39 draws even the smallest and the largest are too near, and the range is
    that of `prediction_range`, for draws that are about normal.

    Parameters
    ----------
    draws
        NaN where the statistic is undefined; these are left out.
    at_least, fewest
        Share and number of the draws that must be defined; else both ends are NaN.

    Notes
    -----
    Of n + 1 exchangeable numbers each is as likely to have any rank, so that one of them lies beyond the k-th smallest or the k-th
    largest of the n others with a probability of at most :math:`2k / (n + 1)`; k is the largest that makes this at most 5 %.

    Examples
    --------
    >>> null_range(np.arange(39.0)), null_range(np.arange(199.0))
    ((0.0, 38.0), (4.0, 194.0))
    >>> null_range(np.append(np.zeros(30), np.full(40, np.nan)), at_least=0.5)
    (nan, nan)
    """
    defined = np.sort(draws[np.isfinite(draws)])
    n = len(defined)
    if n < max(fewest, 1, at_least * len(draws)):
        return math.nan, math.nan
    k = math.floor((n + 1) * (1 - LEVEL) / 2 + 1e-9)
    if k:
        return float(defined[k - 1]), float(defined[n - k])
    return prediction_range(defined) if n > 1 else (float(defined[0]), float(defined[0]))
