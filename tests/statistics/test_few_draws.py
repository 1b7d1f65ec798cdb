"""The range of a null from few draws holds as many further draws as it says."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.few_draws import prediction_reach
from dina.statistics.finding import Finding


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


def test_a_null_of_few_draws_is_where_one_more_would_lie() -> None:
    draws = np.array([0.0, 2.0, 4.0, np.nan])
    found = Finding.from_draws("x", 1.0, "1", 3, interval=(0.5, 1.5), null_draws=draws, null_is_few=True)
    # t of two degrees of freedom, 4.303, times the deviation 2, times the root of 1 + 1/3
    assert (found.null_low, found.null_high) == pytest.approx((2 - 9.936, 2 + 9.936), abs=1e-3)
    assert (found.low, found.high) == (0.5, 1.5)
    about_zero = Finding.from_draws("x", 1.0, "1", 3, null_draws=draws, null_is_few=True, null_centre=0.0)
    assert about_zero.null_high == pytest.approx(9.936, abs=1e-3)
    assert np.isnan(Finding.from_draws("x", 1.0, "1", 3, null_draws=draws[:1], null_is_few=True).null_high)
