"""The power law of a variance spectrum from its moments, which need no principal components and have no bias."""

from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import least_squares
from scipy.special import logsumexp, ndtri

from dina.checks import DataError
from dina.shapes import StimulusResponses
from dina.statistics.resampling import LEVEL

N_MOMENTS = 3  # as many as a broken power law has parameters; more only add the spread of the largest variances
N_ORDERS = 4
N_BLOCKS = 10
FEWEST_IMAGES = 40
STEEPEST = 6


@dataclass(frozen=True)
class MomentFit:
    """A broken power law with the moments of a spectrum.

    Parameters
    ----------
    exponent
        α of the ranks beyond ``break_rank``: variance ∝ rank^−α.
    low, high
        Its 95 % interval, by the jackknife over blocks of images.
    first_exponent
        The same of the ranks up to ``break_rank``.
    break_rank
        Where the two meet.
    """

    exponent: float
    low: float
    high: float
    first_exponent: float
    break_rank: int


def estimate_eigenmoments(
    first: StimulusResponses, second: StimulusResponses, generator: np.random.Generator, n_moments: int = N_MOMENTS
) -> Float[np.ndarray, "moment"]:
    r"""Return the sums of the powers 1, 2, … of the eigenvalues of the signal covariance, without bias from noise or sampling.

    The largest sample eigenvalues are too large and the smallest too small, the more so the fewer images; their moments
    are not, if every factor of a product comes from another image.

    Parameters
    ----------
    first, second
        Two responses to the same images, of independent noise (or the same array, where there is none), shape
        ``(n_stimuli, n_neurons)``.
    generator
        Of the orders in which images enter the products.
    n_moments
        How many moments.

    Notes
    -----
    For images :math:`i_1 < i_2 < \dots < i_k` the product
    :math:`(a_{i_1}\cdot b_{i_2})(a_{i_2}\cdot b_{i_3})\cdots(a_{i_k}\cdot b_{i_1})`, with :math:`a` the first and
    :math:`b` the second response, has expectation :math:`\mathrm{tr}\,\Sigma^k = \sum_j \lambda_j^k`: every image enters once
    by either response, so that noise never meets itself. All ordered choices together are a trace of powers of the
    strictly upper triangle of the Gram matrix (Kong & Valiant, for one response without noise); we average over a
    few random orders of the images. The mean over images is subtracted first, which leaves a bias of order 1 / n.

    References
    ----------
    Kong & Valiant (2017), Ann. Stat. 45:2218. https://doi.org/10.1214/16-AOS1525

    Pospisil & Pillow (2024), https://doi.org/10.1101/2024.02.16.580726, who use such moments for neural responses.
    """
    gram = _gram(first, second)
    return np.mean([_moments(gram, generator.permutation(len(gram)), n_moments) for _ in range(N_ORDERS)], axis=0)


def fit_moments(
    first: StimulusResponses,
    second: StimulusResponses,
    generator: np.random.Generator,
    n_dimensions: int | None = None,
    break_rank: int = 10,
) -> MomentFit:
    r"""Fit a broken power law to the moments of the signal variance spectrum.

    A second opinion beside `dina.statistics.spectrum.fit_power_law`: it looks at no component, and the ranks of which the
    sample has none count as well. It trusts that the spectrum is a power law up to ``break_rank`` and another beyond.

    Parameters
    ----------
    first, second
        As in `estimate_eigenmoments`.
    generator
        Of the orders of the images and of the blocks of the jackknife.
    n_dimensions
        How many dimensions the variance may fill, at most; None for the number of columns.
    break_rank
        The first fitted rank of the published recipe is the next one.

    Raises
    ------
    DataError
        If there are fewer than 40 images, so little signal that a moment is not positive, or no power law that fits.

    Notes
    -----
    The first three moments determine the first variance and two exponents. A block is a tenth of the images; with :math:`\hat\alpha_{-b}` the estimates without
    block :math:`b`, the squared error is :math:`\frac{B-1}{B}\sum_b(\hat\alpha_{-b} - \bar\alpha)^2`. A bootstrap would
    pair an image with its own copy, which the moments must not do.
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
            "Moments of the signal variance must be positive; some are not: there is too little signal, or too few images."
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
    """Return the products of every first with every second response, in float64, some hundred columns at a time."""
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
    """Ranks of a spectrum, one by one up to 200, then in bins of two per cent: how far on either side of the break, and how many."""

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
    log_moments: Float[np.ndarray, "moment"],
    error: Float[np.ndarray, "moment"],
    ranks: _Ranks,
    start: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "3"]:
    powers = np.arange(1, len(log_moments) + 1)[:, None]

    def misfit(parameters: np.ndarray) -> np.ndarray:
        log_variance = parameters[0] - parameters[1] * ranks.before - parameters[2] * ranks.beyond
        return np.asarray((logsumexp(powers * log_variance + ranks.log_count, axis=1) - log_moments) / error)

    return np.asarray(least_squares(misfit, start, bounds=([-np.inf, 0, 0], [np.inf, STEEPEST, STEEPEST])).x)


def _jackknife_error(without: Float[np.ndarray, "block value"]) -> Float[np.ndarray, "value"]:
    n = len(without)
    return np.asarray(np.sqrt((n - 1) / n * np.square(without - without.mean(axis=0)).sum(axis=0)).clip(1e-9))
