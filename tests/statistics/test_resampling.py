"""Intervals cover what they should, and p-values are honest under the null."""

import numpy as np
import pytest
from scipy.stats import binomtest

from dina.checks import DataError
from dina.statistics.resampling import percentile_interval, permutation_p_value, resample_counts, wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (7, 10), (10, 10), (37, 280)])
def test_wilson_interval_agrees_with_scipy(successes, n):
    expected = binomtest(successes, n).proportion_ci(method="wilson")

    low, high = wilson_interval(successes / n, n)

    # both evaluate the same closed formula in float64
    np.testing.assert_allclose([low, high], [expected.low, expected.high], atol=1e-12)


def test_wilson_interval_refuses_a_fraction_above_one():
    with pytest.raises(DataError, match=r"between 0 and 1; got 1\.2"):
        wilson_interval(1.2, 10)


def test_every_resample_draws_as_many_items_as_there_are():
    counts = resample_counts(30, 200, np.random.default_rng(0))

    assert counts.shape == (200, 30)
    np.testing.assert_array_equal(counts.sum(axis=1), 30)
    # an item is left out with probability (1 - 1/30)^30 = 0.3617; standard error below 0.007 over 6,000 counts
    assert abs((counts == 0).mean() - 0.3617) < 0.025


def test_bootstrap_interval_of_a_mean_has_the_width_of_the_normal_interval():
    values = np.random.default_rng(1).standard_normal(400)
    counts = resample_counts(400, 5000, np.random.default_rng(2))

    low, high = percentile_interval(counts @ values / 400)

    # 2 × 1.96 standard errors; the ends of 5,000 resamples scatter by about 3 %
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_bootstrap_intervals_cover_the_truth_nearly_always():
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        values = generator.standard_normal(60)
        low, high = percentile_interval(resample_counts(60, 400, generator) @ values / 60)
        covered += low <= 0 <= high

    # nominally 95 %, about 94 % at n = 60; three standard errors of 300 draws are 4 %
    assert 0.90 <= covered / 300 <= 0.985


def test_p_value_is_never_zero_and_counts_the_observed_assignment():
    permuted = np.arange(1.0, 100.0)

    assert permutation_p_value(0.0, permuted, "small") == 0.01
    assert permutation_p_value(1.0, permuted, "small") == 0.02
    assert permutation_p_value(99.0, permuted, "large") == 0.02
    assert permutation_p_value(0.0, permuted, "large") == 1.0


def test_p_value_counts_a_permutation_that_differs_by_rounding_as_equal():
    assert permutation_p_value(1.0, np.array([1.0 + 1e-12, 2.0, 3.0]), "small") == 0.5
