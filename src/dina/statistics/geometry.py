"""The geometry of a set of images: which of them lie near each other in a description, and how alike two geometries are."""

import numpy as np
from jaxtyping import Float, Int

from dina.checks import DataError
from dina.statistics.map_similarity import centre_gram, gram_of

# Measures of similarity, in the order of the axis ``measure``.
MEASURES = ("rsa", "cka", "subspace")

FEWEST_IMAGES = 8

# One matrix of image × image for each measure, of length 1.
Geometry = Float[np.ndarray, "measure image image"]


def geometry_of(features: Float[np.ndarray, "image feature"], n_components: int = 10) -> Geometry:
    r"""Return three matrices whose inner products with those of another description say how alike the two geometries are.

    The inner product is 1 for descriptions that differ by a rotation, a shift and one factor, and 0 on average where images are
    paired at random. NaN if the description is the same for all images.

    Parameters
    ----------
    features
        Numbers that describe each image, in any unit, finite.
    n_components
        Principal components of the subspace; at most a quarter of the images are used.

    Returns
    -------
    geometry
        Dimensionless, in the order of `MEASURES`: dissimilarities (1 minus the cosine between two images' deviations from the mean
        image) minus their mean, whose inner product is the correlation of two dissimilarity matrices (RSA); products of images,
        centred without bias, whose inner product is the linear kernel alignment (CKA); and the projection on the first principal
        components, minus its mean for random components, whose inner product is the mean squared cosine of the principal angles
        between two subspaces, rescaled so that chance is 0.

    Raises
    ------
    DataError
        If there are fewer than eight images.

    Notes
    -----
    Independent noise adds nothing to products of different images on average, and lowers all correlations by about one factor. So
    inner products of two geometries with independent noise are about proportional to those without noise, and their ratios estimate
    these (`share_of_signal`). Projections follow this only roughly.

    References
    ----------
    RSA: Kriegeskorte et al. (2008), Front. Syst. Neurosci. 2:4. https://doi.org/10.3389/neuro.06.004.2008
    CKA: Kornblith et al. (2019), https://doi.org/10.48550/arXiv.1905.00414; without bias: Murphy et al. (2024),
    https://doi.org/10.48550/arXiv.2405.01012
    Principal angles: Björck & Golub (1973), Math. Comp. 27:579. https://doi.org/10.2307/2005662

    Examples
    --------
    >>> features = np.random.default_rng(0).standard_normal((40, 300))
    >>> one, turned = geometry_of(features), geometry_of(2 * features[:, ::-1] + 5)
    >>> np.einsum("mij,mij->m", one, turned).round(6)
    array([1., 1., 1.])
    """
    n = len(features)
    if n < FEWEST_IMAGES:
        raise DataError(f"A geometry needs at least {FEWEST_IMAGES} images; got {n}. Describe more images.")
    gram = gram_of(features)
    length = np.sqrt(gram.diagonal())
    if not (length > 0).any():
        return np.full((len(MEASURES), n, n), np.nan)
    is_pair = ~np.eye(n, dtype=bool)
    dissimilarity = np.zeros((n, n))
    size = length[:, None] * length
    # an image in the middle of all others has no direction; it is as dissimilar as chance makes two images
    dissimilarity[is_pair] = -np.divide(gram, size, out=np.zeros_like(gram), where=size > 0)[is_pair]
    dissimilarity[is_pair] -= dissimilarity[is_pair].mean()
    matrices = np.stack([dissimilarity, centre_gram(gram), _projection(gram, max(1, min(n_components, n // 4)))])
    norm = np.sqrt(np.einsum("mij,mij->m", matrices, matrices))
    return np.asarray(matrices / np.where(norm > 0, norm, np.nan)[:, None, None])


def _projection(gram: np.ndarray, n_components: int) -> Float[np.ndarray, "image image"]:
    n = len(gram)
    leading = np.linalg.eigh(gram)[1][:, -n_components:]
    return np.asarray(leading @ leading.T - n_components / (n - 1) * (np.eye(n) - 1 / n))


def inner_products(
    products: Float[np.ndarray, "*more image image"], counts: Int[np.ndarray, "resample image"]
) -> Float[np.ndarray, "*more resample"]:
    """Sum products of two matrices over pairs of images in bootstrap resamples.

    ``products`` are elementwise products, dimensionless; ``counts`` says how often each image was drawn, from
    `dina.statistics.resampling.resample_counts`. A pair counts as often as both its images were drawn together; an image drawn twice
    makes no pair with itself, because its copies would be equal in every description.

    Examples
    --------
    >>> products = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 4.0], [2.0, 4.0, 0.0]])
    >>> inner_products(products, np.array([[1, 1, 1], [2, 1, 0]]))
    array([14.,  4.])
    """
    diagonal = np.diagonal(products, axis1=-2, axis2=-1)
    pairs = ((counts.astype(np.float64) @ products) * counts).sum(-1) - diagonal @ (counts**2).T
    return np.asarray(pairs + diagonal @ counts.T)


def share_of_signal(
    between: Float[np.ndarray, "*more"], first: Float[np.ndarray, "*more"], second: Float[np.ndarray, "*more"]
) -> Float[np.ndarray, "*more"]:
    """Return the similarity of two geometries without noise from inner products across independent halves of the trials.

    ``between`` holds inner products of one geometry in one half with the other geometry in the other half, ``first`` and
    ``second`` those of each geometry with itself in the other half. NaN where one of these is not positive: then a geometry is not
    known at all. Errors can take the ratio above 1.

    Examples
    --------
    >>> share_of_signal(np.array([0.3, 0.1]), np.array([0.5, -0.1]), np.array([0.72, 0.5])).round(3)
    array([0.5, nan])
    """
    square = np.where((first > 0) & (second > 0), first * second, np.nan)
    return np.asarray(between / np.sqrt(square))
