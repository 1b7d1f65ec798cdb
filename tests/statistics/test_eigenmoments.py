"""Moments of a spectrum are recovered without bias from few images and under noise, and so is its power law."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.eigenmoments import estimate_eigenmoments, fit_moments


def draw(n_images: int, variance: np.ndarray, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw two noisy responses to Gaussian images whose signal has these variances, in a random basis."""
    generator = np.random.default_rng(seed)
    n = len(variance)
    basis = np.linalg.qr(generator.standard_normal((n, n)))[0]
    signal = (generator.standard_normal((n_images, n)) * np.sqrt(variance)) @ basis.T
    first, second = (signal + noise * generator.standard_normal(signal.shape) for _ in range(2))
    return first.astype(np.float32), second.astype(np.float32)


def test_moments_are_unbiased_where_images_are_fewer_than_dimensions() -> None:
    variance = np.arange(1, 201) ** -1.0

    found = np.mean([estimate_eigenmoments(*draw(60, variance, 0.1, s), np.random.default_rng(s), 3) for s in range(60)], axis=0)

    expected = [(variance**k).sum() for k in (1, 2, 3)]
    # over 60 draws the standard error of the third, largest, is 3 %; subtracting the mean of 60 images takes 2 to 5 %.
    # The plain sample covariance would be 30 % (second) and 80 % (third) too large.
    np.testing.assert_allclose(found, expected, rtol=0.1)


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
