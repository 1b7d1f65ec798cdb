"""Hubs, candidates among the best of many queries: how strong they are, and corrections that read all queries at once."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp
from scipy.stats import rankdata, skew

from dina.checks import DataError, check_count
from dina.retrieval.ranks import all_ranks
from dina.shapes import Scores

N_NEIGHBOURS = 10
N_ITERATIONS = 200
TOLERANCE = 1e-6  # of the logarithm of a column's share, at which Sinkhorn's iteration stops


def count_occurrences(scores: Scores, k: int = 10) -> Float[np.ndarray, "gallery"]:
    """Count how often each gallery item is among the best ``k`` of a query; ties share the places.

    Examples
    --------
    The first item is the best of every query:

    >>> count_occurrences(np.array([[3.0, 1.0, 0.0], [2.0, 0.0, 1.0]]), k=1)
    array([2., 0., 0.])
    """
    check_count("k", k, 1, scores.shape[1], "the gallery size")
    ranks = all_ranks(scores)
    # mid-ranks are the mean of the lowest and the highest place that tied items share
    n_better = rankdata(-scores, method="min", axis=1) - 1
    n_tied = 2 * (ranks - n_better) - 1
    return np.asarray(np.clip((k - n_better) / n_tied, 0.0, 1.0).sum(axis=0))


def measure_hubness(scores: Scores, k: int = 10) -> float:
    """Return the skewness of `count_occurrences` over the gallery: 0 without hubs, above 1 with strong ones.

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


def rescale_by_neighbours(scores: Scores, k: int = N_NEIGHBOURS) -> Float[np.ndarray, "query gallery"]:
    r"""Subtract from every score how well its query and its candidate do elsewhere (CSLS): hubs lose their advantage.

    Parameters
    ----------
    scores
        Larger is better, dimensionless, finite.
    k
        Neighbours of queries and of candidates; all where there are fewer.

    Raises
    ------
    DataError
        If ``k`` is below 1.

    Notes
    -----
    :math:`2 s_{ij} - r_i - r_j` with :math:`r_i` the mean of the *k* best scores of query *i* and :math:`r_j` that of
    candidate *j* over all queries. The source compares cosines; here the decoder's own scores take their place. Because
    :math:`r_j` is made from the other queries, accuracy depends on which other queries there are.

    References
    ----------
    Conneau et al. (2018), https://doi.org/10.48550/arXiv.1710.04087

    Examples
    --------
    The first candidate scores high for every query, though each query has a candidate that no other query favours:

    >>> rescale_by_neighbours(np.array([[3.0, 0.0, 0.0], [3.0, 2.5, 0.0], [3.0, 0.0, 2.5]]), k=2).argmax(axis=1)
    array([0, 1, 2])
    """
    check_count("k", k, 1)
    values = np.asarray(scores, dtype=np.float64)
    of_query = np.sort(values, axis=1)[:, -k:].mean(axis=1, keepdims=True)
    of_candidate = np.sort(values, axis=0)[-k:].mean(axis=0, keepdims=True)
    return np.asarray(2 * values - of_query - of_candidate)


def balance_by_sinkhorn(scores: Scores, temperature: float | None = None) -> Float[np.ndarray, "query gallery"]:
    """Turn scores into the logarithm of an assignment in which every candidate is the answer to equally many queries.

    Each image of a test set was shown equally often, and this knowledge raises accuracy. A single new response gives no such
    knowledge.

    Parameters
    ----------
    scores
        Larger is better, dimensionless, finite.
    temperature
        Of the softmax, in units of the scores, above 0; None for a third of the standard deviation of a query's scores over
        candidates, averaged over queries.

    Raises
    ------
    DataError
        If ``temperature`` is not above 0.

    References
    ----------
    Sinkhorn & Knopp (1967), Pac. J. Math. 21:343, https://doi.org/10.2140/pjm.1967.21.343; Cuturi (2013),
    https://doi.org/10.48550/arXiv.1306.0895

    Examples
    --------
    >>> balance_by_sinkhorn(np.array([[3.0, 2.9], [3.0, 0.0]])).argmax(axis=1)
    array([1, 0])
    """
    values = np.asarray(scores, dtype=np.float64)
    typical = float(values.std(axis=1).mean()) / 3
    scale = temperature if temperature is not None else typical if typical > 0 else 1.0
    if not scale > 0:
        raise DataError(f"temperature must be above 0; got {temperature}. Leave it out for one that fits the scores.")
    plan = values / scale
    for _ in range(N_ITERATIONS):
        plan -= logsumexp(plan, axis=0, keepdims=True)
        total = logsumexp(plan, axis=1, keepdims=True)
        plan -= total
        if float(np.ptp(total)) < TOLERANCE:
            break
    return plan


# Every correction by name; tables add it to the name of the decoder.
CORRECTIONS: dict[str, Callable[[Scores], Float[np.ndarray, "query gallery"]]] = {
    "csls": rescale_by_neighbours,
    "sinkhorn": balance_by_sinkhorn,
}
