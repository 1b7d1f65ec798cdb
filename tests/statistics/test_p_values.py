"""P-values of exchanges and of many tests agree with their definitions."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from dina.checks import DataError
from dina.statistics.p_values import (
    adjust_for_discoveries,
    control_false_discoveries,
    paired_exchange_p_value,
    permutation_p_value,
    permuted_targets_p_value,
)


def test_p_value_is_never_zero_and_counts_the_observed_assignment():
    permuted = np.arange(1.0, 100.0)

    assert permutation_p_value(0.0, permuted, "small") == 0.01
    assert permutation_p_value(1.0, permuted, "small") == 0.02
    assert permutation_p_value(99.0, permuted, "large") == 0.02
    assert permutation_p_value(0.0, permuted, "large") == 1.0


def test_p_value_counts_a_permutation_that_differs_by_rounding_as_equal():
    assert permutation_p_value(1.0, np.array([1.0 + 1e-12, 2.0, 3.0]), "small") == 0.5


def test_random_assignments_of_targets_agree_with_all_of_them():
    cost = np.log(1 + np.random.default_rng(3).integers(0, 5, (5, 5)))
    every = [cost[np.arange(5), list(order)].sum() for order in permutations(range(5))]
    exact = np.mean(np.array(every) <= np.trace(cost) + 1e-9)

    found = permuted_targets_p_value([cost], np.random.default_rng(0), 10_000)

    # binomial error of 10,000 assignments
    assert abs(found - exact) < 4 * np.sqrt(exact * (1 - exact) / 10_000) + 1e-4


def test_exchange_counts_all_exchanges_of_few_mice():
    difference = np.array([0.5, 0.1, -0.2])
    observed, n_as_extreme = abs(difference.mean()), 0
    for first in (1, -1):
        for second in (1, -1):
            for third in (1, -1):
                n_as_extreme += abs((difference * [first, second, third]).mean()) >= observed - 1e-12
    assert paired_exchange_p_value(difference) == pytest.approx(n_as_extreme / 8)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_the_exchange_p_value_cannot_fall_below_what_so_many_mice_can_say(n):
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


def test_an_exchange_of_nothing_and_of_nan_is_refused():
    with pytest.raises(DataError, match="finite"):
        paired_exchange_p_value(np.array([]))
    with pytest.raises(DataError, match="finite"):
        paired_exchange_p_value(np.array([0.1, np.nan]))


def reference_step_up(p_values, level):
    """Benjamini & Hochberg (1995): reject the k smallest, k the largest with p_(k) <= k/m level."""
    order = np.argsort(p_values)
    allowed = level * np.arange(1, len(p_values) + 1) / len(p_values)
    below = np.flatnonzero(p_values[order] <= allowed)
    called = np.zeros(len(p_values), dtype=bool)
    called[order[: below[-1] + 1 if len(below) else 0]] = True
    return called


def test_calls_are_those_of_the_published_procedure():
    generator = np.random.default_rng(0)
    for _ in range(50):
        p_values = generator.random(20) ** 3
        np.testing.assert_array_equal(control_false_discoveries(p_values) <= 0.05, reference_step_up(p_values, 0.05))


def test_few_calls_are_false_where_some_tests_have_something_to_find():
    generator = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        p_values = np.concatenate([generator.random(30), generator.random(10) * 1e-3])
        called = control_false_discoveries(p_values) <= 0.05
        shares.append(called[:30].sum() / max(called.sum(), 1))
    # at most 5 % times the share of true nulls, plus three standard errors
    assert np.mean(shares) < 0.05 * 30 / 40 + 3 * np.std(shares) / np.sqrt(300)


def test_tests_that_could_not_be_made_do_not_count():
    p_values = np.array([[0.01, np.nan], [0.04, 0.03]])
    adjusted = control_false_discoveries(p_values)
    np.testing.assert_allclose(adjusted, [[0.03, np.nan], [0.04, 0.04]])
    assert np.isnan(control_false_discoveries(np.full(3, np.nan))).all()


def test_untested_pairs_make_discoveries_no_easier() -> None:
    p_values = np.random.default_rng(0).uniform(0, 0.2, 50)
    every = np.concatenate([p_values, np.ones(950)])
    np.testing.assert_allclose(adjust_for_discoveries(p_values, 1000), false_discovery_control(every)[:50])
