"""Adjusted p-values against their definition, and how many false calls they allow."""

import numpy as np

from dina.statistics.false_discoveries import control_false_discoveries


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
