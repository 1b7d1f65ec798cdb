"""The range of a null from few draws holds as many further draws as it says."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.few_draws import prediction_reach


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
