"""How unequally values are distributed: responses over images or neurons, and a mean pattern over places."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from dina.checks import DataError
from dina.statistics.resampling import LEVEL

FEWEST = 4  # patterns: the jackknife leaves one out and still needs pairs of different ones
NOT_POSITIVE = "The total is not above 0 beyond its noise."
TOO_FEW = f"At least {FEWEST} patterns are needed to tell a mean from its noise."
LOST_IN_NOISE = "The patterns vary too much to estimate over how many places their mean is spread."
Patterns = Float[np.ndarray, "pattern place"]
Weight = Float[np.ndarray, "place"]


def treves_rolls_sparseness(responses: Float[np.ndarray, "observation variable"]) -> Float[np.ndarray, "variable"]:
    r"""Return the sparseness of each column: 0 if all its values are equal, 1 if a single one is not 0.

    ``responses`` are not negative, in any unit: images by neurons for lifetime sparseness, neurons by images for population
    sparseness. NaN for a column of zeros.

    Raises
    ------
    DataError
        If a response is negative or there is only one observation.

    Notes
    -----
    :math:`(1 - \langle r \rangle^2 / \langle r^2 \rangle) / (1 - 1/n)`. Calcium signals and their deconvolution change it.

    References
    ----------
    Treves & Rolls (1991), Network 2:371. https://doi.org/10.1088/0954-898X_2_4_004
    Vinje & Gallant (2000), Science 287:1273. https://doi.org/10.1126/science.287.5456.1273

    Examples
    --------
    >>> treves_rolls_sparseness(np.array([[1.0, 0.0], [1.0, 3.0], [1.0, 0.0]])).round(6)
    array([0., 1.])
    """
    _check_not_negative(responses)
    n = len(responses)
    square_mean = responses.mean(axis=0, dtype=np.float64) ** 2
    mean_square = np.einsum("ov,ov->v", responses, responses, dtype=np.float64) / n
    ratio = np.divide(square_mean, mean_square, out=np.full(responses.shape[1], np.nan), where=mean_square > 0)
    return np.clip((1 - ratio) / (1 - 1 / n), 0.0, 1.0)


def gini_sparseness(responses: Float[np.ndarray, "observation variable"]) -> Float[np.ndarray, "variable"]:
    """Return the Gini coefficient of each column: 0 if all its values are equal, 1 - 1/n if a single one is not 0.

    Arguments, NaN and errors as `treves_rolls_sparseness`.

    References
    ----------
    Hurley & Rickard (2009), IEEE Trans. Inf. Theory 55:4723. https://doi.org/10.1109/TIT.2009.2027527

    Examples
    --------
    >>> gini_sparseness(np.array([[1.0, 0.0], [1.0, 3.0], [1.0, 0.0], [1.0, 0.0]]))
    array([0.  , 0.75])
    """
    _check_not_negative(responses)
    n = len(responses)
    total = responses.sum(axis=0, dtype=np.float64)
    place = 2 * np.arange(1, n + 1) - n - 1
    weighted = place @ np.sort(responses, axis=0).astype(np.float64)
    return np.divide(weighted, n * total, out=np.full(responses.shape[1], np.nan), where=total > 0)


def _check_not_negative(responses: Float[np.ndarray, "observation variable"]) -> None:
    if len(responses) < 2 or (responses < 0).any():
        raise DataError(
            "Sparseness needs at least two responses that are not negative; got"
            f" {len(responses)} with minimum {responses.min(initial=0.0):g}. Use responses in their own units, not z-scores."
        )


@dataclass(frozen=True)
class Participation:
    """A participation in (0, 1] with its 95 % interval; NaN, with the reason, where it cannot be estimated."""

    value: float
    low: float
    high: float
    reason: str = ""

    @classmethod
    def unknown(cls, reason: str) -> Self:
        """Return a participation that cannot be estimated."""
        return cls(np.nan, np.nan, np.nan, reason)


def estimate_participation(patterns: Patterns, weight: Weight) -> Participation:
    r"""Return the fraction of places, each with its weight, over which the mean of some patterns is spread.

    It is 1 where the mean is proportional to the weight. With equal weights, and a mean that is constant at some places and 0
    at the others, it is the fraction of these places. A place with a mean below 0 lowers it. There is one pattern for each
    independent image; patterns and weights are in any unit, finite, weights above 0.

    Notes
    -----
    With :math:`m` the expected pattern and :math:`w` the weights,
    :math:`\pi = (\sum_j m_j)^2 / (\sum_j w_j \sum_j m_j^2 / w_j)`, which is :math:`1 / (1 + \chi^2)` with :math:`\chi^2` the
    divergence of :math:`m` from :math:`w`. The square of a noisy mean is too large by the variance of that mean, so any mean
    would look confined. Both squares are therefore sums of products of *different* patterns, which are unbiased (U-statistics).
    With :math:`u` and :math:`l` the roots of numerator and denominator, the interval holds the squares of all :math:`c` in
    [0, 1] for which :math:`u - c\,l` is 0 within its error (Fieller), by the jackknife over patterns with Student's quantile.
    Roots vary less than squares where the strength of the pattern varies between images. Where all of [0, 1] is left, or one
    pattern decides about a sign, nothing is known. For a mean proportional to the weight the statistic is degenerate, the
    jackknife too large, and the interval covers more often than 95 %.

    References
    ----------
    Fieller (1954), J. R. Stat. Soc. B 16:175. https://doi.org/10.1111/j.2517-6161.1954.tb00159.x

    Efron & Stein (1981), Ann. Stat. 9:586. https://doi.org/10.1214/aos/1176345462, on the bias of the jackknife.
    """
    if len(patterns) < FEWEST:
        return Participation.unknown(TOO_FEW)
    both, without = _leaving_one_out(patterns, weight)
    if both[0] <= 0 or patterns.sum() <= 0:
        return Participation.unknown(NOT_POSITIVE)
    if both[1] <= 0 or without.min() <= 0:
        return Participation.unknown(LOST_IN_NOISE)
    roots = np.sqrt(without)
    deviation = roots - roots.mean(axis=1, keepdims=True)
    error = (len(patterns) - 1) / len(patterns) * deviation @ deviation.T
    quantile = float(student.ppf(0.5 + LEVEL / 2, len(patterns) - 1))
    low, high = _fieller(float(np.sqrt(both[0])), float(np.sqrt(both[1])), quantile**2 * error)
    if low <= 0 and high >= 1:
        return Participation.unknown(LOST_IN_NOISE)
    return Participation(min(1.0, float(both[0] / both[1])), low**2, high**2)


def resample_participation(
    patterns: Patterns, weight: Weight, counts: Float[np.ndarray, "resample pattern"]
) -> Float[np.ndarray, "resample"]:
    """Return the participation of patterns that count several times or not at all; none is paired with its own copy.

    At most 1; NaN where the total, or the sum of squares, is not above 0.
    """
    sums = patterns.sum(axis=1)
    paired_with_copies = np.square(counts)
    totals = counts @ sums
    total = totals**2 - paired_with_copies @ sums**2
    square = np.square(counts @ patterns) @ (1 / weight) - paired_with_copies @ (np.square(patterns) @ (1 / weight))
    is_known = (total > 0) & (totals > 0) & (square > 0)
    return np.minimum(1.0, np.divide(total, weight.sum() * square, out=np.full(len(counts), np.nan), where=is_known))


def mean_squares(patterns: Patterns) -> tuple[float, Float[np.ndarray, "place"]]:
    """Return unbiased squares of the total and of every place of the mean pattern; they may be negative."""
    n = len(patterns)
    sums = patterns.sum(axis=1)
    total = sums.sum() ** 2 - np.square(sums).sum()
    places = np.square(patterns.sum(axis=0)) - np.square(patterns).sum(axis=0)
    return float(total) / (n * (n - 1)), places / (n * (n - 1))


def _leaving_one_out(patterns: Patterns, weight: Weight) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2 pattern"]]:
    """Return numerator and denominator of the ratio, from all patterns and without each."""
    n, all_weight = len(patterns), weight.sum()
    total, places = mean_squares(patterns)
    both = np.array([total, all_weight * float((places / weight).sum())])
    sums, mean = patterns.sum(axis=1), patterns.sum(axis=0)
    # without one pattern, the sum over ordered pairs loses twice what that pattern makes with the others
    of_total = sums * (sums.sum() - sums)
    of_square = all_weight * (patterns @ (mean / weight) - np.square(patterns) @ (1 / weight))
    return both, (both[:, None] * (n * (n - 1)) - 2 * np.stack([of_total, of_square])) / ((n - 1) * (n - 2))


def _fieller(upper: float, lower: float, error: Float[np.ndarray, "2 2"]) -> tuple[float, float]:
    """Return the ends in [0, 1] of the set of c with (upper - c lower)² at most c's error."""
    leading, middle, last = lower**2 - error[1, 1], upper * lower - error[0, 1], upper**2 - error[0, 0]
    spread = np.sqrt(max(0.0, middle**2 - leading * last))
    if leading > 0:
        low, high = (middle - spread) / leading, (middle + spread) / leading
        return float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))
    if leading == 0:
        return (0.0, 1.0) if middle <= 0 else (float(np.clip(last / (2 * middle), 0, 1)), 1.0)
    # the set is all that lies outside the two roots, and holds upper / lower > 0 and all beyond
    ends = sorted(((middle - spread) / leading, (middle + spread) / leading))
    if spread == 0 or ends[0] >= 0:
        return 0.0, 1.0
    return float(np.clip(ends[1], 0, 1)), 1.0
