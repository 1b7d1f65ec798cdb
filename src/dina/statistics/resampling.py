"""The bootstrap over images, each with all its trials, and the central range of its draws."""

import math

import numpy as np
from jaxtyping import Float, Int

# Coverage of every interval in this package, unless said otherwise.
LEVEL = 0.95

# How many draws of a null must be defined for a null to be given.
FEWEST_DEFINED = 20

# Share of the resamples that must define a statistic for an interval to be given: without more of them its ends would be wrong.
WELL_DEFINED = 0.95

# Most weights held at a time while medians are bootstrapped (32 MB).
CHUNK = 4_000_000


def resample_counts(n: int, n_resamples: int, generator: np.random.Generator) -> Int[np.ndarray, "resample item"]:
    """Draw bootstrap resamples of ``n`` items and count how often each item was drawn; every row sums to ``n``.

    Counts instead of indices turn every bootstrapped mean into one matrix product, also where the items (images) have unequal
    numbers of trials.

    Examples
    --------
    >>> resample_counts(5, 3, np.random.default_rng(0)).sum(axis=1)
    array([5, 5, 5])
    """
    drawn = generator.integers(n, size=(n_resamples, n))
    drawn += np.arange(n_resamples)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=n_resamples * n).reshape(n_resamples, n)


def resample_matched_pairs(
    pairs: Float[np.ndarray, "item other"], n_resamples: int, bootstrap: np.random.Generator, pairing: np.random.Generator
) -> tuple[Float[np.ndarray, "resample"], Float[np.ndarray, "draw"]]:
    """Resample the mean over matched pairs, and compute the same mean for as many random permutations of the pairs.

    ``pairs`` holds a similarity of every item with every counterpart, in any unit; matched pairs lie on the diagonal.

    Examples
    --------
    >>> resamples, null = resample_matched_pairs(np.eye(4), 100, np.random.default_rng(0), np.random.default_rng(1))
    >>> float(resamples.min()), bool(null.mean() < 0.4)
    (1.0, True)
    """
    n = len(pairs)
    counts = resample_counts(n, n_resamples, bootstrap)
    permuted = pairing.permuted(np.tile(np.arange(n), (n_resamples, 1)), axis=1)
    null = pairs[np.arange(n), permuted].mean(axis=1, dtype=np.float64)
    return np.asarray(counts @ pairs.diagonal().astype(np.float64) / n), np.asarray(null)


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
    """Return the central 95 % of the values that are not NaN; NaN unless a share of ``at_least``, and ``fewest``, are defined.

    Examples
    --------
    >>> values = np.append(np.zeros(30), np.full(10, np.nan))
    >>> central_range(values), central_range(values, at_least=0.5)
    ((nan, nan), (0.0, 0.0))
    """
    defined = values[np.isfinite(values)]
    is_enough = len(defined) >= max(fewest, at_least * len(values))
    return percentile_interval(defined) if is_enough else (math.nan, math.nan)


def clustered_means(
    values: Float[np.ndarray, "query"], cluster: Int[np.ndarray, "query"], counts: Int[np.ndarray, "resample cluster"]
) -> Float[np.ndarray, "resample"]:
    """Return the mean over queries of every resample; ``values`` are in any unit, finite.

    ``cluster`` is the image of each query, 0-based, every image present; ``counts`` says how often each image was drawn, from
    `resample_counts`.

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
