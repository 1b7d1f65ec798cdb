"""Standardised training responses have mean 0 and deviation 1, and constant neurons do no harm."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.data.standardise import Standardiser


@pytest.fixture
def responses():
    generator = np.random.default_rng(0)
    return (50 + generator.exponential(size=(40, 600)) * np.arange(1, 601)).astype(np.float32)


def test_training_responses_have_mean_zero_and_deviation_one(responses):
    standard = Standardiser.learn(responses).apply(responses)

    # float32 with a mean of up to fifty deviations
    np.testing.assert_allclose(standard.mean(axis=0, dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=0, dtype=np.float64), 1, atol=1e-4)


def test_undo_returns_the_responses(responses):
    standardiser = Standardiser.learn(responses)

    np.testing.assert_allclose(standardiser.undo(standardiser.apply(responses)), responses, rtol=1e-5)  # float32


def test_a_constant_neuron_is_zero_also_on_new_trials(responses):
    responses[:, 7] = 0.1
    responses[::2, 7] = np.nextafter(np.float32(0.1), np.float32(1))  # as after some arithmetic: rounding is no response
    standardiser = Standardiser.learn(responses)

    new = responses + 1

    assert standardiser.deviation[7] == 0
    np.testing.assert_array_equal(standardiser.apply(new)[:, 7], 0)
    np.testing.assert_array_equal(standardiser.undo(standardiser.apply(new))[:, 7], standardiser.mean[7])


def test_responses_that_never_change_are_refused():
    with pytest.raises(DataError, match="all 3 neurons are constant over the 5 training trials"):
        Standardiser.learn(np.ones((5, 3), dtype=np.float32))
