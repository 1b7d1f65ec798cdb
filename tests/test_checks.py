"""Every door words its refusal in the same way: what must hold, what was found, what to do."""

import numpy as np
import pytest

from dina.checks import DataError, check_choice, check_count, check_finite, check_numeric


def test_a_choice_is_returned_and_a_wrong_one_proposes_the_nearest() -> None:
    assert check_choice("preset", "paper", ["default", "paper"]) == "paper"
    with pytest.raises(DataError, match=r"Unknown preset 'papr'\. Did you mean 'paper'\? Choose from: default, paper\."):
        check_choice("preset", "papr", ["default", "paper"])
    with pytest.raises(DataError, match=r"Unknown preset 'x'\. Choose from"):
        check_choice("preset", "x", ["default", "paper"])


def test_not_finite_values_are_counted_by_kind_and_the_first_is_named() -> None:
    responses = np.zeros((4, 3))
    responses[1, 2] = np.nan
    responses[3, 2] = -np.inf
    with pytest.raises(
        DataError, match=r"1 NaN and 1 infinite values in 1 of 3 neurons \(first: trial 1, neuron 2\)\. Drop them"
    ):
        check_finite("responses", responses, ("trial", "neuron"), "Drop them.")
    check_finite("responses", np.zeros((4, 3), dtype=np.int16), ("trial", "neuron"), "Drop them.")


@pytest.mark.parametrize("value", [True, 0, 101, 1.0, "3"])
def test_a_count_outside_its_bounds_or_of_another_kind_is_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"k must be an integer between 1 and the gallery size 100; got"):
        check_count("k", value, 1, 100, "the gallery size")


def test_a_count_inside_its_bounds_is_returned_as_int() -> None:
    assert check_count("k", np.int16(7), 1) == 7
    with pytest.raises(DataError, match="at least 1; got 0"):
        check_count("k", 0, 1)


@pytest.mark.parametrize("array", [np.array([True]), np.array([1j]), np.array(["1"]), np.array([None])])
def test_what_is_not_a_real_number_is_refused_by_its_dtype(array: np.ndarray) -> None:
    with pytest.raises(DataError, match="must hold real numbers; got dtype"):
        check_numeric("responses", array)


def test_integers_and_floats_are_numbers() -> None:
    for dtype in (np.uint8, np.int64, np.float32):
        assert check_numeric("responses", np.zeros(2, dtype=dtype)).dtype == dtype
