"""Ranks of several folds put together, each query in the gallery of its fold, with intervals that allow for shared training images."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student

from dina.retrieval.half_galleries import Spread
from dina.retrieval.ranks import Measure, Retrieval
from dina.short_words import brief
from dina.statistics.resampling import LEVEL


@dataclass(frozen=True, eq=False)
class PooledRetrieval:
    """The ranks of at least two folds, which test different images; all that a `Retrieval` gives, over the queries of all folds."""

    __repr__ = brief

    folds: tuple[Retrieval, ...]

    @property
    def n_gallery(self) -> int:
        """Number of candidates in the smallest gallery."""
        return min(one.n_gallery for one in self.folds)

    @property
    def n_queries(self) -> int:
        """Number of queries of all folds."""
        return sum(one.n_queries for one in self.folds)

    @property
    def image(self) -> Int[np.ndarray, "query"]:
        """The image of each query, numbered fold after fold."""
        starts = np.cumsum([0, *(int(one.image.max()) + 1 for one in self.folds)])
        return np.concatenate([one.image + start for one, start in zip(self.folds, starts[:-1], strict=True)])

    def rank(self) -> Float[np.ndarray, "query"]:
        """Return the mid-rank of each target among the candidates of its fold."""
        return self._all(Retrieval.rank)

    def top(self, k: int) -> Float[np.ndarray, "query"]:
        """Return for each query the probability that its target is among the best ``k``, ties broken at random.

        Raises
        ------
        DataError
            If ``k`` is not between 1 and the size of the smallest gallery.
        """
        return self._all(lambda one: one.top(k))

    def chance(self, k: int) -> float:
        """Return the mean over queries of the chance to be among the best ``k``."""
        return float(np.average([one.chance(k) for one in self.folds], weights=[one.n_queries for one in self.folds]))

    def reciprocal_rank(self) -> Float[np.ndarray, "query"]:
        """Return the expectation of 1 / rank for each query, ties broken at random."""
        return self._all(Retrieval.reciprocal_rank)

    def two_way(self) -> Float[np.ndarray, "query"]:
        """Return for each query the fraction of single distractors it beats, ties counted by half, in [0, 1]."""
        return self._all(Retrieval.two_way)

    def _all(self, measure: Callable[[Retrieval], np.ndarray]) -> np.ndarray:
        return np.concatenate([measure(one) for one in self.folds])


# Of one gallery, or of several folds.
Ranks = Retrieval | PooledRetrieval


def are_paired(first: Ranks, second: Ranks) -> bool:
    """Return whether both answer, fold by fold, the same queries among as many candidates, so that they can be compared."""
    return len(first.folds) == len(second.folds) and all(
        one.is_paired_with(other) for one, other in zip(first.folds, second.folds, strict=True)
    )


def spread_of(found: Ranks, measure: Measure, other: Ranks | None = None) -> Spread:
    """Return how much the mean of a measure, or of its paired difference to ``other``, varies; of several folds as `pool_spreads`."""
    if other is None:
        spreads = [one.spread(measure) for one in found.folds]
    else:
        spreads = [one.spread(measure, two) for one, two in zip(found.folds, other.folds, strict=True)]
    return spreads[0] if len(spreads) == 1 else pool_spreads(spreads, [one.n_queries for one in found.folds])


def pool_spreads(spreads: Sequence[Spread], n_queries: Sequence[int]) -> Spread:
    r"""Put the spreads of at least two folds together, and allow for the training images that folds share.

    Parameters
    ----------
    spreads, n_queries
        Of each fold, its mean with the variance between galleries, and its number of queries.

    Returns
    -------
    spread
        Of the mean over all queries. ``inflation`` is relative to independent images, as in each fold.

    Notes
    -----
    With :math:`K` folds, Nadeau & Bengio multiply the variance :math:`S^2` between folds by :math:`1/K + n_2/n_1`, where
    :math:`n_2/n_1 = 1/(K - 1)` is the ratio of tested to other images; :math:`1/K` alone would hold for independent training
    sets. A few folds know :math:`S^2` badly, and most of it comes from the images, which are many. So only the part that
    galleries do not explain, :math:`\tau^2 = \max(0, S^2 - \bar v)` with the mean variance :math:`\bar v` of the folds,
    is multiplied so. It is added to the variance that galleries explain, :math:`V = \sum_k w_k^2 v_k` with the shares
    :math:`w_k` of queries. Degrees of freedom by Satterthwaite. What all folds have in common, such as neurons, cannot be seen.

    References
    ----------
    Nadeau & Bengio (2003), Mach. Learn. 52:239. https://doi.org/10.1023/A:1024068626366.
    Satterthwaite (1946), Biometrics Bull. 2:110. https://doi.org/10.2307/3002019

    Examples
    --------
    Two folds that differ no more than their galleries explain, and two that differ more: 0.01 + (1/2 + 1) · 0.06.

    >>> alike = [Spread(mean, 0.02, 1.0, 40, 19) for mean in (0.5, 0.5)]
    >>> round(pool_spreads(alike, [40, 40]).variance, 4)
    0.01
    >>> apart = [Spread(mean, 0.02, 1.0, 40, 19) for mean in (0.3, 0.7)]
    >>> round(pool_spreads(apart, [40, 40]).variance, 4)
    0.1
    """
    n_folds = len(spreads)
    means, variances = (np.array([getattr(one, name) for one in spreads]) for name in ("mean", "variance"))
    share = np.array(n_queries) / sum(n_queries)
    explained = float(share**2 @ variances)
    independent = float(share**2 @ (variances / [one.inflation**2 for one in spreads]))
    shared = (1 / n_folds + 1 / (n_folds - 1)) * max(0.0, float(means.var(ddof=1) - variances.mean()))
    variance, n_images = explained + shared, sum(one.n_images for one in spreads)
    doubt = explained**2 / sum(one.freedom for one in spreads) + shared**2 / (n_folds - 1)
    return Spread(
        mean=float(share @ means),
        variance=variance,
        inflation=math.sqrt(variance / independent) if independent > 0 else 1.0,
        n_images=n_images,
        freedom=max(1, int(variance**2 / doubt)) if doubt > 0 else sum(one.freedom for one in spreads),
    )


def student_p_value(spread: Spread, least: float) -> float:
    """Return the two-sided p-value of a difference over folds: below 0.05 where its interval with the same ``least`` leaves out 0.

    An exchange of two decoders image by image knows only the images, not that all folds were trained on much the same ones.

    Examples
    --------
    >>> spread = Spread(0.1, 0.002, 1.0, 100, 20)
    >>> low, _ = spread.difference_interval(1.0)
    >>> round(low, 3), round(student_p_value(spread, 1.0), 3)
    (0.002, 0.046)
    """
    low, high = spread.difference_interval(least)
    reach = float(student.ppf(0.5 + LEVEL / 2, spread.freedom))
    return 2 * float(student.sf(reach * abs(high + low) / (high - low), spread.freedom))
