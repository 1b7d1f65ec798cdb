"""Kernel alignment against its definition, on unrelated maps, and where a common part was planted."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.kernel_alignment import compare_by_cka, gram_of, linear_cka


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
