"""Paired differences between two decoders on the same queries and gallery."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dina.checks import DataError
from dina.randomness import generator_for
from dina.retrieval.half_galleries import Spread
from dina.retrieval.pooled_folds import Ranks, are_paired, spread_of, student_p_value
from dina.statistics.p_values import permutation_p_value
from dina.statistics.resampling import clustered_medians, percentile_interval, resample_counts

# Between the first place and the second.
LEAST_LOG_RANK = math.log(2)

Values = Float[np.ndarray, "query"]
Cluster = Int[np.ndarray, "query"]
Counts = Int[np.ndarray, "resample cluster"]


@dataclass(frozen=True)
class PairedDifference:
    """One measure of a first decoder minus that of a second. Accuracies are better when larger, ranks when smaller."""

    measure: str  # "top1", "top5", "mean_log_rank" or "median_rank"
    difference: float
    low: float  # 95 % interval over queries and candidates together
    high: float
    p_value: float  # two-sided, from exchanging the two decoders at random, image by image; over folds Student's


def compare(first: Ranks, second: Ranks, seed: int, n_resamples: int = 10_000) -> tuple[PairedDifference, ...]:
    """Compare two decoders on the same queries by top-1 and top-5 accuracy, mean log rank and median rank.

    The difficulty of the images cancels. In galleries below five there is no top-5 accuracy.

    Parameters
    ----------
    first, second
        Ranks in the same direction, for the same queries in the same order, of one gallery or of several folds.
    seed, n_resamples
        Of the bootstrap and of the random exchanges.

    Raises
    ------
    DataError
        If the queries or the galleries differ.

    Examples
    --------
    >>> from dina.retrieval.ranks import retrieve
    >>> perfect = retrieve(np.eye(10), np.arange(10), "image_from_response")
    >>> collapsed = retrieve(np.zeros((10, 10)), np.arange(10), "image_from_response")
    >>> compare(perfect, collapsed, seed=0)[0].difference
    0.9
    """
    if not are_paired(first, second):
        raise DataError(
            "A paired comparison needs the same queries and gallery for both decoders; got"
            f" {first.n_queries} queries among {first.n_gallery} and {second.n_queries} among {second.n_gallery}."
            " Score both decoders on one task."
        )
    images, cluster = np.unique(first.image, return_inverse=True)
    n_images = len(images)
    counts = resample_counts(n_images, n_resamples, generator_for(seed, "paired bootstrap"))
    swapped = generator_for(seed, "paired exchange").integers(2, size=(n_resamples, n_images))
    in_log = spread_of(first, "log_rank", second)
    over_folds = len(first.folds) > 1
    differences = [
        _compare_means(
            f"top{k}", first.top(k) - second.top(k), spread_of(first, k, second), 1.0, cluster, swapped, over_folds=over_folds
        )
        for k in (1, 5)
        if k <= first.n_gallery
    ]
    log_rank = np.log(first.rank()) - np.log(second.rank())
    differences.append(_compare_means("mean_log_rank", log_rank, in_log, LEAST_LOG_RANK, cluster, swapped, over_folds=over_folds))
    median = _compare_medians(first.rank(), second.rank(), cluster, counts, swapped, in_log.inflation, over_folds=over_folds)
    return (*differences, median)


def _compare_means(
    measure: str, difference: Values, spread: Spread, least: float, cluster: Cluster, swapped: Counts, *, over_folds: bool
) -> PairedDifference:
    """Compare a measure that is a mean over queries: exchanging the decoders flips the sign of an image's difference."""
    observed = float(difference.mean())
    by_image = np.bincount(cluster, weights=difference, minlength=swapped.shape[1])
    null = (1 - 2 * swapped) @ by_image / len(difference)
    p_value = student_p_value(spread, least) if over_folds else permutation_p_value(abs(observed), np.abs(null), "large")
    low, high = spread.difference_interval(least)
    if measure.startswith("top"):  # accuracies differ by 1 at most
        low, high = max(low, -1.0), min(high, 1.0)
    return PairedDifference(measure, observed, low, high, p_value)


def _compare_medians(
    first: Values, second: Values, cluster: Cluster, counts: Counts, swapped: Counts, inflation: float, *, over_folds: bool
) -> PairedDifference:
    """Compare medians: an exchanged image gives its queries' values to the other decoder; ``inflation`` widens the bootstrap."""
    observed = float(np.median(first) - np.median(second))
    resampled = clustered_medians(first, cluster, counts) - clustered_medians(second, cluster, counts)
    both, owner = np.concatenate([first, second]), np.concatenate([cluster, cluster + counts.shape[1]])
    stays, goes = np.hstack([1 - swapped, swapped]), np.hstack([swapped, 1 - swapped])
    null = clustered_medians(both, owner, stays) - clustered_medians(both, owner, goes)
    low, high = (observed + inflation * (end - observed) for end in percentile_interval(resampled))
    p_value = permutation_p_value(abs(observed), np.abs(null) * (inflation if over_folds else 1.0), "large")
    return PairedDifference("median_rank", observed, low, high, p_value)
