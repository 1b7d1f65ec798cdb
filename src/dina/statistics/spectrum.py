"""How fast the repeatable variance of a population decays with rank: from principal components, and from moments alone."""

from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg.blas import dsyrk
from scipy.optimize import least_squares
from scipy.special import logsumexp, ndtri

from dina.checks import DataError
from dina.shapes import StimulusResponses
from dina.statistics.resampling import LEVEL, percentile_interval, resample_counts

# Fewest ranks from which an exponent is estimated.
MIN_RANKS = 10
NEURONS_AT_ONCE = 1024  # that are held in double precision

N_MOMENTS = 3  # as many as a broken power law has parameters; more only add the spread of the largest variances
N_ORDERS = 4
N_BLOCKS = 10
FEWEST_IMAGES = 40
STEEPEST = 6


@dataclass(frozen=True, eq=False)
class VarianceSpectrum:
    """Signal variance along each principal component of the responses.

    ``products`` holds the contribution of each image to each component's variance: the product of the two repeats'
    projections, averaged over swaps, in squared units of the responses.
    """

    products: Float[np.ndarray, "stimulus component"]

    @property
    def variance(self) -> Float[np.ndarray, "component"]:
        """Signal variance by component, by falling rank; unbiased, so that it may be negative."""
        mean: np.ndarray = self.products.mean(axis=0)
        return mean


