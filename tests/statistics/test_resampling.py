"""Bootstrap intervals cover what they should, and agree with writing every resample out."""

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from dina.statistics import resampling
from dina.statistics.imagined_image import ImaginedImage
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


def test_an_interval_of_any_share_of_right_answers_holds_the_truth():
    n, n_resamples, generator = 50, 2000, np.random.default_rng(0)
    counts, imagined = resample_counts(n, n_resamples, generator), ImaginedImage.draw(n, n_resamples, generator)
    right = np.arange(n)[:, None] < np.arange(n + 1)  # of no right answer, of one, …
    plain = counts @ right / n
    low, high = np.array([percentile_interval(column) for column in imagined.join(plain, 0.0, 1.0).T]).T
    truth = np.linspace(0.005, 0.995, 199)
    holds = (low[:, None] <= truth) & (truth <= high[:, None])
    covered = (binom.pmf(np.arange(n + 1)[:, None], n, truth) * holds).sum(axis=0)

    # stated are 95 %; counts are whole, so that coverage goes up and down; Wilson's own goes down to 0.92 with as many images
    assert covered.min() > 0.92
    assert covered.mean() > 0.945
    # of none, the limit of Clopper & Pearson on one side; 2,000 resamples scatter by some hundredths of it
    assert (low[0], high[-1]) == (0.0, 1.0)
    assert high[0] == pytest.approx(1 - 0.05 ** (1 / n), rel=0.1)
    assert 1 - low[-1] == pytest.approx(1 - 0.05 ** (1 / n), rel=0.1)
    # of half, hardly anything changes: less than half an answer
    assert np.abs(np.array([low[n // 2], high[n // 2]]) - percentile_interval(plain[:, n // 2])).max() < 0.5 / n


@pytest.mark.parametrize(("first", "second"), [(0.0, 0.03), (0.03, 0.03), (0.0, 0.2), (0.1, 0.3)])
def test_an_interval_of_a_paired_difference_holds_the_truth_however_seldom_two_decoders_differ(first, second):
    n, n_resamples, generator = 30, 1000, np.random.default_rng(0)
    counts, imagined = resample_counts(n, n_resamples, generator), ImaginedImage.draw(n, n_resamples, generator)
    better = [(more, less) for more in range(n + 1) for less in range(n + 1 - more)]
    values = np.array([[1.0] * more + [-1.0] * less + [0.0] * (n - more - less) for more, less in better])
    likely = multinomial.pmf([(more, less, n - more - less) for more, less in better], n, [first, second, 1 - first - second])
    seen = likely > 1e-6
    resampled = imagined.join(counts @ values[seen].T / n, -1.0, 1.0)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)

    # 0.94 at least where it was computed with more resamples; of the bootstrap alone 0.60 in the first case
    assert likely[seen] @ ((low <= first - second) & (first - second <= high)) > 0.935


def test_the_opposite_of_an_imagined_image_gives_the_other_answer():
    imagined = ImaginedImage.draw(20, 100, np.random.default_rng(0))
    one, other = (each.join(np.full(100, 0.5), 0.0, 1.0) for each in (imagined, imagined.opposite))
    np.testing.assert_allclose(one + other, 1.0)  # as far above one half as below
    assert (one > 0.5).sum() == 50
