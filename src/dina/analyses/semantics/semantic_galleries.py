"""Whether distractors of the target's own category are harder than others that are as near in low-level structure."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dina.models.noise import LowRankNoise
from dina.shapes import Scores

Distances = Float[np.ndarray, "image image"]


@dataclass(frozen=True, eq=False)
class GalleryWins:
    """How often each query's own image beats single distractors, in four galleries of equal size in pairs.

    For every distractor of the query's own category there is one of another category at the nearest low-level
    distance (drawn with replacement). "Near" distractors are those nearer than the query's median distance.

    Parameters
    ----------
    same, other
        Sums over near and over far distractors of own and of other category of 1 for a win and ½ for a tie.
    n
        Number of distractors in either gallery; 0 where a query has no near or far distractor of its category.
    """

    same: Float[np.ndarray, "draw query near_far"]
    other: Float[np.ndarray, "draw query near_far"]
    n: Int[np.ndarray, "draw query near_far"]

    def same_class_cost(self, counts: Int[np.ndarray, "resample query"] | None = None) -> Float[np.ndarray, "resample"]:
        """Return accuracy against other categories minus that against the own one, of each draw or resample."""
        difference, n = (self.other - self.same).sum(2), self.n.sum(2)
        return _ratio(difference, n, counts)

    def low_level_cost(self, counts: Int[np.ndarray, "resample query"] | None = None) -> Float[np.ndarray, "resample"]:
        """Return accuracy against far distractors minus that against near ones, both categories together."""
        near, far = (_ratio((self.same + self.other)[..., k], 2 * self.n[..., k], counts) for k in (0, 1))
        difference: np.ndarray = far - near
        return difference

    def accuracy(self, counts: Int[np.ndarray, "resample query"] | None = None) -> Float[np.ndarray, "resample 2 2"]:
        """Return two-way accuracy by category (own, other) and distance (near, far)."""
        cells = [[_ratio(wins[..., k], self.n[..., k], counts) for k in (0, 1)] for wins in (self.same, self.other)]
        accuracy: np.ndarray = np.moveaxis(np.array(cells), 2, 0)
        return accuracy


def low_level_distances(
    expected: Float[Tensor, "image neuron"], noise: LowRankNoise, statistics: Float[Tensor, "image statistic"]
) -> Distances:
    """Return how different images are in low-level structure, as these neurons would see it and as a whole.

    The mean of two squared distances, each divided by its mean over pairs: between the responses that low-level
    structure lets expect, in units of noise; and between z-scored whole-image statistics.

    Parameters
    ----------
    expected
        Responses that low-level structure lets expect, from a model of training images.
    noise
        Of the same model.
    statistics
        z-scored by training images.
    """
    seen = _squared_distances(expected, noise.divide(expected))
    whole = _squared_distances(statistics, statistics)
    both = seen / seen.mean().clamp_min(1e-12) + whole / whole.mean().clamp_min(1e-12)
    distances: np.ndarray = both.clamp_min(0).sqrt().double().numpy()
    return distances


def compare_galleries(scores: Scores, distances: Distances, categories: Int[np.ndarray, "draw image"]) -> GalleryWins:
    """Pit every query against distractors of its own category and against matched ones of other categories.

    Parameters
    ----------
    scores
        Of a decoder; the own image of each query is on the diagonal.
    distances
        In low-level structure, larger is more different.
    categories
        The true categories as one row, or many draws of them.
    """
    n_images = len(scores)
    own = np.diagonal(scores)[:, None]
    won = (own > scores) + 0.5 * (own == scores)
    n_draws = len(categories)
    sums = {name: np.zeros((n_draws, n_images, 2)) for name in ("same", "other", "n")}
    for query in range(n_images):
        order = np.argsort(distances[query], kind="stable")
        order = order[order != query]
        apart = distances[query, order]
        is_same = categories[:, order] == categories[:, query, None]
        partner = _nearest_other(is_same, apart)
        is_near = np.arange(len(order)) < len(order) // 2
        wins = won[query, order]
        possible = is_same & (partner >= 0)
        for half, where in enumerate((is_near, ~is_near)):
            chosen = possible & where
            sums["n"][:, query, half] = chosen.sum(1)
            sums["same"][:, query, half] = chosen @ wins
            sums["other"][:, query, half] = (chosen * wins[partner]).sum(1)
    return GalleryWins(sums["same"], sums["other"], sums["n"].astype(np.int64))


def best_distractors(scores: Scores) -> Int[np.ndarray, "query"]:
    """Return for each query the candidate other than its own image with the highest score."""
    others = scores.copy()
    np.fill_diagonal(others, -np.inf)
    return np.asarray(others.argmax(axis=1))


def _nearest_other(is_same: Bool[np.ndarray, "draw candidate"], apart: Float[np.ndarray, "candidate"]) -> np.ndarray:
    """Return for every position the nearest one (in distance from the query) of another category, or -1 if none is."""
    position = np.arange(is_same.shape[1])
    before = np.maximum.accumulate(np.where(is_same, -1, position), axis=1)
    far = is_same.shape[1]
    after = np.minimum.accumulate(np.where(is_same, far, position)[:, ::-1], axis=1)[:, ::-1]
    gap_before = np.where(before >= 0, apart - apart[before], np.inf)
    gap_after = np.where(after < far, apart[np.minimum(after, far - 1)] - apart, np.inf)
    nearest: np.ndarray = np.where(gap_before <= gap_after, before, after)
    nearest[np.isinf(np.minimum(gap_before, gap_after))] = -1
    return nearest


def _ratio(
    total: Float[np.ndarray, "draw query"], n: Int[np.ndarray, "draw query"], counts: np.ndarray | None
) -> Float[np.ndarray, "resample"]:
    """Sum over queries, or over resamples of the first draw's queries, and divide; NaN where there is nothing."""
    top, bottom = (values.sum(1) if counts is None else counts @ values[0] for values in (total, n))
    ratio: np.ndarray = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    return ratio


def _squared_distances(first: Tensor, dual: Tensor) -> Tensor:
    product = first.double() @ dual.double().T
    own = product.diagonal()
    squared: Tensor = (own[:, None] + own[None] - product - product.T).clamp_min(0)
    return squared
