"""Bootstrap over images, each with all its trials, because trials of one image are not independent."""

import numpy as np
from jaxtyping import Float, Int

CHUNK = 4_000_000
"""Largest number of weights held at a time while medians are bootstrapped (32 MB)."""


def clustered_means(
    values: Float[np.ndarray, "query"], cluster: Int[np.ndarray, "query"], counts: Int[np.ndarray, "resample cluster"]
) -> Float[np.ndarray, "resample"]:
    """Return the mean over queries of every resample.

    Parameters
    ----------
    values
        One number per query, in any unit, finite.
    cluster
        For each query which image it is about, 0-based, every image present, shape ``(n_queries,)``.
    counts
        How often each image was drawn, shape ``(n_resamples, n_clusters)``, from `resample_counts`.

    Examples
    --------
    >>> clustered_means(np.array([1.0, 3.0, 8.0]), np.array([0, 0, 1]), np.array([[1, 1], [2, 0]]))
    array([4., 2.])
    """
    n_clusters = counts.shape[1]
    total = counts @ np.bincount(cluster, weights=values, minlength=n_clusters)
    n_values: np.ndarray = counts @ np.bincount(cluster, minlength=n_clusters)
    means: np.ndarray = total / n_values
    return means


def clustered_medians(
    values: Float[np.ndarray, "query"], cluster: Int[np.ndarray, "query"], counts: Int[np.ndarray, "resample cluster"]
) -> Float[np.ndarray, "resample"]:
    """Return the median over queries of every resample; arguments as `clustered_means`.

    Examples
    --------
    >>> clustered_medians(np.array([1.0, 3.0, 8.0]), np.array([0, 0, 1]), np.array([[1, 1], [1, 2]]))
    array([3. , 5.5])
    """
    order = np.argsort(values, kind="stable")
    ranked, owner = values[order], cluster[order]
    medians = np.empty(len(counts))
    step = max(1, CHUNK // len(values))
    for start in range(0, len(counts), step):
        cumulative = np.cumsum(counts[start : start + step][:, owner], axis=1)
        total = cumulative[:, -1:]
        # of n values the median is the mean of the ceil(n / 2)-th and the (floor(n / 2) + 1)-th
        lower = np.argmax(cumulative >= (total + 1) // 2, axis=1)
        upper = np.argmax(cumulative >= total // 2 + 1, axis=1)
        medians[start : start + step] = (ranked[lower] + ranked[upper]) / 2
    return medians
