"""How alike two sets of feature maps of the same images are, whatever the towers or neurons that they come from."""

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from dina.checks import DataError
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.resampling import LEVEL, percentile_interval

FEWEST_IMAGES = 4
MOST_GROUPS = 50
"""Most groups of images that the jackknife leaves out, one after the other."""


def linear_cka(first: Float[np.ndarray, "image feature"], second: Float[np.ndarray, "image other_feature"]) -> float:
    r"""Return the linear centred kernel alignment of two descriptions of the same images, without the bias of few images.

    1 for descriptions that differ by a rotation, a shift and one factor; 0 on average for unrelated ones, however many
    features they have. It can come out slightly below 0.

    Parameters
    ----------
    first, second
        One row for every image, in any unit, shapes ``(n_images, n_features)`` and ``(n_images, n_other_features)``.

    Returns
    -------
    alignment
        At most 1; NaN if one of them is the same for all images.

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
    return _cosine(*(_centred(gram) for gram in grams))


def gram_of(features: Float[np.ndarray, "image feature"]) -> Float[np.ndarray, "image image"]:
    """Return the products of all pairs of rows, all that alignment needs to know of a description.

    Parameters
    ----------
    features
        One row for every image, in any unit, shape ``(n_images, n_features)``.
    """
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
    """Return the linear kernel alignment with its interval over images and its range for images that do not correspond.

    Parameters
    ----------
    name
        Of the finding.
    first, second
        From `gram_of`, for the same images in the same order.
    seed
        Of permutations and groups.
    n_permutations
        Behind the null.

    Notes
    -----
    The interval comes from a jackknife over groups of images: a bootstrap would draw images twice, which are alike in both
    descriptions.
    """
    _check(first, second)
    one, other = _centred(first), _centred(second)
    value, n = _cosine(one, other), len(one)
    if not np.isfinite(value):
        return Finding(name, value, "1", n, reason="One of the two descriptions is the same for all images.")
    generator = generator_for(seed, f"kernel alignment {name}")
    orders = (generator.permutation(n) for _ in range(n_permutations))
    null = percentile_interval(np.array([_cosine(one, other[np.ix_(order, order)]) for order in orders]))
    groups = np.array_split(generator.permutation(n), min(n, MOST_GROUPS))
    left_out = [np.delete(np.arange(n), group) for group in groups]
    values = np.array([_cosine(*(_centred(gram[np.ix_(kept, kept)]) for gram in (first, second))) for kept in left_out])
    error = float(np.sqrt((len(groups) - 1) * np.mean((values - values.mean()) ** 2)))
    reach = float(student.ppf(0.5 + LEVEL / 2, len(groups) - 1)) * error
    return Finding(name, value, "1", n, value - reach, value + reach, *null, null="images permuted")


def _check(first: np.ndarray, second: np.ndarray) -> None:
    if len(first) != len(second) or len(first) < FEWEST_IMAGES + 1:
        raise DataError(
            f"Kernel alignment needs the same images, at least {FEWEST_IMAGES + 1}, in both descriptions; got {len(first)} and"
            f" {len(second)}. Describe the same images twice."
        )


def _centred(gram: np.ndarray) -> Float[np.ndarray, "image image"]:
    """Centre so that off-diagonal rows sum to 0 and the diagonal, which holds the bias, is 0."""
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
