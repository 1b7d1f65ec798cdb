"""Spectra and their power laws are recovered from principal components and from moments."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics import spectrum
from dina.statistics.spectrum import VarianceSpectrum, cross_validated_spectrum, fit_moments, fit_power_law


def simulate(n_stimuli: int, n_neurons: int, exponent: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Make two repeats whose signal variance falls as a power of rank, in a random basis of the neurons."""
    generator = np.random.default_rng(0)
    n_dims = min(n_neurons, n_stimuli) // 2
    basis = np.linalg.qr(generator.standard_normal((n_neurons, n_dims)))[0]
    # orthonormal over the stimuli, so that the spectrum of this very sample is the planted one
    scores = np.linalg.qr(generator.standard_normal((n_stimuli, n_dims + 1)))[0]
    scores = np.linalg.qr(scores - scores.mean(axis=0))[0][:, :n_dims] * np.sqrt(n_stimuli)
    signal = (scores * np.arange(1, n_dims + 1) ** (-exponent / 2)) @ basis.T
    first, second = (signal + noise * generator.standard_normal(signal.shape) for _ in range(2))
    return first.astype(np.float32), second.astype(np.float32)


@pytest.mark.parametrize("n_at_once", [7, 1024])
def test_without_noise_it_is_the_ordinary_spectrum(n_at_once, monkeypatch):
    monkeypatch.setattr(spectrum, "NEURONS_AT_ONCE", n_at_once)
    first, _ = simulate(80, 50, 1.0, 0.0)

    variance = cross_validated_spectrum(first, first, np.random.default_rng(0)).variance

    expected = np.linalg.svd(first - first.mean(axis=0), compute_uv=False) ** 2 / 80
    # float32 input; the Gram matrix is float64
    np.testing.assert_allclose(variance[:25], expected[:25], rtol=1e-5)


def test_it_agrees_with_projecting_on_components_of_the_first_repeat():
    first, second = simulate(60, 40, 1.0, 0.3)

    # one swap, undone by choosing the same seed
    swap = np.random.default_rng(5).integers(2, size=60).astype(bool)
    variance = cross_validated_spectrum(first, second, np.random.default_rng(5), n_swaps=1).variance

    one = np.where(swap[:, None], second, first).astype(float)
    other = np.where(swap[:, None], first, second).astype(float)
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    _, _, components = np.linalg.svd(one, full_matrices=False)
    expected = ((one @ components.T) * (other @ components.T)).mean(axis=0)
    # the last components are of nearly equal variance and mix; the Gram matrix is float64
    np.testing.assert_allclose(variance[:30], expected[:30], rtol=1e-6, atol=1e-9)


def test_the_sum_of_the_spectrum_is_the_covariance_of_the_repeats():
    first, second = simulate(60, 30, 1.0, 0.5)

    variance = cross_validated_spectrum(first, second, np.random.default_rng(0)).variance

    # with all 30 dimensions kept, the trace of the covariance between repeats, whatever the swaps do to the means
    covariance = ((first - first.mean(axis=0)) * (second - second.mean(axis=0))).mean(axis=0).sum()
    assert variance.sum() == pytest.approx(covariance, rel=0.05)


def test_noise_alone_has_no_variance():
    generator = np.random.default_rng(0)
    first, second = (generator.standard_normal((200, 100)).astype(np.float32) for _ in range(2))

    variance = cross_validated_spectrum(first, second, generator).variance

    # plain PCA would give a sum of 100; the repeats' covariance has standard error √(100/200) = 0.7
    assert abs(variance.sum()) < 3


def test_a_power_law_is_recovered_to_five_hundredths():
    first, second = simulate(400, 360, 1.0, 0.02)

    fit = fit_power_law(cross_validated_spectrum(first, second, np.random.default_rng(0)), np.random.default_rng(1), (11, 150))

    assert fit.exponent == pytest.approx(1.0, abs=0.05)
    assert fit.low < fit.exponent < fit.high
    assert (fit.first_rank, fit.last_rank) == (11, 150)


def test_the_fit_ends_before_the_first_variance_that_is_not_positive():
    variance = np.arange(1, 61) ** -2.0
    variance[40] = -1e-9

    fit = fit_power_law(VarianceSpectrum(np.repeat(variance[None], 4, axis=0)), np.random.default_rng(0))

    assert (fit.first_rank, fit.last_rank) == (11, 40)
    # exact: equal images leave nothing to resample
    np.testing.assert_allclose([fit.exponent, fit.low, fit.high], 2.0, rtol=1e-9)


def test_too_short_a_spectrum_is_refused():
    with pytest.raises(DataError, match="this recording has 5"):
        fit_power_law(VarianceSpectrum(np.ones((4, 15))), np.random.default_rng(0))
    with pytest.raises(DataError, match="at least three images"):
        cross_validated_spectrum(np.ones((2, 5), dtype=np.float32), np.ones((2, 5), dtype=np.float32), np.random.default_rng(0))


def draw(n_images: int, variance: np.ndarray, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw two noisy responses to Gaussian images whose signal has these variances, in a random basis."""
    generator = np.random.default_rng(seed)
    n = len(variance)
    basis = np.linalg.qr(generator.standard_normal((n, n)))[0]
    signal = (generator.standard_normal((n_images, n)) * np.sqrt(variance)) @ basis.T
    first, second = (signal + noise * generator.standard_normal(signal.shape) for _ in range(2))
    return first.astype(np.float32), second.astype(np.float32)


def test_a_planted_power_law_is_recovered_to_five_hundredths() -> None:
    variance = np.arange(1, 401) ** -1.0

    fits = [fit_moments(*draw(250, variance, 0.05, seed), np.random.default_rng(seed)) for seed in range(8)]

    # single draws differ by 0.04 from one another, so that their mean is known to 0.015
    assert np.mean([fit.exponent for fit in fits]) == pytest.approx(1.0, abs=0.05)
    # each interval misses once in twenty: three of eight do in less than 1 % of cases
    assert sum(fit.low < 1.0 < fit.high for fit in fits) >= 6


def test_a_broken_power_law_gives_both_slopes() -> None:
    rank = np.arange(1, 401)
    variance = np.where(rank <= 10, rank**-0.5, 10**-0.5 * (rank / 10) ** -1.3)

    fits = [fit_moments(*draw(250, variance, 0.0, seed), np.random.default_rng(seed)) for seed in range(8)]

    # the steeper the tail, the less of it is in the moments: single draws differ by 0.1, their mean by 0.04
    assert np.mean([fit.exponent for fit in fits]) == pytest.approx(1.3, abs=0.12)
    assert np.mean([fit.first_exponent for fit in fits]) == pytest.approx(0.5, abs=0.12)


def test_noise_alone_and_few_images_are_refused() -> None:
    noise = draw(60, np.full(100, 1e-12), 1.0, 0)
    with pytest.raises(DataError, match="too little signal"):
        fit_moments(*noise, np.random.default_rng(0))
    with pytest.raises(DataError, match="at least 40 images; there are 39"):
        fit_moments(noise[0][:39], noise[1][:39], np.random.default_rng(0))


def test_a_spectrum_of_one_dimension_is_no_power_law() -> None:
    with pytest.raises(DataError, match="fills too few dimensions"):
        fit_moments(*draw(60, np.append(1.0, np.zeros(29)), 0.0, 0), np.random.default_rng(0))
