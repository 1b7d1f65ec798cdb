"""Slow drift is found where there is some, in its size, and seldom where there is none."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.drift import SlowDrift, measure_drift


def measure(seed: int, size: float) -> SlowDrift:
    """Measure neurons that share noise, with a slow sinusoid of their own each."""
    generator = np.random.default_rng(seed)
    image, time = generator.permutation(np.repeat(np.arange(60), 4)), np.arange(240)
    noise = generator.standard_normal((240, 20)) + 0.5 * generator.standard_normal((240, 1))
    drift = np.sin(2 * np.pi * time[:, None] / 240 * generator.uniform(0.5, 3, 20) + generator.uniform(0, 6, 20))
    return measure_drift(noise + generator.standard_normal((60, 20))[image] + size * drift, image, time, 240, generator, 100)


def test_without_drift_the_share_seldom_leaves_its_null() -> None:
    found = [measure(seed, 0.0) for seed in range(80)]

    # 2.5 % of 80 are 2; more than 8 happens less than once in a thousand times
    assert sum(one.is_sure for one in found) <= 8
    # the mean of 80 shares, each with a deviation of about 0.015
    assert np.mean([one.share for one in found]) == pytest.approx(0, abs=0.006)


def test_the_share_is_that_of_the_drift() -> None:
    found = [measure(seed, 1.0) for seed in range(10)]

    assert all(one.is_sure for one in found)
    # a sinusoid has variance 1/2, noise 1.25; a sinusoid of half a period or so has less
    assert np.mean([one.share for one in found]) == pytest.approx(0.5 / 1.75, abs=0.05)


def test_images_without_repeats_are_refused() -> None:
    with pytest.raises(DataError, match="at least 24 trials beyond the first"):
        measure_drift(np.ones((30, 2)), np.arange(30), np.arange(30), 30, np.random.default_rng(0))
