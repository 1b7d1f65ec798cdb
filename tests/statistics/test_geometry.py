"""Geometries of images agree with independent references, and their noise is corrected for."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from scipy.spatial.distance import pdist

from dina.checks import DataError
from dina.statistics.geometry import MEASURES, geometry_of, inner_products, share_of_signal
from dina.statistics.map_similarity import linear_cka


def described(n_images: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Give two descriptions of the same images that share a part."""
    generator = np.random.default_rng(0)
    shared = generator.standard_normal((n_images, 5))
    return tuple(shared @ generator.standard_normal((5, 12)) + generator.standard_normal((n_images, 12)) for _ in (0, 1))


def similarity(one: np.ndarray, other: np.ndarray, n_components: int = 4) -> dict[str, float]:
    pair = geometry_of(one, n_components), geometry_of(other, n_components)
    return dict(zip(MEASURES, np.einsum("mij,mij->m", *pair), strict=True))


def test_each_measure_is_that_of_the_field() -> None:
    one, other = described()
    found = similarity(one, other)
    centred = [features - features.mean(axis=0) for features in (one, other)]
    # equal but for the order of sums in double precision
    np.testing.assert_allclose(found["rsa"], np.corrcoef(*(pdist(part, "cosine") for part in centred))[0, 1], atol=1e-10)
    np.testing.assert_allclose(found["cka"], linear_cka(one, other), atol=1e-10)
    leading = [np.linalg.svd(part, full_matrices=False)[0][:, :4] for part in centred]
    mean_square, chance = np.square(np.cos(subspace_angles(*leading))).mean(), 4 / 29
    np.testing.assert_allclose(found["subspace"], (mean_square - chance) / (1 - chance), atol=1e-10)


def test_images_paired_at_random_are_alike_by_chance_only() -> None:
    one, other = described()
    generator = np.random.default_rng(1)
    found = [list(similarity(one, other[generator.permutation(30)]).values()) for _ in range(300)]
    # standard errors of means over 300 permutations of deviation 0.1 are below 0.01
    np.testing.assert_allclose(np.mean(found, axis=0), 0, atol=0.03)


def test_noise_is_corrected_for() -> None:
    generator = np.random.default_rng(2)
    signals = generator.standard_normal((2, 150, 12))
    signals[1] = 0.7 * signals[0] + 0.7 * signals[1]
    wanted = np.array(list(similarity(*signals).values()))
    one, other = ([geometry_of(signal + 0.6 * generator.standard_normal(signal.shape)) for _ in (0, 1)] for signal in signals)
    between = (np.einsum("mij,mij->m", one[0], other[1]) + np.einsum("mij,mij->m", one[1], other[0])) / 2
    alone = [np.einsum("mij,mij->m", *pair) for pair in (one, other)]
    corrected = share_of_signal(between, *alone)
    assert (between[:2] < 0.75 * wanted[:2]).all()
    # in twenty such draws the corrected similarities deviate by up to 0.05
    np.testing.assert_allclose(corrected[:2], wanted[:2], atol=0.08)


def test_an_image_drawn_twice_makes_no_pair_with_itself() -> None:
    one, other = (geometry_of(features) for features in described())
    products = one * other
    counts = np.random.default_rng(3).integers(0, 3, (4, 30))
    found = inner_products(products, counts)
    for row, count in enumerate(counts):
        drawn = np.repeat(np.arange(30), count)
        is_pair = drawn[:, None] != drawn
        wanted = (products[:, drawn[:, None], drawn] * is_pair).sum(axis=(1, 2)) + np.diagonal(products, axis1=1, axis2=2)[
            :, drawn
        ].sum(1)
        np.testing.assert_allclose(found[:, row], wanted, atol=1e-12)


def test_a_description_that_is_the_same_for_all_images_has_no_geometry() -> None:
    assert np.isnan(geometry_of(np.ones((10, 3)))).all()


def test_a_few_images_have_no_geometry() -> None:
    with pytest.raises(DataError, match="at least 8 images; got 5"):
        geometry_of(np.ones((5, 3)))
