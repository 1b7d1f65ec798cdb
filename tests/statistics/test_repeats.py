"""Sums over the repeats of an image have the same bits as adding row by row, and its halves are independent."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.repeats import average_halves, count_within_group, mean_square_by_group, pick_two_repeats, sum_by_group


def test_sums_have_the_same_bits_as_adding_row_by_row():
    generator = np.random.default_rng(0)
    values = generator.standard_normal((60, 700)).astype(np.float32)
    group = generator.integers(0, 9, 60)

    total = sum_by_group(values, group, 10)

    expected = np.zeros((10, 700), dtype=np.float32)
    np.add.at(expected, group, values)
    np.testing.assert_array_equal(total, expected)


def test_a_value_that_is_not_a_number_stays_in_its_group():
    values = np.array([[np.nan], [1.0], [2.0]], dtype=np.float32)

    np.testing.assert_array_equal(sum_by_group(values, np.array([0, 1, 1]), 2), [[np.nan], [3.0]])


def test_members_are_numbered_in_order_of_appearance():
    np.testing.assert_array_equal(count_within_group(np.array([2, 0, 2, 1, 2, 0])), [0, 0, 1, 0, 2, 1])


def test_squares_within_and_between_add_up_to_the_total():
    generator = np.random.default_rng(1)
    values = generator.standard_normal((40, 600)) + 5
    group = generator.integers(0, 7, 40)

    within, between = mean_square_by_group(values, group, 7)

    # exact identity of the analysis of variance; float64 rounding only
    np.testing.assert_allclose(within + between, ((values - values.mean(axis=0)) ** 2).sum(axis=0), rtol=1e-10)


def test_halves_alternate_and_leave_out_the_odd_last_trial():
    responses = np.array([[1.0], [10.0], [2.0], [3.0], [20.0], [4.0], [7.0]], dtype=np.float32)
    index = np.array([1, 4, 1, 1, 4, 1, 0])

    first, second, stimulus = average_halves(responses, index)

    np.testing.assert_array_equal(stimulus, [1, 4])
    np.testing.assert_array_equal(first, [[2.0], [10.0]])  # trials 1 and 3 of image 1
    np.testing.assert_array_equal(second, [[3.0], [20.0]])  # trials 2 and 4


def test_unequal_repeats_are_listed_or_the_first_two_of_each_are_taken():
    values = np.arange(9, dtype=np.float32)[:, None]
    index = np.array([0, 1, 2, 0, 1, 2, 0, 3, 1])  # images 0 and 1 thrice, 2 twice, 3 once

    with pytest.raises(DataError, match=r"there are 1 images with 2, 2 images with 3\. Take the first two of each: .*first_two"):
        pick_two_repeats(values, index)

    first, second, images = pick_two_repeats(values, index, "first_two")
    np.testing.assert_array_equal(np.hstack([first, second, images[:, None]]), [[0, 3, 0], [1, 4, 1], [2, 5, 2]])
    for one, other in zip(pick_two_repeats(values[:6], index[:6]), average_halves(values[:6], index[:6]), strict=True):
        np.testing.assert_array_equal(one, other)
