"""Intervals agree with their definitions, and one more draw lies inside as often as they say."""

import numpy as np
import pytest
from scipy.stats import binomtest

from dina.checks import DataError
from dina.statistics.finding import Finding
from dina.statistics.intervals import null_range, prediction_range, prediction_reach, wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (7, 10), (10, 10), (37, 280)])
def test_wilson_interval_agrees_with_scipy(successes, n):
    expected = binomtest(successes, n).proportion_ci(method="wilson")

    low, high = wilson_interval(successes / n, n)

    # both evaluate the same closed formula in float64
    np.testing.assert_allclose([low, high], [expected.low, expected.high], atol=1e-12)


def test_wilson_interval_refuses_a_fraction_above_one():
    with pytest.raises(DataError, match=r"between 0 and 1; got 1\.2"):
        wilson_interval(1.2, 10)


@pytest.mark.parametrize("n_draws", [4, 30])
def test_one_more_draw_lies_inside_as_often_as_stated(n_draws: int) -> None:
    draws = np.random.default_rng(0).standard_normal((n_draws + 1, 20_000))
    known, further = draws[:-1], draws[-1]
    inside = np.abs(further - known.mean(0)) <= prediction_reach(known)
    # 20,000 tries have a standard error of 0.0015; three of them
    assert inside.mean() == pytest.approx(0.95, abs=0.005)


def test_the_range_of_one_draw_is_refused() -> None:
    with pytest.raises(DataError, match="at least two draws"):
        prediction_reach(np.ones(1))


def test_the_range_of_few_draws_lies_about_their_mean_or_a_given_centre() -> None:
    draws = np.array([0.0, 2.0, 4.0])
    # t of two degrees of freedom, 4.303, times the deviation 2, times the root of 1 + 1/3
    assert prediction_range(draws) == pytest.approx((2 - 9.936, 2 + 9.936), abs=1e-3)
    assert prediction_range(draws, 0.0) == pytest.approx((-9.936, 9.936), abs=1e-3)


@pytest.mark.parametrize(("n_draws", "expected"), [(39, 0.95), (100, 1 - 4 / 101), (25, 0.95)])
def test_an_observation_that_is_one_more_draw_lies_in_its_null_as_often_as_ranks_say(n_draws: int, expected: float) -> None:
    draws = np.random.default_rng(1).standard_normal((5000, n_draws + 1))
    ranges = np.array([null_range(row[1:]) for row in draws])
    inside = (ranges[:, 0] <= draws[:, 0]) & (draws[:, 0] <= ranges[:, 1])
    # a standard error of 0.003; three of them. Quantiles would give 0.90, 0.93 and 0.88
    assert inside.mean() == pytest.approx(expected, abs=0.01)


def test_a_finding_takes_ranges_that_are_not_made_of_draws() -> None:
    found = Finding.from_draws("x", 1.0, "1", 3, interval=(0.5, 1.5), null_range=(0.1, 0.2), null="pairs permuted")
    assert (found.low, found.high, found.null_low, found.null_high) == (0.5, 1.5, 0.1, 0.2)


def test_a_null_of_zero_width_is_no_null_and_says_so() -> None:
    found = Finding.from_draws("x", 1.0, "1", 3, null_draws=np.full(50, 0.3), null="pairs permuted")
    assert np.isnan(found.null_low)
    assert not found.beats_null
    assert found.null == ""
    assert "The same in every draw" in found.reason


def test_rounding_does_not_put_a_statistic_outside_its_null() -> None:
    found = Finding("x", 0.1 + 0.2, "1", 3, null_low=-0.3, null_high=0.3, null="pairs permuted")
    assert found.value > found.null_high
    assert not found.beats_null
