"""Whether a few gallery items crowd the best places of every query, which lowers accuracy for all others."""

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata, skew

from dina.checks import check_count
from dina.retrieval.ranks import all_ranks
from dina.shapes import Scores


def count_occurrences(scores: Scores, k: int = 10) -> Float[np.ndarray, "gallery"]:
    """Count how often each gallery item is among the best ``k`` of a query; ties share the places.

    Parameters
    ----------
    scores
        Larger is better, dimensionless, shape ``(n_queries, n_gallery)``, finite.
    k
        Between 1 and the gallery size.

    Examples
    --------
    The first item is everyone's favourite:

    >>> count_occurrences(np.array([[3.0, 1.0, 0.0], [2.0, 0.0, 1.0]]), k=1)
    array([2., 0., 0.])
    """
    check_count("k", k, 1, scores.shape[1], "the gallery size")
    ranks = all_ranks(scores)
    # mid-ranks are the mean of the lowest and the highest place that tied items share
    n_better = rankdata(-scores, method="min", axis=1) - 1
    n_tied = 2 * (ranks - n_better) - 1
    occurrences: np.ndarray = np.clip((k - n_better) / n_tied, 0.0, 1.0).sum(axis=0)
    return occurrences


def measure_hubness(scores: Scores, k: int = 10) -> float:
    """Return the skewness of the k-occurrences over the gallery: 0 without hubs, above 1 with strong ones.

    Arguments as `count_occurrences`. 0 where every item occurs equally often.

    References
    ----------
    Radovanović, Nanopoulos & Ivanović (2010), J. Mach. Learn. Res. 11:2487. https://jmlr.org/papers/v11/radovanovic10a.html

    Examples
    --------
    >>> measure_hubness(np.eye(20), k=1)
    0.0
    """
    occurrences = count_occurrences(scores, k)
    if np.ptp(occurrences) < 1e-9:  # equal up to the rounding of shared places
        return 0.0
    return float(skew(occurrences))
