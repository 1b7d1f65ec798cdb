"""Intervals over queries and candidates together, from the spread between disjoint halves of the gallery."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import chi2
from scipy.stats import t as student

from dina.randomness import generator_for
from dina.shapes import Scores
from dina.statistics.intervals import wilson_interval
from dina.statistics.resampling import LEVEL

N_SPLITS = 100  # more make the spread no surer: it rests on the images
FEWEST_IMAGES = 8  # with fewer, halves are too small to say anything
FEW_IMAGES = 3  # imagined images whose trials are all right or all wrong
FEW_EVENTS = 3  # right or wrong answers, up to which Wilson's interval ends too near

_CHUNK = 4_000_000  # most comparisons of two scores held at a time as numbers (16 MB)


@dataclass(frozen=True, eq=False)
class HalfGalleries:
    """The place of every target among the candidates of its own half, for random splits of the images into two halves.

    Parameters
    ----------
    is_first
        Whether the image of the query lies in the first half.
    n_better, n_tied
        How many of the other candidates of that half score above the target, and how many the same.
    """

    is_first: Bool[np.ndarray, "query split"]
    n_better: Int[np.ndarray, "query split"]
    n_tied: Int[np.ndarray, "query split"]

    @classmethod
    def count(cls, scores: Scores, target: Int[np.ndarray, "query"]) -> "HalfGalleries":
        """Split the gallery at random, always in the same way for galleries of one size, and count within halves.

        Decoders with the same queries can therefore be compared split by split.

        Examples
        --------
        >>> halves = HalfGalleries.count(np.eye(6), np.arange(6))
        >>> int(halves.n_better.sum()), np.unique(halves.is_first.sum(axis=0)).tolist()
        (0, [3])
        """
        n_queries, n_gallery = scores.shape
        generator = generator_for(n_gallery, "half galleries")
        first = generator.permuted(np.tile(np.arange(n_gallery) < n_gallery // 2, (N_SPLITS, 1)), axis=1).T
        own, weights = first[target], first.astype(np.float32)
        of_target = scores[np.arange(n_queries), target][:, None]
        counts = np.empty((2, n_queries, N_SPLITS), dtype=np.int32)
        step = max(1, _CHUNK // n_gallery)
        for start in range(0, n_queries, step):
            rows = slice(start, start + step)
            for number, is_counted in enumerate((scores[rows] > of_target[rows], scores[rows] == of_target[rows])):
                in_first = is_counted.astype(np.float32) @ weights
                counts[number, rows] = np.where(own[rows], in_first, is_counted.sum(axis=1, keepdims=True) - in_first)
        return cls(own, counts[0], counts[1] - 1)

    @classmethod
    def join(cls, parts: "list[HalfGalleries]") -> "HalfGalleries":
        """Put queries together that were counted in galleries of one size."""
        names = ("is_first", "n_better", "n_tied")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Spread:
    r"""How much a mean over queries varies between galleries of other images, with the degrees of freedom of that estimate.

    Parameters
    ----------
    mean
        Over queries.
    variance
        Of that mean over galleries.
    inflation
        Ratio of the standard deviation to that of independent images, at least 1.
    n_images, freedom
        Number of distinct images, and the degrees of freedom.

    Notes
    -----
    Every image is a query of its own and a distractor of all others, so that answers depend on each other: an image that is
    easily confused with another is often missed and often takes the other's place. A bootstrap of queries in one gallery
    cannot see this. Two disjoint halves of the gallery are independent of each other: half of the squared difference of their
    means is an unbiased estimate of the variance of the mean in a gallery of half the size. Averaged over splits, its ratio to
    the variance of independent images is the design effect (Kish 1965, *Survey Sampling*). The ratio hardly depends on the
    size of the gallery, and multiplies the variance over images in the whole gallery.
    """

    mean: float
    variance: float
    inflation: float
    n_images: int
    freedom: int

    @classmethod
    def of(
        cls,
        values: Float[np.ndarray, "query"],
        in_halves: Float[np.ndarray, "query split"],
        is_first: Bool[np.ndarray, "query split"],
        image: Int[np.ndarray, "query"],
    ) -> "Spread":
        """Estimate the spread of the mean of ``values``, which are ``in_halves`` within half galleries; all trials of an image count as one.

        Examples
        --------
        Answers that do not depend on other images spread as independent ones: the variance of four ones in eight is 2/7/8.

        >>> values, is_first = np.repeat([1.0, 0.0], 4), np.tile([True, False], 4)[:, None]
        >>> spread = Spread.of(values, values[:, None], is_first, np.arange(8))
        >>> round(spread.variance, 4), spread.inflation
        (0.0357, 1.0)
        """
        order = np.argsort(image, kind="stable")
        _, start, n_trials = np.unique(image[order], return_index=True, return_counts=True)
        n = len(start)
        everything = np.ones((n, 1))
        total = np.add.reduceat(values[order], start)
        mean, variance = _mean_and_variance(total[:, None], n_trials, everything)
        inflation = 1.0
        if n >= FEWEST_IMAGES:
            first = is_first[order][start].astype(np.float64)
            in_half = np.add.reduceat(in_halves[order], start, axis=0)
            enough = (first.sum(axis=0) >= 2) & (n - first.sum(axis=0) >= 2)
            first, in_half = first[:, enough], in_half[:, enough]
            one, other = (_mean_and_variance(in_half, n_trials, member) for member in (first, 1 - first))
            squared, independent = ((one[0] - other[0]) ** 2).sum(), (one[1] + other[1]).sum()
            inflation = math.sqrt(max(1.0, squared / independent)) if independent > 0 else 1.0
        return cls(float(mean[0]), float(variance[0]) * inflation**2, inflation, n, max(1, n // 2 - 1))

    def accuracy_interval(self) -> tuple[float, float]:
        """Return the 95 % interval of a fraction of correct answers: Wilson's, for as many independent answers as are equally sure.

        Where fewer than about three answers are wrong (or right), Wilson's end is too near; there the Poisson limit takes its place.

        References
        ----------
        Brown, Cai & DasGupta (2001), Stat. Sci. 16:101. https://doi.org/10.1214/ss/1009213286

        Examples
        --------
        >>> low, high = Spread(1.0, 0.0, 1.0, 50, 24).accuracy_interval()
        >>> round(low, 3), high
        (0.921, 1.0)
        """
        mean = min(1.0, max(0.0, self.mean))
        n = self._independent_images(mean)
        low, high = wilson_interval(mean, n, freedom=self.freedom)
        return min(low, _least_share(mean, n)), max(high, 1 - _least_share(1 - mean, n))

    def _independent_images(self, mean: float) -> float:
        """Return how many independent images, right or wrong as a whole, give as sure a fraction.

        Trials of one image are worth more than one answer if they differ. A few wrong answers cannot tell whether they do, so the
        ratio of the two variances is drawn to 1 by `FEW_IMAGES` imagined ones.
        """
        independent, few = mean * (1 - mean) / self.n_images, self.n_images * min(mean, 1 - mean)
        ratio = self.variance / self.inflation**2 / independent if independent > 0 else 1.0
        ratio = max(ratio, (few * ratio + FEW_IMAGES) / (few + FEW_IMAGES))
        return max(1.0, self.n_images / (ratio * self.inflation**2))

    def difference_interval(self, step: float = 1.0) -> tuple[float, float]:
        """Return Student's 95 % interval of a difference of two decoders, with two imagined images, one better for each by ``step``.

        Without them, two decoders that err alike in a small gallery would be called the same for certain. ``step`` is the least
        difference of one query: 1 for an accuracy, log 2 for the logarithm of the rank.

        References
        ----------
        Agresti & Min (2005), Stat. Med. 24:729. https://doi.org/10.1002/sim.1781

        Examples
        --------
        >>> low, high = Spread(0.0, 0.0, 1.0, 50, 24).difference_interval()
        >>> round(low, 3), round(high, 3)
        (-0.056, 0.056)
        """
        share = self.n_images / (self.n_images + 2)
        centre, variance = self.mean * share, self.variance * share**2 + 2 * (step / (self.n_images + 2)) ** 2
        reach = float(student.ppf(0.5 + LEVEL / 2, self.freedom)) * math.sqrt(variance)
        return centre - reach, centre + reach


def _least_share(share: float, n: float) -> float:
    """Return the least share that so few events allow, at most the share itself; 1 where there are more than a few."""
    return 0.5 * float(chi2.ppf(1 - LEVEL, 2 * share * n)) / n if 0 < share * n <= FEW_EVENTS else float(share > 0)


def _mean_and_variance(
    total: Float[np.ndarray, "image split"], n_trials: Int[np.ndarray, "image"], member: Float[np.ndarray, "image split"]
) -> tuple[Float[np.ndarray, "split"], Float[np.ndarray, "split"]]:
    """Return the mean over the trials of some images, and its variance if the images were independent."""
    n_images, weight = member.sum(axis=0), n_trials @ member
    mean = (total * member).sum(axis=0) / weight
    squares = ((total - n_trials[:, None] * mean) ** 2 * member).sum(axis=0)
    return mean, squares / weight**2 * n_images / np.maximum(n_images - 1, 1)
