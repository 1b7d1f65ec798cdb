"""Powers and gains act on single trials, come back where they can, and leave zero where it was."""

from dataclasses import replace

import numpy as np
import pytest

from dina.checks import DataError
from dina.data.pairs import learn_standardiser, make_pairs
from dina.data.response_transform import IDENTITY, VALUES_AT_ONCE, ResponseTransform
from dina.data.standardise import Standardiser


@pytest.fixture
def responses():
    generator = np.random.default_rng(0)
    values = generator.gamma(0.5, size=(50, 30)).astype(np.float32) * generator.choice([-1, 1], size=(50, 30))
    values[::3] = 0
    return values.astype(np.float32)


def test_the_identity_returns_the_very_same_array(responses):
    assert IDENTITY.apply(responses) is responses
    assert IDENTITY.undo(responses) is responses


@pytest.mark.parametrize("power", [2 / 3, 1 / 2, 1 / 4, 0.3])
def test_a_power_keeps_signs_and_zeros_and_comes_back(responses, power):
    transform = ResponseTransform.of_power(power)

    found = transform.apply(responses)

    np.testing.assert_allclose(found, np.sign(responses) * np.abs(responses) ** np.float32(power), rtol=1e-5)
    np.testing.assert_array_equal(found[::3], 0)
    # rounding in single precision, to the fourth power
    np.testing.assert_allclose(transform.undo(found), responses, rtol=1e-5, atol=1e-6)


def test_offsets_and_powers_of_each_neuron_act_on_that_neuron():
    transform = ResponseTransform("both", np.array([1, 0.5], np.float32), np.array([2, 4], np.float32))

    found = transform.apply(np.array([[1.0, 5.0], [-4.0, -8.0]], dtype=np.float32))

    np.testing.assert_allclose(found, [[3, 3], [-2, -2]])
    np.testing.assert_allclose(transform.undo(found), [[1, 5], [-4, -8]])
    np.testing.assert_allclose(transform.select_neurons(np.array([1])).apply(np.array([[5.0]], dtype=np.float32)), [[3]])


def test_a_gain_makes_trials_that_differ_by_a_factor_the_same():
    trial = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    trials = np.stack([trial, 4 * trial, 0 * trial])
    transform = IDENTITY.with_gain(trials)

    found = transform.apply(trials)

    assert transform.name == "gain"
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    # the mean root mean square over the three trials is 5/3 of the first one's
    np.testing.assert_allclose(found[0], 5 / 3 * trial, rtol=1e-6)
    np.testing.assert_allclose(transform.gain(trials), [3 / 5, 12 / 5, 1], rtol=1e-6)


def test_blocks_give_what_one_piece_gives():
    n_neurons = VALUES_AT_ONCE // 3
    values = np.random.default_rng(0).standard_normal((5, n_neurons), dtype=np.float32)

    np.testing.assert_array_equal(
        ResponseTransform.of_power(0.5).apply(values)[4], np.copysign(np.sqrt(np.abs(values[4])), values[4])
    )


def test_training_responses_are_standard_after_the_transform(responses):
    standardiser = Standardiser.learn(responses, ResponseTransform.of_power(0.5))

    standard = standardiser.apply(responses)

    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(standardiser.undo(standard), responses, atol=1e-4)


def test_raw_averages_are_those_of_the_recording_under_any_transform(small_session):
    train = np.arange(40)
    raw = make_pairs(small_session, train, learn_standardiser(small_session, train)).averaged_raw()
    root = ResponseTransform.of_power(0.5)

    found = make_pairs(small_session, train, learn_standardiser(small_session, train, root)).averaged_raw()

    np.testing.assert_allclose(found, raw, rtol=1e-3, atol=1e-3 * raw.max())  # roots of standardised values, squared again


def test_raw_averages_under_a_gain_are_those_of_trials_divided_by_it(small_session):
    train = np.arange(40)
    gained = IDENTITY.with_gain(small_session.responses[small_session.stimulus_id < 40])

    found = make_pairs(small_session, train, learn_standardiser(small_session, train, gained)).averaged_raw()

    divided = replace(small_session, responses=gained.apply(small_session.responses))
    expected = make_pairs(divided, train, learn_standardiser(divided, train)).averaged_raw()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_powers_of_zero_and_offsets_without_a_value_are_refused():
    with pytest.raises(DataError, match="must be above 0; the lowest is 0"):
        ResponseTransform.of_power(0.0)
    with pytest.raises(DataError, match="Offsets of responses must be finite"):
        ResponseTransform("x", np.float32([1.0]), np.float32([np.nan]))
