"""The law of variance against mean is recovered from two repeats, whatever shape the noise has."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.mean_variance import fit_mean_variance

N_IMAGES = 400


def simulate(exponent, noise="gamma", n_neurons=100, n_repeats=2, factor=0.5, seed=0):
    """Return trials with variance = factor · mean^exponent, their images, and a poor prediction of the means."""
    generator = np.random.default_rng(seed)
    mean = np.exp(0.6 * generator.standard_normal((N_IMAGES, n_neurons)))
    trials = np.repeat(mean[:, None], n_repeats, axis=1)
    variance = factor * trials**exponent
    if noise == "gamma":
        values = generator.gamma(trials**2 / variance) * variance / trials
    else:
        values = trials + np.sqrt(variance) * generator.standard_normal(trials.shape)
    values *= np.exp(0.7 * generator.standard_normal(n_neurons))  # neurons have other units
    predicted = np.log(mean) + 0.8 * generator.standard_normal(mean.shape)
    return values.reshape(-1, n_neurons).astype(np.float32), np.repeat(np.arange(N_IMAGES), n_repeats), predicted


@pytest.mark.parametrize("noise", ["gamma", "normal"])
@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.4, 2.0])
def test_the_exponent_is_recovered_from_two_repeats(exponent, noise):
    law = fit_mean_variance(*simulate(exponent, noise))

    # four standard errors of about 0.03 for the population; the spread inside groups is taken to be lognormal
    assert abs(law.exponent - exponent) < 0.12
    assert law.low < law.exponent < law.high < law.low + 0.3
    assert abs(np.median(law.neuron_power()) - np.clip(1 - exponent / 2, 0.25, 1)) < 0.06


def test_neurons_with_other_exponents_are_told_apart_and_like_ones_are_not():
    one, images, first = simulate(0.6)
    other, _, second = simulate(2.0, seed=1)

    law = fit_mean_variance(np.hstack([one, other]), images, np.hstack([first, second]))

    assert law.neuron_exponent[:100].mean() < 1.0 < 1.6 < law.neuron_exponent[100:].mean()
    assert fit_mean_variance(one, images, first).neuron_exponent.std() < 0.15


def test_groups_lie_on_the_law():
    law = fit_mean_variance(*simulate(1.4))

    assert len(law.bin_mean) == len(law.bin_variance) >= 3
    np.testing.assert_allclose(law.bin_variance, law.factor * law.bin_mean**law.exponent, rtol=0.15)


def test_responses_without_repeats_or_centred_on_zero_say_why():
    values, images, predicted = simulate(1.0)
    with pytest.raises(DataError, match="needs at least 72 images shown twice"):
        fit_mean_variance(values[::2], images[::2], predicted)
    with pytest.raises(DataError, match="only where mean responses lie above zero"):
        fit_mean_variance(values - values.mean(axis=0), images, predicted)


def test_predictions_that_know_nothing_say_so():
    values, images, predicted = simulate(1.0, n_neurons=30)
    with pytest.raises(DataError, match="do not rise with those measured"):
        fit_mean_variance(values, images, np.random.default_rng(5).standard_normal(predicted.shape))
