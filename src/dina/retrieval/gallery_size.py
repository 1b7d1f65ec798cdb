"""How accuracy falls as the gallery grows, computed exactly from the ranks in the full gallery."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dina.checks import DataError
from dina.retrieval.ranks import Retrieval, count_better_and_tied
from dina.shapes import Scores
from dina.statistics.imagined_image import ImaginedImage
from dina.statistics.resampling import clustered_means, percentile_interval, resample_counts


@dataclass(frozen=True, eq=False)
class GallerySizeResult:
    """Top-1 accuracy of one decoder against the size of the gallery, averaged over all galleries of that size.

    ``low`` and ``high`` are the ends of the bootstrap interval over images. Chance is 1 / size.
    """

    gallery_size: Int[np.ndarray, "size"]
    top1: Float[np.ndarray, "size"]
    top1_low: Float[np.ndarray, "size"]
    top1_high: Float[np.ndarray, "size"]
    chance: Float[np.ndarray, "size"]


def choose_sizes(n_gallery: int) -> Int[np.ndarray, "size"]:
    """Return sizes 2, 5, 10, 20, 50 … below the full gallery, and the full gallery.

    Examples
    --------
    >>> choose_sizes(280)
    array([  2,   5,  10,  20,  50, 100, 200, 280])
    """
    sizes = {step * 10**power for power in range(9) for step in (1, 2, 5)} - {1}
    return np.array(sorted({size for size in sizes if size < n_gallery} | {n_gallery}))


def accuracy_by_gallery_size(
    retrieval: Retrieval, gallery_size: Int[np.ndarray, "size"], generator: np.random.Generator, n_resamples: int = 2_000
) -> GallerySizeResult:
    r"""Return the accuracy expected in a gallery of the target and random other candidates.

    ``retrieval`` holds the ranks in the full gallery; ``generator`` and ``n_resamples`` are for the bootstrap over images, which
    an imagined image joins: it is right, or missed for one candidate of the full gallery.

    Raises
    ------
    DataError
        If a size is not between 2 and the full gallery.

    Notes
    -----
    Of a gallery of :math:`g`, the :math:`g - 1` distractors are drawn without replacement from :math:`n - 1`. With
    :math:`b` better ones among them, the target is found with the hypergeometric probability that none was drawn,
    :math:`\prod_{i=0}^{b-1} (n - g - i) / (n - 1 - i)`. No gallery is simulated. Ties are broken at random: with
    :math:`t` tied items, the mean of this over :math:`b, \dots, b + t`.

    Examples
    --------
    A target always ranked second of three is found in one of its two galleries of two:

    >>> from dina.retrieval.ranks import retrieve
    >>> scores = np.array([[2.0, 3.0, 1.0], [1.0, 2.0, 3.0], [3.0, 1.0, 2.0]])
    >>> second = retrieve(scores, np.arange(3), "image_from_response")
    >>> accuracy_by_gallery_size(second, np.array([2, 3]), np.random.default_rng(0)).top1
    array([0.5, 0. ])
    """
    n = retrieval.n_gallery
    wrong = gallery_size[(gallery_size < 2) | (gallery_size > n)]
    if len(wrong):
        raise DataError(f"gallery_size must lie between 2 and the gallery size {n}; got {int(wrong[0])}.")
    images, cluster = np.unique(retrieval.image, return_inverse=True)
    counts = resample_counts(len(images), n_resamples, generator)
    imagined, near_miss = ImaginedImage.draw(len(images), n_resamples, generator), (np.array([1]), np.array([0]))
    top1, low, high = (np.empty(len(gallery_size)) for _ in range(3))
    for number, size in enumerate(gallery_size):
        found = _found(retrieval.n_better, retrieval.n_tied, n, int(size))
        top1[number] = found.mean()
        missed = float(_found(*near_miss, n, int(size))[0])
        resampled = imagined.join(clustered_means(found, cluster, counts), missed, 1.0)
        low[number], high[number] = percentile_interval(resampled)
    return GallerySizeResult(np.asarray(gallery_size), top1, low, high, 1 / gallery_size)


def accuracy_by_image(scores: Scores, target: Int[np.ndarray, "query"], size: int) -> Float[np.ndarray, "gallery"]:
    r"""Return what each image adds to the top-1 accuracy in random galleries, as the image sought and as a distractor.

    The mean over images is the accuracy. The standard deviation over images divided by the root of their number is its standard
    error for other images in queries *and* galleries; `accuracy_by_gallery_size` holds the candidates fixed. Differences between
    decoders on the same queries are those of these numbers, image by image.

    Parameters
    ----------
    scores
        Larger is better, finite; every image of the gallery is the target of equally many queries.
    target
        Position in the gallery of the image shown in each query.
    size
        Of the random galleries, target included; at most the number of images less one.

    Returns
    -------
    by_image
        Dimensionless, mean in [0, 1]; single values may leave this range.

    Raises
    ------
    DataError
        If the size is impossible, or images differ in the number of queries.

    Notes
    -----
    These are the pseudo-values of the jackknife over images, :math:`n\hat\theta - (n - 1)\hat\theta_{-i}`; in
    :math:`\hat\theta_{-i}` image i is neither sought nor a candidate.

    Examples
    --------
    The second image is found against neither of the others, and spoils the galleries of the first:

    >>> scores = np.array([[2.0, 3.0, 1.0], [3.0, 1.0, 2.0], [1.0, 2.0, 3.0]])
    >>> accuracy_by_image(scores, np.arange(3), 2)
    array([ 0.5, -0.5,  1.5])
    """
    n = scores.shape[1]
    if not 2 <= size <= n - 1:
        raise DataError(f"size must lie between 2 and {n - 1}, one less than the gallery; got {size}.")
    counts = np.bincount(target, minlength=n)
    if (counts != counts[0]).any():
        raise DataError(f"Every image needs as many queries; they have {counts.min()} to {counts.max()}. Leave trials out.")
    better, tied = count_better_and_tied(scores, target)
    of_target = scores[np.arange(len(scores)), target][:, None]
    whole = _found(better, tied, n, size)
    left = np.repeat(_found(better, tied, n - 1, size)[:, None], n, axis=1)  # (query, image left out)
    is_better, is_tied = scores > of_target, scores == of_target
    without_better = _found(np.maximum(better - 1, 0), tied, n - 1, size)[:, None]
    without_tied = _found(better, np.maximum(tied - 1, 0), n - 1, size)[:, None]
    left = np.where(is_better, without_better, np.where(is_tied, without_tied, left))
    left[np.arange(len(scores)), target] = 0.0
    remaining = left.sum(axis=0) / (len(scores) - counts[0])
    return np.asarray(n * whole.mean() - (n - 1) * remaining)


def _found(
    n_better: Int[np.ndarray, "query"], n_tied: Int[np.ndarray, "query"], n_gallery: int, size: int
) -> Float[np.ndarray, "query"]:
    """Return the probability of finding each target in a random gallery of ``size`` of the ``n_gallery`` candidates."""
    n_others = np.arange(n_gallery - 1)
    none_drawn = np.concatenate([[1.0], np.cumprod(np.maximum(n_gallery - size - n_others, 0) / (n_gallery - 1 - n_others))])
    summed = np.concatenate([[0.0], np.cumsum(none_drawn)])
    last = np.minimum(n_better + n_tied + 1, n_gallery)  # one more than can be where a candidate that is not there was counted
    found = (summed[last] - summed[np.minimum(n_better, n_gallery)]) / (n_tied + 1)
    # the difference of two sums may leave [0, 1] by rounding
    return np.asarray(np.clip(found, 0.0, 1.0))
