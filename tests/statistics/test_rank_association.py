"""Spearman's correlation against scipy, its interval by simulation, and the ROC area against counting pairs."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from dina.checks import DataError
from dina.statistics.rank_association import roc_area, spearman_null, spearman_with_interval


def test_spearman_agrees_with_scipy_with_ties_and_missing_values() -> None:
    generator = np.random.default_rng(0)
    first = generator.integers(0, 8, 60).astype(float)
    second = first + generator.standard_normal(60) * 3
    second[5] = np.nan
    value, low, high = spearman_with_interval(first, second)
    known = np.isfinite(second)
    # two orders of the same sums: rounding alone
    np.testing.assert_allclose(value, spearmanr(first[known], second[known])[0], rtol=1e-12)
    assert low < value < high


def test_spearman_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    # a bivariate normal of correlation r has a rank correlation of 6/pi arcsin(r/2)
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    covered = []
    for _ in range(400):
        pair = generator.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 80)
        _, low, high = spearman_with_interval(pair[:, 0], pair[:, 1])
        covered.append(low <= truth <= high)
    # 95 % of 400 is 380; three binomial deviations are 13
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)


def test_unrelated_items_stay_inside_the_null_range() -> None:
    generator = np.random.default_rng(2)
    values = [spearman_with_interval(*generator.standard_normal((2, 50)))[0] for _ in range(400)]
    outside = np.mean(np.abs(values) > spearman_null(50))
    assert abs(outside - 0.05) < 3 * np.sqrt(0.95 * 0.05 / 400)


@pytest.mark.parametrize("first", [np.ones(10), np.array([1.0, 2.0, np.nan, np.nan, 3.0, np.nan])])
def test_spearman_of_too_little_is_nan(first: np.ndarray) -> None:
    assert np.isnan(spearman_with_interval(first, np.arange(len(first), dtype=float))).all()


def test_roc_area_is_the_fraction_of_pairs_in_order_ties_by_half() -> None:
    generator = np.random.default_rng(3)
    values = generator.integers(0, 6, 40).astype(float)
    is_positive = generator.random(40) < 0.3
    pairs = values[is_positive][:, None] - values[~is_positive][None]
    area, low, high = roc_area(values, is_positive)
    np.testing.assert_allclose(area, ((pairs > 0) + 0.5 * (pairs == 0)).mean(), rtol=1e-12)
    # DeLong's variance by its definition: placements of positives among negatives, and the reverse
    placed = (pairs > 0) + 0.5 * (pairs == 0)
    variance = placed.mean(1).var(ddof=1) / len(placed) + placed.mean(0).var(ddof=1) / placed.shape[1]
    np.testing.assert_allclose(high - low, 2 * 1.959964 * np.sqrt(variance), rtol=1e-6)


def test_roc_area_needs_both_kinds() -> None:
    with pytest.raises(DataError, match="positive and negative items; got 3 and 0"):
        roc_area(np.arange(3.0), np.ones(3, dtype=bool))
