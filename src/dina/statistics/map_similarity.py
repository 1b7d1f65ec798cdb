"""How similar feature maps are: structural similarity of two maps, kernel alignment of two sets of maps."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.checks import DataError
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import jackknife_interval, null_range

# K₁ and K₂ of Wang et al. (2004).
STABILISERS = (0.01, 0.03)

# Places on either side of the centre of the window: 11 × 11 in all, as published.
REACH = 5

FEWEST_IMAGES = 4
# Most groups of images that the jackknife leaves out, one after the other.
MOST_GROUPS = 50


def structural_similarity(
    first: Float[np.ndarray, "map height width"],
    second: Float[np.ndarray, "same_map same_height same_width"],
    data_range: Float[np.ndarray, "map"],
    deviation: float = 1.5,
) -> Float[np.ndarray, "map"]:
    r"""Return the mean structural similarity (SSIM) of each map of ``first`` with the map of ``second`` beside it.

    It compares local means, contrasts and patterns. It is biased towards low spatial frequencies and treats a map whose
    values lie around 0 as flat: read it together with the correlation.

    Parameters
    ----------
    first, second
        Maps in the same, any unit, finite.
    data_range
        Span of the values that counts as full contrast, in the unit of the maps, positive.
    deviation
        Standard deviation of the Gaussian window, in places.

    Returns
    -------
    similarity
        In [-1, 1]; exactly 1 for equal maps.

    Raises
    ------
    DataError
        If the shapes differ or a range is not positive.

    Notes
    -----
    With local means :math:`\mu`, variances :math:`\sigma^2` and covariance :math:`\sigma_{ab}` under the window,
    :math:`(2\mu_a\mu_b + C_1)(2\sigma_{ab} + C_2) / ((\mu_a^2 + \mu_b^2 + C_1)(\sigma_a^2 + \sigma_b^2 + C_2))`
    with :math:`C_i = (K_i L)^2`, averaged over **all** places. At a border the window is cut off and the rest of it scaled to
    a sum of 1, because feature maps are often no larger than the window. (Packages mirror the map, or leave out a frame of
    five places; away from the border all agree.)

    References
    ----------
    Wang et al. (2004), IEEE Trans. Image Process. 13:600. https://doi.org/10.1109/TIP.2003.819861

    Examples
    --------
    Two flat maps differ in lightness alone, here by 2 · 1 · 2 / (1² + 2²):

    >>> flat = np.ones((1, 12, 20))
    >>> structural_similarity(flat, 2 * flat, np.array([1.0])).round(3), structural_similarity(flat, flat, np.array([1.0]))
    (array([0.8]), array([1.]))
    """
    if first.shape != second.shape:
        raise DataError(f"Maps are compared one by one; got shapes {first.shape} and {second.shape}. Make them equal.")
    window = _Window(first.shape[1], first.shape[2], deviation, first.dtype)
    constants = _constants(data_range)
    one, other = (torch.from_numpy(np.ascontiguousarray(maps.transpose(1, 0, 2))) for maps in (first, second))
    found = _similarity(window.moments(one), window.moments(other), window.blur(one * other), constants[:, :, None])
    return np.asarray(found.numpy())


def structural_similarity_of_all_pairs(
    first: Float[np.ndarray, "row channel height width"],
    second: Float[np.ndarray, "other same_channel same_height same_width"],
    data_range: Float[np.ndarray, "channel"],
    deviation: float = 1.5,
) -> Float[np.ndarray, "channel row other"]:
    """Return the structural similarity of every map of ``first`` with every map of ``second``, channel by channel.

    Arguments as in `structural_similarity`, with one range for each channel. Means and variances under the window are
    computed once for each map; only the product is made for every pair.

    Raises
    ------
    DataError
        If the maps differ in shape or a range is not positive.
    """
    if first.shape[1:] != second.shape[1:]:
        raise DataError(f"Maps of one shape are compared; got {first.shape[1:]} and {second.shape[1:]}. Make them equal.")
    constants = _constants(data_range)[:, :, None, None]
    # (height, map, width): both directions of the blur are then plain matrix products
    rows, others = (torch.from_numpy(np.ascontiguousarray(maps.transpose(1, 2, 0, 3))) for maps in (first, second))
    window = _Window(first.shape[2], first.shape[3], deviation, first.dtype)
    result = np.empty((first.shape[1], len(first), len(second)), dtype=first.dtype)
    for channel, (maps, other_maps) in enumerate(zip(rows, others, strict=True)):
        mean, variance = window.moments(maps)
        moments = window.moments(other_maps)
        for number in range(len(first)):  # one row of pairs of one channel stays within the processor's cache
            one = slice(number, number + 1)
            product = window.blur(other_maps * maps[:, one])
            of_one = mean[:, one], variance[:, one]
            result[channel, number] = _similarity(of_one, moments, product, constants[:, channel]).numpy()
    return result


class _Window:
    """A Gaussian window applied by two banded matrix products, cut off and rescaled at the border."""

    def __init__(self, height: int, width: int, deviation: float, dtype: np.dtype) -> None:
        self.rows, self.columns = (torch.from_numpy(_banded(extent, deviation).astype(dtype)) for extent in (height, width))

    def blur(self, maps: Tensor) -> Tensor:
        """Blur maps of shape (height, map, width)."""
        return (self.rows @ (maps @ self.columns.T).flatten(1)).view_as(maps)

    def moments(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return local mean and variance."""
        mean = self.blur(maps)
        return mean, self.blur(maps * maps) - mean * mean


