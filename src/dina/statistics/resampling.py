"""The bootstrap over images, each with all its trials, and the central range of its draws."""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Int

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


@dataclass(frozen=True, eq=False)
class ImaginedImage:
    r"""One more image in every resample, right at best or wrong at worst, so that no resampled mean of answers stays the same.

    Resamples of answers that are all right are all right, too: their interval has no width, although the next image may be
    missed. Here an image that nobody saw joins every resample. In half of the resamples its answer is the best that is possible,
    in the other half the worst. Its weight is that of one of n + 1 images in a Bayesian bootstrap.

    Parameters
    ----------
    weight
        Of the imagined image, in [0, 1]; that of all seen images together is the rest.
    is_best
        Whether its answer is the best.

    Notes
    -----
    A weight has the distribution Beta(1, n). The upper end of an interval is therefore about the limit of Clopper & Pearson,
    which is a quantile of Beta(k + 1, n - k) for k right answers of n: of none, :math:`1 - 0.05^{1/n}`. Means of answers that are
    neither right nor wrong as a whole are treated as by Gaffke. A paired difference gets one image for either decoder, as in the
    interval of Agresti & Min.

    References
    ----------
    Clopper & Pearson (1934), Biometrika 26:404. https://doi.org/10.1093/biomet/26.4.404

    Gaffke (2005), Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable,
    Math. Methods Stat. 14:451.

    Agresti & Min (2005), Stat. Med. 24:729. https://doi.org/10.1002/sim.1781
    """

    weight: Float[np.ndarray, "resample"]
    is_best: Bool[np.ndarray, "resample"]

    @classmethod
    def draw(cls, n_images: int, n_resamples: int, generator: np.random.Generator) -> Self:
        """Draw the weights; every other resample has the best answer."""
        return cls(generator.beta(1, n_images, size=n_resamples), np.arange(n_resamples) % 2 == 1)

    @property
    def opposite(self) -> Self:
        """The same image with the other answer: of the whole, where shares of the whole are computed."""
        return replace(self, is_best=~self.is_best)

    def join(
        self, means: Float[np.ndarray, "resample *place"], worst: float, best: float
    ) -> Float[np.ndarray, "resample *place"]:
        """Return resampled means with the imagined image, whose answer is ``worst`` or ``best``, in the unit of the means.

        Examples
        --------
        Of no right answer among fifty images, one in seventeen may be right:

        >>> joined = ImaginedImage.draw(50, 4000, np.random.default_rng(0)).join(np.zeros(4000), 0.0, 1.0)
        >>> low, high = percentile_interval(joined)
        >>> low, round(high, 2)
        (0.0, 0.06)
        """
        shape = (-1, *(1,) * (means.ndim - 1))
        weight, answer = self.weight.reshape(shape), np.where(self.is_best, best, worst).reshape(shape)
        joined: np.ndarray = means + weight * (answer - means)
        return joined


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
