"""Means and medians over resampled images agree with writing every resample out."""

import numpy as np

from dina.statistics import clustered_bootstrap
from dina.statistics.clustered_bootstrap import clustered_means, clustered_medians
from dina.statistics.resampling import resample_counts


def test_means_and_medians_agree_with_repeating_every_query(monkeypatch):
    generator = np.random.default_rng(0)
    cluster = np.array([0, 0, 0, 1, 2, 2, 3, 4])
    values = generator.integers(0, 9, 8).astype(float)
    counts = resample_counts(5, 50, generator)
    monkeypatch.setattr(clustered_bootstrap, "CHUNK", 24)  # three resamples at a time

    means, medians = clustered_means(values, cluster, counts), clustered_medians(values, cluster, counts)

    written_out = [np.repeat(values, row[cluster]) for row in counts]
    np.testing.assert_allclose(means, [v.mean() for v in written_out], rtol=1e-12)  # another order of additions
    np.testing.assert_array_equal(medians, [np.median(v) for v in written_out])
