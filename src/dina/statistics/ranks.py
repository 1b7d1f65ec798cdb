"""Where the image truly shown stands among the candidates, with ties counted fairly."""

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from dina.checks import DataError, check_finite
from dina.shapes import Scores


def count_better_and_tied(
    scores: Scores, target: Int[np.ndarray, "query"]
) -> tuple[Int[np.ndarray, "query"], Int[np.ndarray, "query"]]:
    """Count for each query the gallery items that score above its target, and the others that score the same.

    No sorting is needed: everything reported about retrieval follows from these two counts.

    Parameters
    ----------
    scores
        Larger is better, dimensionless, shape ``(n_queries, n_gallery)``, finite.
    target
        Position in the gallery of the image truly shown, shape ``(n_queries,)``.

    Returns
    -------
    n_better, n_tied
        Each of shape ``(n_queries,)``; the target itself is in neither.

    Raises
    ------
    DataError
        If a score is NaN or infinite, or a target lies outside the gallery.

    Examples
    --------
    >>> count_better_and_tied(np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0]]), np.array([2, 0]))
    (array([1, 0]), array([0, 2]))
    """
    check_finite("scores", scores, ("query", "gallery item"), "The decoder failed; look at its responses and settings.")
    n_gallery = scores.shape[1]
    outside = np.flatnonzero((target < 0) | (target >= n_gallery))
    if len(outside):
        raise DataError(
            f"Each query needs a target between 0 and {n_gallery - 1}, its position in the gallery; query"
            f" {outside[0]} has {target[outside[0]]}. Put the image truly shown into the gallery."
        )
    own = scores[np.arange(len(scores)), target][:, None]
    return np.count_nonzero(scores > own, axis=1), np.count_nonzero(scores == own, axis=1) - 1


def target_ranks(scores: Scores, target: Int[np.ndarray, "query"]) -> Float[np.ndarray, "query"]:
    """Rank the target of each query among the gallery: 1 is best, ties count by half (mid-rank).

    A decoder whose scores are all equal gets rank ``(n_gallery + 1) / 2``, which is chance, not 1.

    Raises
    ------
    DataError
        As `count_better_and_tied`.

    Examples
    --------
    >>> target_ranks(np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0]]), np.array([2, 0]))
    array([2., 2.])
    """
    n_better, n_tied = count_better_and_tied(scores, target)
    return 1 + n_better + n_tied / 2


def all_ranks(scores: Scores) -> Float[np.ndarray, "query gallery"]:
    """Rank every gallery item for every query, 1 is best, mid-ranks; the permutation test reads its null from it.

    Examples
    --------
    >>> all_ranks(np.array([[3.0, 1.0, 1.0]]))
    array([[1. , 2.5, 2.5]])
    """
    ranks: np.ndarray = rankdata(-scores, axis=1)
    return ranks
