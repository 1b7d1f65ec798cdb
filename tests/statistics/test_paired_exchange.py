"""Exchange of pairs over mice, against a count by hand and on pairs that do not differ."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.paired_exchange import paired_exchange_p_value


def test_it_counts_all_exchanges_of_few_mice():
    difference = np.array([0.5, 0.1, -0.2])
    observed, n_as_extreme = abs(difference.mean()), 0
    for first in (1, -1):
        for second in (1, -1):
            for third in (1, -1):
                n_as_extreme += abs((difference * [first, second, third]).mean()) >= observed - 1e-12
    assert paired_exchange_p_value(difference) == pytest.approx(n_as_extreme / 8)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_it_cannot_fall_below_what_so_many_mice_can_say(n):
    assert paired_exchange_p_value(np.linspace(1, 2, n)) == pytest.approx(2 / 2**n)


def test_random_exchanges_of_many_mice_agree_with_all_of_them():
    difference = np.random.default_rng(0).standard_normal(14) + 0.4
    exact = paired_exchange_p_value(difference)
    # a mouse without a difference adds nothing but takes the other path; binomial error of 10,000 exchanges
    random = paired_exchange_p_value(np.append(difference, 0.0), seed=1)
    # the mean is over one mouse more, in all exchanges alike
    assert abs(random - exact) < 4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4


def test_where_nothing_differs_one_test_in_twenty_says_so():
    generator = np.random.default_rng(0)
    p_values = np.array([paired_exchange_p_value(generator.standard_normal(9)) for _ in range(800)])
    assert abs((p_values <= 0.05).mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 800)


def test_nothing_and_nan_are_refused():
    with pytest.raises(DataError, match="finite"):
        paired_exchange_p_value(np.array([]))
    with pytest.raises(DataError, match="finite"):
        paired_exchange_p_value(np.array([0.1, np.nan]))
