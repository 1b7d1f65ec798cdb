"""Similarities of maps agree with independent references."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity as similarity_of_another_package

from dina.checks import DataError
from dina.statistics.map_similarity import (
    compare_by_cka,
    gram_of,
    linear_cka,
    structural_similarity,
    structural_similarity_of_all_pairs,
)


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
    with pytest.raises(DataError, match=r"data_range must be positive; its minimum is 0\.0"):
        structural_similarity(np.zeros((2, 4, 5)), np.zeros((2, 4, 5)), np.array([1.0, 0.0]))
    with pytest.raises(DataError, match=r"got \(2, 4, 5\) and \(2, 4, 6\)"):
        structural_similarity_of_all_pairs(np.zeros((1, 2, 4, 5)), np.zeros((1, 2, 4, 6)), np.ones(2))


def random(*shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


def reference_hsic(kernel, other):
    """The unbiased estimator of Song et al. (2012), equation 5, term by term."""
    n = len(kernel)
    first, second = kernel - np.diag(np.diag(kernel)), other - np.diag(np.diag(other))
    ones = np.ones(n)
    total = np.trace(first @ second)
    total += (ones @ first @ ones) * (ones @ second @ ones) / ((n - 1) * (n - 2))
    total -= 2 / (n - 2) * (ones @ first @ second @ ones)
    return total / (n * (n - 3))


def test_it_is_the_published_unbiased_estimate():
    first, second = random(12, 30, seed=0), random(12, 7, seed=1)
    second[:, 0] += first[:, 0]
    kernels = first @ first.T, second @ second.T
    parts = [reference_hsic(kernels[i], kernels[j]) for i, j in ((0, 1), (0, 0), (1, 1))]
    # the same sums in another order: rounding of double precision
    assert linear_cka(first, second) == pytest.approx(parts[0] / np.sqrt(parts[1] * parts[2]), rel=1e-9)


def test_unrelated_maps_of_many_features_and_few_images_are_not_alike():
    values = [linear_cka(random(20, 500, seed=2 * draw), random(20, 500, seed=2 * draw + 1)) for draw in range(30)]
    # the plain estimate would be near 1; three standard errors of the mean of thirty draws
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(30)


def test_rotation_shift_and_one_factor_change_nothing_but_stretching_an_axis_does():
    maps = random(30, 8, seed=0)
    rotation = np.linalg.qr(random(8, 8, seed=1))[0]
    assert linear_cka(maps, 3 * maps @ rotation + 5) == pytest.approx(1, abs=1e-9)
    assert linear_cka(maps, maps * np.array([10, 1, 1, 1, 1, 1, 1, 1])) < 0.9


def test_a_planted_common_part_beats_images_permuted_and_unrelated_maps_do_not():
    common = random(60, 5, seed=0)
    related = [np.hstack([common, random(60, 5, seed=seed)]) for seed in (1, 2)]
    found = compare_by_cka("planted", *(gram_of(maps) for maps in related), seed=0)
    assert found.beats_null
    assert found.value > found.null_high
    assert found.low < found.value < found.high
    strangers = [
        compare_by_cka("none", gram_of(random(30, 9, seed=2 * s)), gram_of(random(30, 9, seed=2 * s + 1)), s, 200).beats_null
        for s in range(60)
    ]
    # 5 % of sixty are three; eleven or more has a probability below 1e-4
    assert sum(strangers) <= 10


def test_the_interval_covers_what_many_images_give():
    def maps(n, seed):
        common = random(n, 4, seed=seed)
        return [np.hstack([common, random(n, 4, seed=seed + shift)]) for shift in (10_000, 20_000)]

    truth = linear_cka(*maps(1500, seed=1))
    found = [compare_by_cka("a", *(gram_of(each) for each in maps(50, seed)), seed, 10) for seed in range(100)]
    covered = sum(each.low <= truth <= each.high for each in found)
    # of a hundred, 95 on average; below 85 has a probability of 1e-4, and a jackknife at 50 images errs a little
    assert covered >= 85


def test_maps_that_never_vary_give_a_reason_and_other_images_are_refused():
    found = compare_by_cka("flat", gram_of(np.ones((9, 4))), gram_of(random(9, 4, seed=0)), seed=0)
    assert np.isnan(found.value)
    assert "same for all images" in found.reason
    with pytest.raises(DataError, match="same images, at least 5"):
        linear_cka(random(4, 4, seed=0), random(4, 4, seed=0))