def _banded(extent: int, deviation: float) -> Float[np.ndarray, "extent extent"]:
    distance = np.arange(extent)[:, None] - np.arange(extent)[None]
    weights = np.exp(-0.5 * (distance / deviation) ** 2) * (np.abs(distance) <= REACH)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _constants(data_range: Float[np.ndarray, "map"]) -> Tensor:
    if not (data_range > 0).all():
        raise DataError(f"data_range must be positive; its minimum is {np.min(data_range)}. Leave out maps that never vary.")
    return torch.from_numpy(np.stack([(k * data_range) ** 2 for k in STABILISERS]))


def _similarity(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], product: Tensor, constants: Tensor) -> Tensor:
    """Return SSIM averaged over places; the order of operations makes it exactly 1 for equal maps."""
    (mean, variance), (mean_other, variance_other) = one, other
    lightness, contrast = constants.to(mean.dtype)
    both = mean * mean_other
    above = (both + both + lightness) * ((product - both) + (product - both) + contrast)
    below = (mean * mean + mean_other * mean_other + lightness) * (variance + variance_other + contrast)
    return (above / below).mean(dim=(0, 2))


def linear_cka(first: Float[np.ndarray, "image feature"], second: Float[np.ndarray, "image other_feature"]) -> float:
    r"""Return the linear centred kernel alignment of two descriptions of the same images, without the bias of few images.

    1 for descriptions that differ by a rotation, a shift and one factor; 0 on average for unrelated ones, however many
    features they have; it can come out slightly below 0. NaN if one description is the same for all images.

    Raises
    ------
    DataError
        If the numbers of images differ, or there are fewer than five.

    Notes
    -----
    :math:`\langle \tilde K, \tilde L \rangle / (\lVert \tilde K \rVert \lVert \tilde L \rVert)` with the Gram matrices
    :math:`K = X X^T`, :math:`L = Y Y^T` U-centred, which makes all three inner products unbiased estimates of the
    Hilbert–Schmidt independence criterion. The plain estimate nears 1 where features are many and images few.

    References
    ----------
    Kornblith et al. (2019), https://doi.org/10.48550/arXiv.1905.00414. Unbiased estimate: Song et al. (2012), J. Mach. Learn.
    Res. 13:1393, https://jmlr.org/papers/v13/song12a.html; Nguyen et al. (2021), https://doi.org/10.48550/arXiv.2010.15327

    Examples
    --------
    >>> maps = np.random.default_rng(0).standard_normal((20, 300))
    >>> turned = 2 * maps[:, ::-1] + 5
    >>> round(linear_cka(maps, turned), 6)
    1.0
    """
    grams = gram_of(first), gram_of(second)
    _check(*grams)
    return _cosine(*(centre_gram(gram) for gram in grams))


def gram_of(features: Float[np.ndarray, "image feature"]) -> Float[np.ndarray, "image image"]:
    """Return the products of all pairs of rows (images), from which the alignment of a description follows."""
    values = features.astype(np.float64)
    values -= values.mean(axis=0)  # changes nothing after centring, but keeps the numbers small
    return np.asarray(values @ values.T)


def compare_by_cka(
    name: str,
    first: Float[np.ndarray, "image image"],
    second: Float[np.ndarray, "image image"],
    seed: int,
    n_permutations: int = 1000,
) -> Finding:
    """Return the linear kernel alignment as a finding with its interval over images; null: images permuted.

    ``first`` and ``second`` come from `gram_of`, for the same images in the same order. The interval comes from a jackknife
    over groups of images: a bootstrap would draw an image twice, and its two copies are equal in both descriptions.
    """
    _check(first, second)
    one, other = centre_gram(first), centre_gram(second)
    value, n = _cosine(one, other), len(one)
    if not np.isfinite(value):
        return Finding(name, value, "1", n, reason="One of the two descriptions is the same for all images.")
    generator = generator_for(seed, f"kernel alignment {name}")
    orders = (generator.permutation(n) for _ in range(n_permutations))
    null = null_range(np.array([_cosine(one, other[np.ix_(order, order)]) for order in orders]))
    groups = np.array_split(generator.permutation(n), min(n, MOST_GROUPS))
    left_out = [np.delete(np.arange(n), group) for group in groups]
    values = np.array([_cosine(*(centre_gram(gram[np.ix_(kept, kept)]) for gram in (first, second))) for kept in left_out])
    return Finding(name, value, "1", n, *jackknife_interval(value, values), *null, null="images permuted")


def _check(first: np.ndarray, second: np.ndarray) -> None:
    if len(first) != len(second) or len(first) < FEWEST_IMAGES + 1:
        raise DataError(
            f"Kernel alignment needs the same images, at least {FEWEST_IMAGES + 1}, in both descriptions; got {len(first)} and"
            f" {len(second)}. Describe the same images twice."
        )


def centre_gram(gram: Float[np.ndarray, "image image"]) -> Float[np.ndarray, "image image"]:
    """Centre products of images so that off-diagonal rows sum to 0 and the diagonal, which holds the bias of few images, is 0."""
    n = len(gram)
    off = gram.copy()
    np.fill_diagonal(off, 0.0)
    rows = off.sum(axis=0) / (n - 2)
    centred = off - rows[:, None] - rows[None] + rows.sum() / (n - 1)
    np.fill_diagonal(centred, 0.0)
    return np.asarray(centred)


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    size = float(np.vdot(one, one) * np.vdot(other, other))
    return float(np.vdot(one, other)) / size**0.5 if size > 0 else float("nan")
