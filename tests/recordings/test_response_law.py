"""The law of simulated responses agrees with draws from it, before and after a power."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import gamma, ndtr

from dina.checks import DataError
from dina.recordings.response_law import ResponseLaw, rectified_moment
from dina.recordings.simulator import simulate
from dina.recordings.truth import Truth

SMALL = {"n_neurons": 24, "n_stimuli": 12, "n_subunits": 40, "n_broad_factors": 10, "n_spontaneous": 50}
N_DRAWS = 4000


def _truth(**settings: object) -> Truth:
    truth = simulate("demo", 1, settings=SMALL | settings).truth
    assert truth is not None
    return truth


@pytest.fixture(scope="module")
def truth() -> Truth:
    return _truth(drift=0.2)


@pytest.fixture(scope="module")
def draws(truth: Truth) -> np.ndarray:
    """Draw trials, (repeat, stimulus, neuron)."""
    stimulus_id = np.tile(np.arange(12), N_DRAWS)
    return truth.draw_trials(stimulus_id, np.random.default_rng(0)).reshape(N_DRAWS, 12, 24)


def test_moments_above_threshold_equal_the_closed_forms() -> None:
    level = np.array([-3.0, 0.0, 0.7, 5.0])
    density = np.exp(-(level**2) / 2) / np.sqrt(2 * np.pi)

    first = level * ndtr(level) + density
    second = (level**2 + 1) * ndtr(level) + level * density
    # Gauss-Legendre on a smooth integrand: rounding only
    np.testing.assert_allclose(rectified_moment(level, 1.0), first, rtol=1e-9)
    np.testing.assert_allclose(rectified_moment(level, 2.0), second, rtol=1e-9)
    # half of E|e|^q at threshold; a root has a vertical tangent there, which costs digits
    for power in (0.375, 0.75):
        expected = 2 ** (power / 2) * gamma((power + 1) / 2) / np.sqrt(np.pi) / 2
        np.testing.assert_allclose(rectified_moment(np.zeros(1), power), expected, rtol=1e-4)


@pytest.mark.parametrize("power", [1.0, 0.5, 0.25])
def test_moments_after_a_power_are_those_of_many_draws(truth: Truth, draws: np.ndarray, power: float) -> None:
    powered = draws ** np.float32(power)
    known = truth if power == 1 else truth.after_power(power)
    z = (powered.mean(0) - known.mean) / (powered.std(0) / np.sqrt(N_DRAWS))
    shared = (known.shared_gain**2) * (known.shared_loadings**2).sum(1) + known.gain_deviation**2 * known.mean**2

    # 288 standard normal values: the root mean square is 1 ± 0.04, widened for correlated noise
    assert 0.7 < np.sqrt((z**2).mean()) < 1.3
    # 4,000 heavy-tailed trials give each variance to a few per cent, their mean ratio to 1 %
    assert (powered.var(0) / (known.private_variance + shared)).mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_shared_noise_after_a_power_is_that_of_many_draws(truth: Truth, draws: np.ndarray, power: float) -> None:
    known = truth if power == 1 else truth.after_power(power)
    residuals = (draws ** np.float32(power) - known.mean).reshape(-1, 24)
    private, loadings = known.pooled_covariance()
    expected, measured = np.diag(private) + loadings @ loadings.T, residuals.T @ residuals / len(residuals)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    off = ~np.eye(24, dtype=bool)
    # correlations of 48,000 trials have a standard error of 0.005; they hold to first order, with the average gain of each neuron
    assert np.abs((measured - expected) / scale)[off].mean() < 0.01
    assert np.corrcoef(measured[off], expected[off])[0, 1] > 0.95


def test_the_potential_is_found_from_the_mean() -> None:
    law = ResponseLaw(1.5, 0.2, np.array([2.0, 5.0]), np.array([0.1, 0.0]), np.array([0.5, 1.0], dtype=np.float32))
    potential = np.array([[-2.0, 0.0], [0.3, 4.0]], dtype=np.float32)
    loadings = np.array([[0.4], [0.1]], dtype=np.float32)

    # the table is inverted where it was read: float32 rounding of the mean remains
    np.testing.assert_allclose(law.potential(law.moments(potential, loadings)[0], loadings), potential, atol=1e-5)


def test_roots_of_responses_tell_more_images_apart_than_the_responses_themselves() -> None:
    recording = simulate("demo", 0)
    truth, first = recording.truth, recording.stimulus_id[:500]
    assert truth is not None
    one, ids = np.ones(500), np.arange(500)
    raw = truth.log_likelihood(recording.responses[:500], one, ids)
    root = truth.after_power(0.5).log_likelihood(np.sqrt(recording.responses[:500]), one, ids)

    # 500 single trials: the observers differ on dozens of them
    assert (root.argmax(1) == first).mean() > (raw.argmax(1) == first).mean() + 0.05


def test_the_law_survives_a_file_and_a_choice_of_neurons(truth: Truth) -> None:
    keep = np.arange(24) % 3 == 0
    again = Truth.from_dataset(truth.to_dataset()).select_neurons(keep)

    np.testing.assert_array_equal(again.after_power(0.5).mean, truth.after_power(0.5).mean[:, keep])


def test_a_truth_without_the_law_says_what_to_do(truth: Truth) -> None:
    older = replace(truth, law=None)

    assert Truth.from_dataset(older.to_dataset()).law is None
    with pytest.raises(DataError, match="Simulate the recording again"):
        older.after_power(0.5)
    with pytest.raises(DataError, match="Simulate the recording again"):
        older.draw_trials(np.arange(3), np.random.default_rng(0))
