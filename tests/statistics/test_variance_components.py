"""Variance components on paper, over many draws, and where they cannot be had."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.variance_components import variance_components


def draw(generator, deviations, shape, rest=0.5):
    values = rest * generator.standard_normal(shape)
    for axis, deviation in enumerate(deviations):
        own = [1] * len(shape)
        own[axis] = shape[axis]
        values = values + deviation * generator.standard_normal(own)
    return values


def test_two_by_two_by_hand():
    # means of rows 1 and 3, of columns 1.5 and 2.5; the rest of every cell is ±0.5
    values = np.array([[1.0, 1.0], [2.0, 4.0]])
    rows, columns, rest = variance_components(values, ("row", "column"))
    # mean squares: rows 2·(1² + 1²) = 4, columns 2·(0.5² + 0.5²) = 1, rest 4·0.5² = 1
    assert (rows.value, columns.value, rest.value) == pytest.approx(((4 - 1) / 2, (1 - 1) / 2, 1.0))
    assert (rows.name, columns.name, rest.name) == ("variance_row", "variance_column", "variance_rest")


def test_estimates_are_unbiased_and_intervals_cover_what_was_planted():
    generator = np.random.default_rng(0)
    found = [variance_components(draw(generator, (1.0, 0.3, 0.0), (3, 4, 5)), ("a", "b", "c")) for _ in range(400)]
    for place, truth in enumerate((1.0, 0.09, 0.0, 0.25)):
        values = np.array([each[place].value for each in found])
        assert abs(values.mean() - truth) < 3 * values.std() / np.sqrt(len(values))
        missed = [np.mean([each[place].low > truth for each in found]), np.mean([each[place].high < truth for each in found])]
        # 2.5 % on either side with a standard error of 0.8 %; the method errs by about 1 %
        assert all(0.005 <= each <= 0.06 for each in missed)


def test_a_source_that_adds_nothing_beats_its_null_in_one_of_twenty():
    generator = np.random.default_rng(1)
    found = [variance_components(draw(generator, (0.0, 0.7), (4, 6)), ("a", "b")) for _ in range(400)]
    beaten = np.mean([each[0].beats_null for each in found])
    assert abs(beaten - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 400)
    assert np.mean([each[1].beats_null for each in found]) > 0.7


def test_a_shift_changes_nothing_and_a_factor_counts_squared():
    values = draw(np.random.default_rng(2), (1.0, 1.0), (3, 4))
    plain, moved = (variance_components(each, ("a", "b")) for each in (values, 10 + 2 * values))
    for one, other in zip(plain, moved, strict=True):
        assert other.value == pytest.approx(4 * one.value)
        assert other.high == pytest.approx(4 * one.high)


def test_one_level_and_missing_numbers_give_reasons():
    values = draw(np.random.default_rng(3), (0.0, 1.0, 1.0), (1, 3, 4))
    seed, fold, *_ = variance_components(values, ("seed", "fold", "recording"))
    assert np.isnan(seed.value)
    assert seed.reason == "There is one seed only."
    assert np.isfinite(fold.value)
    values[0, 0, 0] = np.nan
    assert all("missing" in each.reason for each in variance_components(values, ("seed", "fold", "recording")))
    alone = variance_components(values[:, :1, 1:], ("seed", "fold", "recording"))
    assert all("no variance is left" in each.reason for each in alone)


def test_every_axis_needs_a_name():
    with pytest.raises(DataError, match="2 axes and 1 names"):
        variance_components(np.zeros((2, 3)), ("seed",))