@dataclass(frozen=True)
class PowerLawFit:
    """Decay of a variance spectrum as a power of rank: the exponent α, its interval, and the ranks of the fit."""

    exponent: float
    low: float  # 95 % bootstrap interval over images, given the components
    high: float
    first_rank: int  # 1-based, both included
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
        Two responses to the same images, as from `average_halves`.
    generator, n_swaps
        Of random swaps, which decide for each image whose response serves for the components; their results are averaged.
    n_components
        At most this many; there are at most ``n_stimuli - 1``.

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
    spectrum: VarianceSpectrum, generator: np.random.Generator, ranks: tuple[int, int] = (11, 500), n_resamples: int = 500
) -> PowerLawFit:
    r"""Estimate the exponent α of variance ∝ rank^−α.

    Parameters
    ----------
    spectrum
        From `cross_validated_spectrum`.
    generator, n_resamples
        Of the bootstrap over images. Components are fixed, so that the interval leaves out the uncertainty of their directions.
    ranks
        First and last rank to fit, 1-based. Fewer where the spectrum is shorter or reaches 0 earlier.

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
    """Return the inner products of all responses of both repeats, some neurons at a time."""
    gram = np.zeros((2 * len(first), 2 * len(first)), order="F")
    # the mean over images carries no variance; without it less is lost to rounding
    for start in range(0, first.shape[1], NEURONS_AT_ONCE):
        some = slice(start, start + NEURONS_AT_ONCE)
        block = np.concatenate([first[:, some], second[:, some]]).astype(np.float64)
        block -= block.mean(axis=0)
        gram = dsyrk(1.0, block.T, beta=1.0, c=gram, trans=True, lower=True, overwrite_c=True)  # adds to the lower triangle
    return np.asarray(np.tril(gram) + np.tril(gram, -1).T)


def _centre(gram: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """Return the inner products of responses from which their mean over images was subtracted."""
    centred: np.ndarray = gram - gram.mean(axis=0, keepdims=True) - gram.mean(axis=1, keepdims=True) + gram.mean()
    return centred


def _slope(rank: Float[np.ndarray, "rank"], variance: Float[np.ndarray, "resample rank"]) -> Float[np.ndarray, "resample"]:
    """Return the weighted least-squares slope of log variance on −log rank; variances up to 0 have no weight."""
    positive = variance > 0
    weight = positive / rank
    log_variance = np.log(np.where(positive, variance, 1.0))
    x = -np.log(rank)
    total = weight.sum(axis=1, keepdims=True)
    from_mean = x - (weight * x).sum(axis=1, keepdims=True) / total
    slope: np.ndarray = (weight * from_mean * log_variance).sum(axis=1) / (weight * from_mean**2).sum(axis=1)
    return slope


@dataclass(frozen=True)
class MomentFit:
    """A broken power law with the moments of a spectrum."""

    exponent: float  # α of the ranks beyond break_rank: variance ∝ rank^−α
    low: float  # 95 % interval, by the jackknife over blocks of images
    high: float
    first_exponent: float  # α of the ranks up to break_rank
    break_rank: int


def fit_moments(
    first: StimulusResponses,
    second: StimulusResponses,
    generator: np.random.Generator,
    n_dimensions: int | None = None,
    break_rank: int = 10,
) -> MomentFit:
    r"""Fit a broken power law to the moments of the signal variance spectrum.

    A second opinion beside `fit_power_law`. It needs no components, and counts ranks beyond the number of images as well. It
    assumes one power law up to ``break_rank`` and another beyond.

    Parameters
    ----------
    first, second
        Two responses to the same images, of independent noise (or the same array, without noise).
    generator
        Of the orders of the images and of the blocks of the jackknife.
    n_dimensions
        The most dimensions that the variance may fill; None for the number of columns.
    break_rank
        The published recipe fits from the next rank on.

    Raises
    ------
    DataError
        If there are fewer than 40 images, so little signal that a moment is not positive, or no power law that fits.

    Notes
    -----
    The largest sample eigenvalues are too large and the smallest too small, the more so the fewer images. The moments are
    unbiased if every factor of a product comes from another image: for images :math:`i_1 < i_2 < \dots < i_k` the product
    :math:`(a_{i_1}\cdot b_{i_2})(a_{i_2}\cdot b_{i_3})\cdots(a_{i_k}\cdot b_{i_1})`, with :math:`a` the first and
    :math:`b` the second response, has expectation :math:`\mathrm{tr}\,\Sigma^k = \sum_j \lambda_j^k`. All ordered choices
    together are a trace of powers of the strictly upper triangle of the Gram matrix (Kong & Valiant, for one response
    without noise); we average over a few random orders of the images. The mean over images is subtracted first, which
    leaves a bias of order 1 / n.

    The first three moments determine the first variance and two exponents. The interval is a jackknife over
    :math:`B = 10` blocks of images: with :math:`\hat\alpha_{-b}` the estimates without block :math:`b`, the squared error is
    :math:`\frac{B-1}{B}\sum_b(\hat\alpha_{-b} - \bar\alpha)^2`. A bootstrap would pair an image with its own copy.

    References
    ----------
    Kong & Valiant (2017), Ann. Stat. 45:2218. https://doi.org/10.1214/16-AOS1525

    Pospisil & Pillow (2024), https://doi.org/10.1101/2024.02.16.580726, who use such moments for neural responses.
    """
    n = len(first)
    ranks = _Ranks.make(first.shape[1] if n_dimensions is None else n_dimensions, break_rank)
    if n < FEWEST_IMAGES:
        raise DataError(f"Moments of a spectrum need at least {FEWEST_IMAGES} images; there are {n}. Record more images.")
    gram = _gram(first, second)
    orders = [generator.permutation(n) for _ in range(N_ORDERS)]
    blocks = np.array_split(generator.permutation(n), N_BLOCKS)
    whole = np.mean([_moments(gram, order, N_MOMENTS) for order in orders], axis=0)
    without = np.stack(
        [np.mean([_moments(gram, order[~np.isin(order, block)], N_MOMENTS) for order in orders], axis=0) for block in blocks]
    )
    if not (whole > 0).all() or not (without > 0).all():
        raise DataError(
            "Moments of the signal variance must be positive; some are not. There is too little signal, or too few images."
        )
    error = _jackknife_error(np.log(without))
    start = np.array([np.log(whole[1]) / 2, 1.0, 1.0])
    fitted = _fit(np.log(whole), error, ranks, start)
    if fitted[1:].max() > 0.99 * STEEPEST:
        raise DataError(f"No power law of an exponent below {STEEPEST} has these moments: the variance fills too few dimensions.")
    again = np.stack([_fit(np.log(moments), error, ranks, fitted) for moments in without])
    half = float(ndtri(0.5 + LEVEL / 2)) * float(_jackknife_error(again)[2])
    exponent = float(fitted[2])
    return MomentFit(exponent, exponent - half, exponent + half, float(fitted[1]), break_rank)


def _gram(first: StimulusResponses, second: StimulusResponses) -> Float[np.ndarray, "image same_image"]:
    """Return the products of every first with every second response, some hundred neurons at a time."""
    gram = np.zeros((len(first), len(first)))
    for start in range(0, first.shape[1], 1024):
        one, other = (part[:, start : start + 1024].astype(np.float64) for part in (first, second))
        gram += (one - one.mean(axis=0)) @ (other - other.mean(axis=0)).T
    return gram


def _moments(gram: Float[np.ndarray, "image same_image"], order: np.ndarray, n_moments: int) -> Float[np.ndarray, "moment"]:
    ordered = torch.from_numpy(gram[np.ix_(order, order)])
    upper, n = torch.triu(ordered, diagonal=1), len(order)
    moments, chain = [float(ordered.diagonal().mean())], upper
    for k in range(2, n_moments + 1):
        moments.append(float((chain * ordered.T).sum()) / comb(n, k))
        if k < n_moments:
            chain = chain @ upper
    return np.array(moments)


@dataclass(frozen=True, eq=False)
class _Ranks:
    """Ranks of a spectrum, one by one up to 200, then in bins of two per cent: logarithmic distances from the break, and counts."""

    before: Float[np.ndarray, "bin"]
    beyond: Float[np.ndarray, "bin"]
    log_count: Float[np.ndarray, "bin"]

    @classmethod
    def make(cls, n_dimensions: int, break_rank: int) -> "_Ranks":
        edges = [float(rank) for rank in range(1, min(200, n_dimensions) + 1)]
        while edges[-1] < n_dimensions + 1:
            edges.append(min(n_dimensions + 1.0, np.ceil(1.02 * edges[-1])) if edges[-1] >= 200 else edges[-1] + 1)
        bounds = np.array(edges)
        # the middle of a bin of the ranks a … b - 1, on a logarithmic scale
        log_rank, kink = 0.5 * np.log(bounds[:-1] * (bounds[1:] - 1)), np.log(break_rank)
        return cls(np.minimum(log_rank, kink), (log_rank - kink).clip(0), np.log(np.diff(bounds)))


def _fit(
    log_moments: Float[np.ndarray, "moment"], error: Float[np.ndarray, "moment"], ranks: _Ranks, start: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "3"]:
    powers = np.arange(1, len(log_moments) + 1)[:, None]

    def misfit(parameters: np.ndarray) -> np.ndarray:
        log_variance = parameters[0] - parameters[1] * ranks.before - parameters[2] * ranks.beyond
        return np.asarray((logsumexp(powers * log_variance + ranks.log_count, axis=1) - log_moments) / error)

    return np.asarray(least_squares(misfit, start, bounds=([-np.inf, 0, 0], [np.inf, STEEPEST, STEEPEST])).x)


def _jackknife_error(without: Float[np.ndarray, "block value"]) -> Float[np.ndarray, "value"]:
    n = len(without)
    return np.asarray(np.sqrt((n - 1) / n * np.square(without - without.mean(axis=0)).sum(axis=0)).clip(1e-9))
