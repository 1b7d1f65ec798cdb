"""How much of the repeatable variance each dimension of a population carries, and how fast that decays."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from dina.checks import DataError
from dina.shapes import StimulusResponses
from dina.statistics.resampling import percentile_interval, resample_counts

MIN_RANKS = 10
"""Fewest ranks from which an exponent is estimated."""


@dataclass(frozen=True, eq=False)
class VarianceSpectrum:
    """Signal variance along each principal component of the responses.

    Parameters
    ----------
    products
        Contribution of each image to each component's variance: the product of the two repeats' projections,
        averaged over swaps; squared units of the responses, shape ``(n_stimuli, n_components)``.
    """

    products: Float[np.ndarray, "stimulus component"]

    @property
    def variance(self) -> Float[np.ndarray, "component"]:
        """Signal variance by component, by falling rank; unbiased, so it may be negative where there is no signal."""
        mean: np.ndarray = self.products.mean(axis=0)
        return mean


@dataclass(frozen=True)
class PowerLawFit:
    """Decay of a variance spectrum as a power of rank.

    Parameters
    ----------
    exponent
        α in variance ∝ rank^−α.
    low, high
        95 % bootstrap interval over images, given the components.
    first_rank, last_rank
        Ranks fitted, 1-based, both included.
    """

    exponent: float
    low: float
    high: float
    first_rank: int
    last_rank: int


def cross_validated_spectrum(
    first: StimulusResponses,
    second: StimulusResponses,
    generator: np.random.Generator,
    n_components: int = 1024,
    n_swaps: int = 3,
) -> VarianceSpectrum:
    r"""Estimate the spectrum of signal variance by cross-validated PCA.

    Principal components are taken from one repeat; noise does not repeat, so the product of the projections of both
    repeats is signal variance alone.

    Parameters
    ----------
    first, second
        Two responses to the same images, as from `average_halves`, shape ``(n_stimuli, n_neurons)``.
    generator
        Decides in each swap which of the two an image contributes to the components.
    n_components
        At most this many; there are at most ``n_stimuli - 1``.
    n_swaps
        Number of random swaps averaged.

    Raises
    ------
    DataError
        If there are fewer than three images.

    Notes
    -----
    With :math:`u_k` an eigenvector of the Gram matrix :math:`A A^T` of the centred first repeat, the projection of
    :math:`A` on component :math:`k` is :math:`s_k u_k` and that of the second repeat :math:`B A^T u_k / s_k`; image
    :math:`i` contributes :math:`u_{ik} (B A^T u_k)_i`. One Gram matrix of both repeats serves all swaps. We centre
    each repeat over the images and do not z-score neurons.

    References
    ----------
    Stringer et al. (2019), Nature 571:361. https://doi.org/10.1038/s41586-019-1346-5

    Examples
    --------
    Without noise it is the ordinary spectrum of variances:

    >>> responses = np.array([[2.0, 1.0], [-2.0, 1.0], [2.0, -1.0], [-2.0, -1.0]], dtype=np.float32)
    >>> cross_validated_spectrum(responses, responses, np.random.default_rng(0)).variance[:2].round(6)
    array([4., 1.])
    """
    n = len(first)
    if n < 3:
        raise DataError(f"A variance spectrum needs at least three images with two repeats; got {n}. Record more repeats.")
    gram = _joint_gram(first, second)
    kept = min(n_components, n - 1, first.shape[1])
    products = np.zeros((n, kept))
    for _ in range(n_swaps):
        swap = generator.integers(2, size=n) * n
        one, other = np.arange(n) + swap, np.arange(n) + n - swap
        within, across = _centre(gram[np.ix_(one, one)]), _centre(gram[np.ix_(other, one)])
        # torch's divide and conquer takes a fifth of the time of scipy's subset solver; float64 keeps the tail
        vectors = torch.linalg.eigh(torch.from_numpy(within)).eigenvectors.numpy()[:, ::-1][:, :kept]
        products += vectors * (across @ vectors)
    return VarianceSpectrum(products / n_swaps)


def fit_power_law(
    spectrum: VarianceSpectrum,
    generator: np.random.Generator,
    ranks: tuple[int, int] = (11, 500),
    n_resamples: int = 500,
) -> PowerLawFit:
    r"""Estimate the exponent α of variance ∝ rank^−α.

    Parameters
    ----------
    spectrum
        From `cross_validated_spectrum`.
    generator
        For the bootstrap over images. Components are kept as they are, so the interval leaves out the uncertainty of
        their directions.
    ranks
        First and last rank to fit, 1-based. Fewer where the spectrum is shorter or reaches 0 earlier.
    n_resamples
        Number of bootstrap resamples.

    Raises
    ------
    DataError
        If fewer than ten ranks with positive variance are available.

    Notes
    -----
    Least squares of log variance on :math:`-\log` rank with weights 1 / rank, as in the authors' analysis. They take
    the absolute value of negative variances; we end the range before the first of them.

    References
    ----------
    Stringer et al. (2019), Nature 571:361. https://doi.org/10.1038/s41586-019-1346-5
    """
    first, last = ranks
    variance = spectrum.variance[first - 1 : last]
    n_ranks = int(np.argmax(variance <= 0)) if (variance <= 0).any() else len(variance)
    if n_ranks < MIN_RANKS:
        raise DataError(
            f"A power law needs at least {MIN_RANKS} ranks of positive signal variance from rank {first} on;"
            f" this recording has {n_ranks}. It has too few images, neurons or repeats for a spectrum."
        )
    rank = np.arange(first, first + n_ranks, dtype=np.float64)
    exponent = _slope(rank, variance[None, :n_ranks])
    counts = resample_counts(len(spectrum.products), n_resamples, generator)
    resampled = counts @ spectrum.products[:, first - 1 : first - 1 + n_ranks] / len(spectrum.products)
    low, high = percentile_interval(_slope(rank, resampled))
    return PowerLawFit(float(exponent[0]), low, high, first, first + n_ranks - 1)


def _joint_gram(first: StimulusResponses, second: StimulusResponses) -> Float[np.ndarray, "both both"]:
    """Return the inner products of all responses of both repeats in float64, some hundred neurons at a time."""
    gram = np.zeros((2 * len(first), 2 * len(first)))
    # the mean over images carries no variance; without it less is lost to rounding
    for start in range(0, first.shape[1], 1024):
        block = np.concatenate([first[:, start : start + 1024], second[:, start : start + 1024]]).astype(np.float64)
        block -= block.mean(axis=0)
        gram += block @ block.T
    return gram


def _centre(gram: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """Return the inner products of responses from which their mean over images was subtracted."""
    centred: np.ndarray = gram - gram.mean(axis=0, keepdims=True) - gram.mean(axis=1, keepdims=True) + gram.mean()
    return centred


def _slope(rank: Float[np.ndarray, "rank"], variance: Float[np.ndarray, "resample rank"]) -> Float[np.ndarray, "resample"]:
    """Return the weighted least-squares slope of log variance on −log rank; a variance not above 0 has no weight."""
    positive = variance > 0
    weight = positive / rank
    log_variance = np.log(np.where(positive, variance, 1.0))
    x = -np.log(rank)
    total = weight.sum(axis=1, keepdims=True)
    from_mean = x - (weight * x).sum(axis=1, keepdims=True) / total
    slope: np.ndarray = (weight * from_mean * log_variance).sum(axis=1) / (weight * from_mean**2).sum(axis=1)
    return slope
