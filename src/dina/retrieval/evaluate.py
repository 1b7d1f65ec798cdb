"""From scores to a row of the table: accuracies beside chance, intervals over images and a permutation p-value."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from dina.data.pairs import QueryKind
from dina.randomness import generator_for
from dina.retrieval.decoder import Reads
from dina.retrieval.hubness import measure_hubness
from dina.retrieval.pooled_folds import PooledRetrieval, Ranks, spread_of
from dina.retrieval.ranks import Direction, retrieve
from dina.shapes import Scores
from dina.short_words import brief
from dina.statistics.p_values import permuted_targets_p_value
from dina.statistics.resampling import clustered_medians, percentile_interval, resample_counts

TOP_K = (1, 5, 10)
TRAINING = ("epochs_done", "epochs_budget", "chosen_epoch", "stop_reason")
COUNTS = ("n_gallery", "n_queries", "epochs_done", "epochs_budget", "chosen_epoch")

# Best places in which hubness counts how often each candidate stands.
HUB_PLACES = 10


@dataclass(frozen=True)
class DecodingRow:
    """One row of the decoding table: how well one decoder retrieves in one direction from one kind of query.

    A number that could not be computed is None; ``reason`` then says why.

    Parameters
    ----------
    decoder, preset
        Names; the preset is "" for other decoders than dina.
    queries
        "averaged" or "single_trial".
    direction
        "image_from_response" or "response_from_image".
    n_gallery, n_queries
        Number of candidates (of several folds in the smallest gallery) and of queries.
    top1, top5, top10
        Fraction of queries whose target is among the best 1, 5, 10.
    top1_low, top1_high, top5_low, top5_high, top10_low, top10_high
        Interval over queries and candidates together (`dina.retrieval.half_galleries`); all trials of an image count as one.
    median_rank, median_rank_low, median_rank_high
        Median mid-rank of the target, 1 is best, and its bootstrap interval over images, widened for queries that are candidates too.
    mean_reciprocal_rank, two_way
        Means over queries, both in [0, 1].
    chance_top1, chance_top5, chance_top10
        Accuracy of guessing; of several folds the mean over queries.
    p_value
        Permutation p-value of the mean log rank. Images are permuted over queries; the trials of an image stay together.
    reason
        Why a number is missing, or None.
    hubness
        Skewness of how often each candidate is among the ten best.
    reads
        "images", "templates" (a reference level), "truth" (the ideal observer) or "queries" (a correction that reads all).
    epochs_done, epochs_budget, chosen_epoch, stop_reason
        The training of dina; None for other decoders.
    retrieval
        The ranks behind the numbers; None without numbers, and in a row that was read from a file.

    Examples
    --------
    >>> numbers = {"top1": 0.65, "top1_low": 0.45, "top1_high": 0.8, "chance_top1": 0.02, "p_value": 0.001}
    >>> print(DecodingRow("dina", "default", "averaged", "image_from_response", **numbers))
    dina, averaged, image_from_response: top-1 65 % [45, 80], chance 2 %, p = 0.001
    """

    __repr__ = brief

    decoder: str
    preset: str
    queries: str
    direction: str
    n_gallery: int | None = None
    n_queries: int | None = None
    top1: float | None = None
    top1_low: float | None = None
    top1_high: float | None = None
    top5: float | None = None
    top5_low: float | None = None
    top5_high: float | None = None
    top10: float | None = None
    top10_low: float | None = None
    top10_high: float | None = None
    median_rank: float | None = None
    median_rank_low: float | None = None
    median_rank_high: float | None = None
    mean_reciprocal_rank: float | None = None
    two_way: float | None = None
    chance_top1: float | None = None
    chance_top5: float | None = None
    chance_top10: float | None = None
    p_value: float | None = None
    reason: str | None = None
    hubness: float | None = None
    reads: str = "images"
    epochs_done: int | None = None
    epochs_budget: int | None = None
    chosen_epoch: int | None = None
    stop_reason: str | None = None
    retrieval: Ranks | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        """Say the top-1 accuracy in per cent with its interval, chance and p-value, as far as they are known."""
        said = f"{self.decoder}, {self.queries}, {self.direction}: "
        if self.top1 is None:
            return said + f"not known. {self.reason or ''}".rstrip()
        said += f"top-1 {100 * self.top1:.3g} %"
        if self.top1_low is not None and self.top1_high is not None:
            said += f" [{100 * self.top1_low:.3g}, {100 * self.top1_high:.3g}]"
        if self.chance_top1 is not None:
            said += f", chance {100 * self.chance_top1:.2g} %"
        return said if self.p_value is None else f"{said}, p = {self.p_value:.2g}"

    def percentages(self) -> dict[str, float]:
        """Return top-1 accuracy, its interval and chance in per cent; NaN where unknown."""
        numbers = {"top1": self.top1, "top1_low": self.top1_low, "top1_high": self.top1_high, "chance": self.chance_top1}
        return {name: math.nan if value is None else 100 * value for name, value in numbers.items()}

    def table(self) -> pd.DataFrame:
        """Return the row as a table of pandas; accuracies are in per cent of the queries."""
        names = {"decoder": self.decoder, "queries": self.queries, "direction": self.direction}
        sizes = {"n_queries": self.n_queries or 0, "n_gallery": self.n_gallery or 0}
        p_value = math.nan if self.p_value is None else self.p_value
        return pd.DataFrame([{**names, **self.percentages(), **sizes, "p_value": p_value, "reason": self.reason or ""}])

    def to_json(self) -> dict[str, Any]:
        """Return the row for ``summary.json``: None for NaN, and training only where there was one."""
        left_out = {"retrieval"} | (set(TRAINING) if self.epochs_done is None else set())
        row = {each.name: _plain(getattr(self, each.name)) for each in fields(self) if each.name not in left_out}
        return row | {"preset": self.preset or None}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Read a row of ``summary.json``; columns that are absent or hold no numbers become None.

        Raises
        ------
        KeyError
            If the entry names no decoder.
        """
        row: dict[str, Any] = {name: str(entry.get(name) or "") for name in ("preset", "queries", "direction")}
        row |= {name: str(entry[name]) for name in ("reason", "stop_reason", "reads") if entry.get(name)}
        done = {"decoder", "retrieval", "reason", "stop_reason", "reads", *row}
        for name in (each.name for each in fields(cls) if each.name not in done):
            value = _number(entry.get(name))
            row[name] = int(value) if value is not None and name in COUNTS else value
        return cls(decoder=str(entry["decoder"]), **row)


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: Python's own types, None for NaN."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _number(cell: object) -> float | None:
    """Return the finite number in a cell, or None."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


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
) -> DecodingRow:
    """Turn a score matrix into accuracies with chance levels, intervals and a p-value.

    Parameters
    ----------
    decoder, preset, reads, queries
        Copied into the result; see `DecodingRow`.
    scores, target, direction
        As in `retrieve`.
    seed, n_resamples
        Of the bootstrap and the permutations.

    Raises
    ------
    DataError
        If a score is not finite, a target is missing from the gallery, or there are fewer than two candidates.

    Examples
    --------
    A collapsed decoder, whose scores are all equal, gets chance:

    >>> result = evaluate("flat", "", "images", np.zeros((20, 20)), np.arange(20), "averaged", "image_from_response", 0)
    >>> round(result.top1, 6), result.median_rank, result.two_way, result.p_value
    (0.05, 10.5, 0.5, 1.0)
    """
    return evaluate_folds(decoder, preset, reads, [(scores, target)], queries, direction, seed, n_resamples)


def evaluate_folds(
    decoder: str,
    preset: str,
    reads: Reads,
    folds: Sequence[tuple[Float[np.ndarray, "_ _"], Int[np.ndarray, "_"]]],
    queries: QueryKind,
    direction: Direction,
    seed: int,
    n_resamples: int = 10_000,
) -> DecodingRow:
    """Turn the scores of several folds into one row over all queries, each in the gallery of its fold.

    Intervals and p-value allow for the training images that folds share; see `dina.retrieval.pooled_folds`.

    Parameters
    ----------
    decoder, preset, reads, queries, direction, seed, n_resamples
        As `evaluate` takes them.
    folds
        Scores and targets of each fold, as `evaluate` takes them; of one fold the row is that of `evaluate`.

    Raises
    ------
    DataError
        As `evaluate`.
    """
    each = tuple(retrieve(scores, target, direction) for scores, target in folds)
    found: Ranks = PooledRetrieval(each) if len(each) > 1 else each[0]
    missing = [str(k) for k in TOP_K if k > found.n_gallery]
    top: dict[str, Any] = {}
    for k in TOP_K[: len(TOP_K) - len(missing)]:
        accuracy = float(found.top(k).mean())
        low, high = spread_of(found, k).accuracy_interval()
        top |= {f"top{k}": accuracy, f"top{k}_low": low, f"top{k}_high": high, f"chance_top{k}": found.chance(k)}
    _, cluster = np.unique(found.image, return_inverse=True)
    counts = resample_counts(int(cluster.max()) + 1, n_resamples, generator_for(seed, "bootstrap"))
    inflation, median = spread_of(found, "log_rank").inflation, float(np.median(found.rank()))
    ends = percentile_interval(clustered_medians(found.rank(), cluster, counts))
    median_low, median_high = (min(max(median + inflation * (end - median), 1.0), float(found.n_gallery)) for end in ends)
    return DecodingRow(
        decoder=decoder,
        preset=preset,
        queries=queries,
        direction=direction,
        n_gallery=found.n_gallery,
        n_queries=found.n_queries,
        median_rank=median,
        median_rank_low=median_low,
        median_rank_high=median_high,
        mean_reciprocal_rank=float(found.reciprocal_rank().mean()),
        two_way=float(found.two_way().mean()),
        p_value=permuted_targets_p_value([one.log_rank_sum for one in each], generator_for(seed, "permutation"), n_resamples),
        reason=f"A gallery of {found.n_gallery} has no top {' or '.join(missing)}." if missing else None,
        hubness=_hubness([scores if direction == "image_from_response" else scores.T for scores, _ in folds]),
        reads=reads,
        retrieval=found,
        **top,
    )


def _hubness(candidates: Sequence[Float[np.ndarray, "_ _"]]) -> float | None:
    """Return the mean hubness of the galleries; None where one has a single query or candidate."""
    if min(min(scores.shape) for scores in candidates) < 2:
        return None
    return float(np.mean([measure_hubness(scores, min(HUB_PLACES, scores.shape[1])) for scores in candidates]))
