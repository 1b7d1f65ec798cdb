"""Where the right candidate stands: ranks in both directions with ties counted fairly, and top-k accuracy."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from dina.checks import DataError, check_count, check_finite
from dina.retrieval.half_galleries import HalfGalleries, Spread
from dina.shapes import Scores
from dina.short_words import brief

Direction = Literal["image_from_response", "response_from_image"]
# The k of a top-k accuracy, or the logarithm of the rank.
Measure = int | Literal["log_rank"]
DIRECTIONS: tuple[Direction, ...] = ("image_from_response", "response_from_image")


@dataclass(frozen=True, eq=False)
class Retrieval:
    """The place of the target of every query, from which every accuracy follows.

    Parameters
    ----------
    n_better, n_tied
        For each query how many of the other candidates score above its target, and how many the same.
    image
        The image of each query (position in the gallery of images). Queries of one image are not independent and are
        resampled together.
    n_gallery
        Number of candidates.
    log_rank_sum
        For the permutation test: entry (i, j) sums the logarithm of the mid-rank over the queries of the i-th distinct image
        if the j-th were their target. The diagonal was observed.
    halves
        The place of every target among one half of the gallery, for intervals over queries and candidates together.
    """

    __repr__ = brief

    n_better: Int[np.ndarray, "query"]
    n_tied: Int[np.ndarray, "query"]
    image: Int[np.ndarray, "query"]
    n_gallery: int
    log_rank_sum: Float[np.ndarray, "image image"]
    halves: HalfGalleries

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.n_better)

    @property
    def folds(self) -> "tuple[Retrieval, ...]":
        """Itself: ranks in one gallery are those of a single fold."""
        return (self,)

    def is_paired_with(self, other: "Retrieval") -> bool:
        """Return whether both answer the same queries among as many candidates, so that they can be compared query by query."""
        return self.n_gallery == other.n_gallery and np.array_equal(self.image, other.image)

    def rank(self) -> Float[np.ndarray, "query"]:
        """Return the mid-rank of each target: 1 is best, ties count by half; (n_gallery + 1) / 2 by chance."""
        return 1 + self.n_better + self.n_tied / 2

    def top(self, k: int) -> Float[np.ndarray, "query"]:
        """Return for each query the probability that its target is among the best ``k``, ties broken at random; chance is k / n_gallery.

        Raises
        ------
        DataError
            If ``k`` is not between 1 and the gallery size.
        """
        check_count("k", k, 1, self.n_gallery, "the gallery size")
        return _top(self, k)

    def spread(self, measure: Measure, other: "Retrieval | None" = None) -> Spread:
        """Return how much the mean of a measure, or of its paired difference to ``other``, varies between galleries.

        ``measure`` is the k of a top-k accuracy, or "log_rank".
        """
        values, in_halves = _measure(self, measure), _measure(self.halves, measure)
        if other is not None:
            values, in_halves = values - _measure(other, measure), in_halves - _measure(other.halves, measure)
        return Spread.of(values, in_halves, self.halves.is_first, self.image)

    def chance(self, k: int) -> float:
        """Return the accuracy of guessing, to be among the best ``k``."""
        return k / self.n_gallery

    def reciprocal_rank(self) -> Float[np.ndarray, "query"]:
        """Return the expectation of 1 / rank for each query, ties broken at random; by chance it is the n-th harmonic number / n."""
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, self.n_gallery + 1))])
        return (harmonic[self.n_better + self.n_tied + 1] - harmonic[self.n_better]) / (self.n_tied + 1)

    def two_way(self) -> Float[np.ndarray, "query"]:
        """Return for each query the fraction of single distractors it beats, ties counted by half, in [0, 1]."""
        return (self.n_gallery - self.rank()) / (self.n_gallery - 1)


def _top(found: Retrieval | HalfGalleries, k: int) -> np.ndarray:
    return np.clip((k - found.n_better) / (found.n_tied + 1), 0.0, 1.0)


def _measure(found: Retrieval | HalfGalleries, measure: Measure) -> np.ndarray:
    return np.log(1 + found.n_better + found.n_tied / 2) if measure == "log_rank" else _top(found, measure)


def count_better_and_tied(
    scores: Scores, target: Int[np.ndarray, "query"]
) -> tuple[Int[np.ndarray, "query"], Int[np.ndarray, "query"]]:
    """Count for each query the gallery items that score above its target, and the others that score the same.

    Everything reported about retrieval follows from these two counts; no sorting is needed.

    Parameters
    ----------
    scores
        Larger is better, dimensionless, finite.
    target
        Position in the gallery of the image truly shown; it is in neither count.

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
    of_target = scores[np.arange(len(scores)), target][:, None]
    return np.count_nonzero(scores > of_target, axis=1), np.count_nonzero(scores == of_target, axis=1) - 1


