"""Paired differences between decoders cancel what both find hard."""

import numpy as np
import pytest
from scipy.stats import kstest

from dina.checks import DataError
from dina.retrieval.compare import compare
from dina.retrieval.ranks import DIRECTIONS, Retrieval, retrieve


def noisy(signal: float, seed: int, n: int = 40, repeats: int = 2) -> Retrieval:
    """Retrieve from scores in which the target stands out by ``signal`` standard deviations."""
    target = np.tile(np.arange(n), repeats)
    scores = np.random.default_rng(seed).standard_normal((n * repeats, n))
    scores[np.arange(n * repeats), target] += signal
    return retrieve(scores, target, DIRECTIONS[0])


def test_a_better_decoder_is_better_in_every_measure():
    better, worse = noisy(3.0, 0), noisy(1.0, 1)

    differences = {d.measure: d for d in compare(better, worse, seed=0, n_resamples=2000)}

    assert list(differences) == ["top1", "top5", "mean_log_rank", "median_rank"]
    assert differences["top1"].difference == pytest.approx((better.top(1) - worse.top(1)).mean(), abs=1e-12)
    assert differences["median_rank"].difference == np.median(better.rank()) - np.median(worse.rank())
    for measure, sign in (("top1", 1), ("top5", 1), ("mean_log_rank", -1), ("median_rank", -1)):
        found = differences[measure]
        assert sign * found.low > 0
        assert sign * found.high > 0
        assert found.low <= found.difference <= found.high
        assert found.p_value == pytest.approx(1 / 2001)


def test_a_decoder_does_not_differ_from_itself():
    same = noisy(1.0, 0)

    for found in compare(same, same, seed=0, n_resamples=200):
        assert (found.difference, found.p_value) == (0.0, 1.0)


def test_exchanging_the_decoders_changes_the_sign_alone():
    one, other = noisy(2.0, 0), noisy(1.5, 1)

    for there, back in zip(compare(one, other, 3, 500), compare(other, one, 3, 500), strict=True):
        np.testing.assert_allclose([there.difference, there.low, there.high], [-back.difference, -back.high, -back.low])
        assert there.p_value == back.p_value


def test_p_values_are_uniform_for_equally_good_decoders():
    compared = [compare(noisy(1.0, 2 * s), noisy(1.0, 2 * s + 1), s, 200) for s in range(120)]

    # a correct implementation fails this once in ten thousand times
    assert kstest([differences[2].p_value for differences in compared], "uniform").pvalue > 1e-4
    # medians are tied often, which makes p-values larger but never smaller; of 120, 5 % are 6 with a deviation of 2.4
    assert sum(differences[3].p_value <= 0.05 for differences in compared) <= 15


def test_top_five_is_left_out_of_a_gallery_of_four():
    assert [d.measure for d in compare(noisy(1, 0, n=4), noisy(1, 1, n=4), 0, 50)] == ["top1", "mean_log_rank", "median_rank"]


def test_decoders_on_different_queries_are_refused():
    with pytest.raises(DataError, match="80 queries among 40 and 60 among 30"):
        compare(noisy(1.0, 0), noisy(1.0, 0, n=30), seed=0)
    with pytest.raises(DataError, match="80 queries among 40 and 40 among 40"):
        compare(noisy(1.0, 0), noisy(1.0, 0, repeats=1), seed=0)


def test_no_interval_of_an_accuracy_goes_beyond_what_can_be():
    always, never = (retrieve(scores, np.arange(10), DIRECTIONS[0]) for scores in (np.eye(10), np.roll(np.eye(10), 1, axis=0)))
    assert compare(always, never, seed=0, n_resamples=100)[0].high <= 1.0
    assert compare(never, always, seed=0, n_resamples=100)[0].low >= -1.0
