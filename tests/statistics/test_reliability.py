"""Reliability and its relatives return the numbers that paper and pencil give."""

from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.reliability import noise_ceiling, signal_variance_fraction, spearman_brown, split_half_reliability

MOUSE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "antolik2016_mouseV1"


def simulate(fraction: float, repeats: np.ndarray, n_neurons: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Make trials whose single-trial variance is 1, ``fraction`` of it signal."""
    generator = np.random.default_rng(0)
    index = generator.permutation(np.repeat(np.arange(len(repeats)), repeats))
    signal = np.sqrt(fraction) * generator.standard_normal((len(repeats), n_neurons))[index]
    noise = np.sqrt(1 - fraction) * generator.standard_normal((len(index), n_neurons))
    return (3 + signal + noise).astype(np.float32), index


def test_reliability_of_one_half_becomes_two_thirds():
    assert spearman_brown(np.array([0.5]))[0] == pytest.approx(2 / 3, abs=1e-12)


def test_noise_ceiling_of_two_repeats_with_equal_signal_and_noise_is_root_two_thirds():
    assert noise_ceiling(np.array([0.5]), 2)[0] == pytest.approx(np.sqrt(2 / 3), abs=1e-12)


def test_noise_ceiling_is_what_the_true_signal_reaches():
    generator = np.random.default_rng(0)
    signal = generator.standard_normal(20_000)
    average = signal + (generator.standard_normal((3, 20_000)) * np.sqrt(3)).mean(axis=0)

    # fraction 1 / (1 + 3); the standard error of this correlation is (1 - 0.5) / √20,000 = 0.0035
    assert np.corrcoef(signal, average)[0, 1] == pytest.approx(noise_ceiling(np.array([0.25]), 3)[0], abs=0.012)


def test_negative_estimates_have_ceiling_zero_and_unknown_ones_stay_unknown():
    np.testing.assert_array_equal(noise_ceiling(np.array([-0.2, np.nan]), 5), [0.0, np.nan])


def test_split_half_reliability_recovers_the_planted_fraction():
    responses, index = simulate(0.3, np.full(2000, 2))

    # standard error (1 - 0.09) / √2000 / √40 = 0.0032
    assert split_half_reliability(responses, index).mean() == pytest.approx(0.3, abs=0.013)


@pytest.mark.parametrize("repeats", [np.full(1500, 2), np.tile([1, 2, 5, 7], 250)])
def test_signal_variance_fraction_is_unbiased_for_equal_and_unequal_repeats(repeats):
    responses, index = simulate(0.16, repeats)

    # standard error of the mean over 40 neurons about 0.004
    assert signal_variance_fraction(responses, index).mean() == pytest.approx(0.16, abs=0.015)


def test_signal_variance_fraction_agrees_with_moments_worked_out_by_hand():
    # images with 1, 2 and 4 trials; means 2, 4, 6; grand mean 34 / 7; n0 = (7 - 21 / 7) / 2 = 2
    responses = np.array([[2.0], [3.0], [5.0], [5.0], [7.0], [5.0], [7.0]], dtype=np.float32)

    between = ((2 - 34 / 7) ** 2 + 2 * (4 - 34 / 7) ** 2 + 4 * (6 - 34 / 7) ** 2) / 2
    within = (2 + 4) / 4
    signal = (between - within) / 2

    expected = signal / (signal + within)
    assert signal_variance_fraction(responses, np.array([0, 1, 1, 2, 2, 2, 2]))[0] == pytest.approx(expected, rel=1e-6)


def test_signal_variance_fraction_without_signal_averages_zero():
    responses, index = simulate(0.0, np.full(1500, 2))

    assert signal_variance_fraction(responses, index).mean() == pytest.approx(0.0, abs=0.013)


def test_a_constant_neuron_has_no_reliability():
    responses, index = simulate(0.3, np.full(50, 2), n_neurons=2)
    responses[:, 1] = 0.1

    assert np.isnan(split_half_reliability(responses, index)).tolist() == [False, True]
    assert np.isnan(signal_variance_fraction(responses, index)).tolist() == [False, True]


def test_recordings_without_repeats_are_refused():
    with pytest.raises(DataError, match="every image has one"):
        split_half_reliability(np.zeros((3, 2), dtype=np.float32), np.arange(3))
    with pytest.raises(DataError, match="3 trials of 3 images"):
        signal_variance_fraction(np.zeros((3, 2), dtype=np.float32), np.arange(3))
    with pytest.raises(DataError, match="at least three images"):
        split_half_reliability(np.zeros((4, 2), dtype=np.float32), np.array([0, 0, 1, 1]))


@pytest.mark.skipif(not MOUSE.exists(), reason="the mouse recordings are not beside the repository")
def test_signal_variance_of_real_mouse_neurons_is_in_the_published_range():
    responses = np.load(MOUSE / "region1" / "raw_validation_set.npy").astype(np.float32)
    n_repeats, n_stimuli, n_neurons = responses.shape

    fraction = signal_variance_fraction(responses.reshape(-1, n_neurons), np.tile(np.arange(n_stimuli), n_repeats))

    # 0.16 to 0.22 over the three regions, from another estimator; 50 images leave about ± 0.03
    assert 0.12 < fraction.mean() < 0.27
