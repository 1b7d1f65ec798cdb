"""From scores to a row of the table: accuracies beside chance, intervals over images and a permutation p-value."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dina.data.pairs import QueryKind
from dina.randomness import generator_for
from dina.retrieval.decoder import Reads
from dina.retrieval.ranks import ChanceLevels, Direction, Retrieval, retrieve
from dina.shapes import Scores
from dina.statistics.intervals import wilson_interval
from dina.statistics.p_values import permutation_p_value
from dina.statistics.resampling import clustered_medians, percentile_interval, resample_counts

TOP_K = (1, 5, 10)
PERMUTATION_CHUNK = 2_000_000
"""Largest number of table look-ups held at a time (16 MB)."""

Row = dict[str, str | int | float | None]


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """How well one decoder retrieves in one direction from one kind of query.

    Parameters
    ----------
    decoder, preset
        As in tables; ``preset`` is "" for decoders without one.
    reads
        "images", "templates" (a reference level), "truth" (the ideal observer) or "queries" (a correction that sees all of
        them at once).
    queries
        "averaged" or "single_trial".
    direction
        "image_from_response" or "response_from_image".
    retrieval
        Where the target of each query stands.
    top, top_interval
        By k: accuracy, and its Wilson interval with n = number of distinct images, because trials of one image are
        not independent. Only the k up to the gallery size are there.
    median_rank, median_rank_interval
        Median mid-rank over queries, and its bootstrap interval over images.
    mean_reciprocal_rank, two_way
        Means over queries, both in [0, 1].
    p_value
        Of the mean log rank, under permutation of the assignment of queries to targets with the trials of an image
        kept together.
    reason
        Why something is missing, or None.
    """

    decoder: str
    preset: str
    reads: Reads
    queries: QueryKind
    direction: Direction
    retrieval: Retrieval
    top: dict[int, float]
    top_interval: dict[int, tuple[float, float]]
    median_rank: float
    median_rank_interval: tuple[float, float]
    mean_reciprocal_rank: float
    two_way: float
    p_value: float
    reason: str | None

    @property
    def chance(self) -> ChanceLevels:
        """Chance levels of this gallery."""
        return ChanceLevels(self.retrieval.n_gallery)

    def to_row(self) -> Row:
        """Return the numbers as one flat row, ready for JSON; None where a number cannot be had."""
        row: Row = {
            "decoder": self.decoder,
            "preset": self.preset or None,
            "queries": self.queries,
            "direction": self.direction,
            "n_gallery": self.retrieval.n_gallery,
            "n_queries": self.retrieval.n_queries,
        }
        for k in TOP_K:
            low, high = self.top_interval.get(k, (None, None))
            row |= {f"top{k}": self.top.get(k), f"top{k}_low": low, f"top{k}_high": high}
        row |= {
            "median_rank": self.median_rank,
            "median_rank_low": self.median_rank_interval[0],
            "median_rank_high": self.median_rank_interval[1],
            "mean_reciprocal_rank": self.mean_reciprocal_rank,
            "two_way": self.two_way,
        }
        row |= {f"chance_top{k}": self.chance.top(k) if k in self.top else None for k in TOP_K}
        return row | {"p_value": self.p_value, "reason": self.reason}


def evaluate(
    decoder: str,
    preset: str,
    reads: Reads,
    scores: Scores,
    target: Int[np.ndarray, "query"],
    queries: QueryKind,
    direction: Direction,
    seed: int,
    n_resamples: int = 10_000,
) -> RetrievalResult:
    """Judge a score matrix.

    Parameters
    ----------
    decoder, preset, reads, queries
        Carried into the result; see `RetrievalResult`.
    scores, target, direction
        As in `retrieve`.
    seed
        Of the bootstrap and the permutations.
    n_resamples
        Number of bootstrap resamples and of permutations.

    Raises
    ------
    DataError
        If a score is not finite, a target is missing from the gallery, or there are fewer than two candidates.

    Examples
    --------
    A collapsed decoder, whose scores are all equal, gets chance:

    >>> result = evaluate("flat", "", "images", np.zeros((20, 20)), np.arange(20), "averaged", "image_from_response", 0)
    >>> round(result.top[1], 6), result.median_rank, result.two_way, result.p_value
    (0.05, 10.5, 0.5, 1.0)
    """
    found = retrieve(scores, target, direction)
    possible = [k for k in TOP_K if k <= found.n_gallery]
    _, cluster = np.unique(found.image, return_inverse=True)
    n_images = len(found.log_rank_sum)
    counts = resample_counts(n_images, n_resamples, generator_for(seed, "bootstrap"))
    top = {k: float(found.top(k).mean()) for k in possible}
    missing = [str(k) for k in TOP_K if k not in possible]
    return RetrievalResult(
        decoder=decoder,
        preset=preset,
        reads=reads,
        queries=queries,
        direction=direction,
        retrieval=found,
        top=top,
        top_interval={k: wilson_interval(value, n_images) for k, value in top.items()},
        median_rank=float(np.median(found.rank())),
        median_rank_interval=percentile_interval(clustered_medians(found.rank(), cluster, counts)),
        mean_reciprocal_rank=float(found.reciprocal_rank().mean()),
        two_way=float(found.two_way().mean()),
        p_value=_permute_targets(found.log_rank_sum, generator_for(seed, "permutation"), n_resamples),
        reason=f"A gallery of {found.n_gallery} has no top {' or '.join(missing)}." if missing else None,
    )


def unavailable_row(decoder: str, preset: str, queries: QueryKind, direction: Direction, reason: str) -> Row:
    """Return the row of a number that cannot be had: the same keys, null everywhere, and the reason why.

    Examples
    --------
    >>> row = unavailable_row("ideal_observer", "", "averaged", "image_from_response", "No truth is known.")
    >>> row["top1"], row["reason"]
    (None, 'No truth is known.')
    """
    row: Row = {"decoder": decoder, "preset": preset or None, "queries": queries, "direction": direction}
    row |= dict.fromkeys(("n_gallery", "n_queries"))
    for k in TOP_K:
        row |= dict.fromkeys((f"top{k}", f"top{k}_low", f"top{k}_high"))
    row |= dict.fromkeys(("median_rank", "median_rank_low", "median_rank_high", "mean_reciprocal_rank", "two_way"))
    return row | dict.fromkeys(f"chance_top{k}" for k in TOP_K) | {"p_value": None, "reason": reason}


def _permute_targets(
    log_rank_sum: Float[np.ndarray, "image image"], generator: np.random.Generator, n_permutations: int
) -> float:
    """Return the p-value of the summed log rank when images are assigned to the queries at random."""
    n_images = len(log_rank_sum)
    itself = np.arange(n_images)
    observed = float(log_rank_sum[itself, itself].sum())
    permuted = np.empty(n_permutations)
    step = max(1, PERMUTATION_CHUNK // n_images)
    for start in range(0, n_permutations, step):
        n = min(step, n_permutations - start)
        assigned = generator.permuted(np.broadcast_to(itself, (n, n_images)), axis=1)
        permuted[start : start + n] = log_rank_sum[itself, assigned].sum(axis=1)
    return permutation_p_value(observed, permuted, "small")