def target_ranks(scores: Scores, target: Int[np.ndarray, "query"]) -> Float[np.ndarray, "query"]:
    """Rank the target of each query among the gallery: 1 is best, ties count by half (mid-rank).

    A decoder whose scores are all equal gets rank ``(n_gallery + 1) / 2``, which is chance, not 1.

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
    return np.asarray(rankdata(-scores, axis=1))


def retrieve(scores: Scores, target: Int[np.ndarray, "query"], direction: Direction) -> Retrieval:
    """Find the target of every query: the image of a response, or the response to an image.

    ``image_from_response`` ranks the gallery of images for each response. In ``response_from_image`` each image is a query.
    Its candidates are the responses of *one repeat* (the n-th trial of every image), so the gallery holds one response per
    image. Each image is a query once per repeat, and the results are averaged. Only complete repeats take part: with 6 to
    10 trials per image the first six of each, so that every gallery has the same size and chance level. Averaged responses
    are one repeat. Images without any response are left out of this direction.

    Parameters
    ----------
    scores
        Larger is better, dimensionless, finite.
    target
        Position in the gallery of the image shown in each query; trials of one image in order of presentation.
    direction
        "image_from_response" or "response_from_image".

    Raises
    ------
    DataError
        If a score is not finite, a target is missing from the gallery, or there are fewer than two candidates.
    """
    images, query_image = np.unique(target, return_inverse=True)
    n_candidates = scores.shape[1] if direction == "image_from_response" else len(images)
    if n_candidates < 2:
        raise DataError(f"Retrieval needs a gallery of at least two; got {n_candidates}. Keep more images for testing.")
    if direction == "image_from_response":
        n_better, n_tied = count_better_and_tied(scores, target)
        log_ranks = np.log(all_ranks(scores)[:, images])
        log_rank_sum = np.zeros((len(images), len(images)))
        np.add.at(log_rank_sum, query_image, log_ranks)
        return Retrieval(n_better, n_tied, target, n_candidates, log_rank_sum, HalfGalleries.count(scores, target))
    count_better_and_tied(scores, target)  # checks the whole matrix before a part is used
    blocks = [scores[np.ix_(rows, images)].T for rows in _complete_repeats(query_image, len(images))]
    itself = np.arange(len(images))
    counts = [count_better_and_tied(block, itself) for block in blocks]
    return Retrieval(
        n_better=np.concatenate([better for better, _ in counts]),
        n_tied=np.concatenate([tied for _, tied in counts]),
        image=np.tile(images, len(blocks)),
        n_gallery=n_candidates,
        log_rank_sum=np.sum([np.log(all_ranks(block)) for block in blocks], axis=0),
        halves=HalfGalleries.join([HalfGalleries.count(block, itself) for block in blocks]),
    )


def _complete_repeats(image: Int[np.ndarray, "query"], n_images: int) -> Int[np.ndarray, "repeat image"]:
    """List the query of each image, in order of image, for each repeat that every image has."""
    counts = np.bincount(image, minlength=n_images)
    order = np.argsort(image, kind="stable")
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.asarray(order[first[None, :] + np.arange(counts.min())[:, None]])
