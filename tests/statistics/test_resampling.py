"""Bootstrap intervals cover what they should, and agree with writing every resample out."""

import numpy as np
import pytest

from dina.statistics import resampling
from dina.statistics.resampling import clustered_means, clustered_medians, percentile_interval, resample_counts


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


def test_means_and_medians_agree_with_repeating_every_query(monkeypatch):
    generator = np.random.default_rng(0)
    cluster = np.array([0, 0, 0, 1, 2, 2, 3, 4])
    values = generator.integers(0, 9, 8).astype(float)
    counts = resample_counts(5, 50, generator)
    monkeypatch.setattr(resampling, "CHUNK", 24)  # three resamples at a time

    means, medians = clustered_means(values, cluster, counts), clustered_medians(values, cluster, counts)

    written_out = [np.repeat(values, row[cluster]) for row in counts]
    np.testing.assert_allclose(means, [v.mean() for v in written_out], rtol=1e-12)  # another order of additions
    np.testing.assert_array_equal(medians, [np.median(v) for v in written_out])
