"""Structural similarity agrees with its definition written as loops, and with another package away from the border."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity as similarity_of_another_package

from dina.checks import DataError
from dina.statistics.map_similarity import structural_similarity, structural_similarity_of_all_pairs


def random_maps(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape)


def by_loops(first: np.ndarray, second: np.ndarray, data_range: float, deviation: float) -> np.ndarray:
    """Write the definition down place by place, with a window cut off at the border."""
    result = np.empty(first.shape)
    for row, column in np.ndindex(*first.shape):
        rows, columns = np.meshgrid(np.arange(first.shape[0]), np.arange(first.shape[1]), indexing="ij")
        seen = (np.abs(rows - row) <= 5) & (np.abs(columns - column) <= 5)
        weight = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * deviation**2))[seen]
        weight /= weight.sum()
        a, b = first[seen], second[seen]
        mean_a, mean_b = weight @ a, weight @ b
        variances = weight @ (a - mean_a) ** 2 + weight @ (b - mean_b) ** 2
        covariance = weight @ ((a - mean_a) * (b - mean_b))
        low, high = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
        lightness = (2 * mean_a * mean_b + low) / (mean_a**2 + mean_b**2 + low)
        result[row, column] = lightness * (2 * covariance + high) / (variances + high)
    return result


@pytest.mark.parametrize("shape", [(6, 9), (17, 30)])
def test_it_is_its_definition_also_at_the_border_and_in_maps_smaller_than_the_window(shape: tuple[int, int]) -> None:
    first = random_maps(2, *shape)
    second = 0.5 * first + random_maps(3, 2, *shape)[0]

    found = structural_similarity(first, second, np.array([4.0, 6.0]), deviation=1.2)

    expected = [by_loops(a, b, r, 1.2).mean() for a, b, r in zip(first, second, (4.0, 6.0), strict=True)]
    # both in float64; only the order of additions differs
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_away_from_the_border_it_is_that_of_another_package() -> None:
    first = random_maps(25, 31)
    second = first + 0.5 * random_maps(1, 25, 31)[0]

    _, places = similarity_of_another_package(
        first, second, data_range=5.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )

    inner = (slice(5, -5), slice(5, -5))
    # the loops above tie our mean over all places to these places; the other package mirrors maps at the border
    np.testing.assert_allclose(by_loops(first, second, 5.0, 1.5)[inner], places[inner], rtol=1e-9)


def test_equal_maps_have_similarity_of_exactly_one() -> None:
    maps = random_maps(40, 9, 12).astype(np.float32)

    assert (structural_similarity(maps, maps.copy(), np.full(40, 3.0)) == 1).all()


def test_all_pairs_are_the_pairs_one_by_one() -> None:
    first, second = random_maps(3, 2, 8, 11), random_maps(4, 2, 8, 11)[:, ::-1]
    data_range = np.array([3.0, 5.0])

    found = structural_similarity_of_all_pairs(first, second, data_range)

    for channel, row, other in np.ndindex(2, 3, 4):
        pair = structural_similarity(first[row, channel][None], second[other, channel][None], data_range[channel][None])
        # the same sums in another order
        np.testing.assert_allclose(found[channel, row, other], pair[0], rtol=1e-10)


def test_maps_of_another_shape_or_without_range_are_refused() -> None:
    with pytest.raises(DataError, match=r"got shapes \(2, 4, 5\) and \(2, 4, 6\)"):
        structural_similarity(np.zeros((2, 4, 5)), np.zeros((2, 4, 6)), np.ones(2))
    with pytest.raises(DataError, match=r"data_range must be positive; its smallest value is 0\.0"):
        structural_similarity(np.zeros((2, 4, 5)), np.zeros((2, 4, 5)), np.array([1.0, 0.0]))
    with pytest.raises(DataError, match=r"got \(2, 4, 5\) and \(2, 4, 6\)"):
        structural_similarity_of_all_pairs(np.zeros((1, 2, 4, 5)), np.zeros((1, 2, 4, 6)), np.ones(2))
