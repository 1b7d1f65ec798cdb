"""Filters pass what they should, add up to the image, and hybrids hold each image's own frequencies."""

import numpy as np
import pytest

from dina.analyses.image_filters import (
    Equaliser,
    FrequencyGrid,
    draw_donors,
    filter_images,
    low_pass_gain,
    make_hybrids,
    rms_contrast,
)
from dina.analyses.shape_texture.altered_images import match_contrast
from dina.checks import DataError


def noise(n: int = 6, height: int = 24, width: int = 40) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, 1, height, width)).astype(np.float32)


def grating(cycles_per_pixel: float, width: int = 64) -> np.ndarray:
    wave = np.cos(2 * np.pi * cycles_per_pixel * (np.arange(width) + 0.5))
    return np.broadcast_to(wave, (1, 1, 16, width)).astype(np.float32)


@pytest.mark.parametrize(("frequency", "kept"), [(0.0625, 1.0), (0.25, 0.0)])
def test_a_grating_below_the_cut_off_passes_and_one_above_does_not(frequency: float, kept: float) -> None:
    filtered = filter_images(grating(frequency), low_pass_gain(16, 64, 0.125))
    # single precision of a transform of 1,024 pixels
    np.testing.assert_allclose(filtered, kept * grating(frequency), atol=1e-5)


def test_a_bright_edge_does_not_leak_to_the_opposite_border() -> None:
    ramp = np.broadcast_to(np.linspace(-1, 1, 64), (1, 1, 16, 64)).astype(np.float32)
    filtered = filter_images(ramp, low_pass_gain(16, 64, 0.1))
    # around a circle -1 would meet 1 and both ends would come near 0
    assert filtered[0, 0, 8, 0] < -0.9
    assert filtered[0, 0, 8, -1] > 0.9


def test_a_cut_off_must_be_positive() -> None:
    with pytest.raises(DataError, match="above 0"):
        low_pass_gain(8, 8, 0.0)


def test_a_hybrid_has_the_low_frequencies_of_one_image_and_the_high_ones_of_the_other() -> None:
    own, other = grating(0.0625) + grating(0.25), -grating(0.0625) - grating(0.25)
    np.testing.assert_allclose(make_hybrids(own, other, 0.125), grating(0.0625) - grating(0.25), atol=1e-5)


def test_an_altered_image_gets_mean_and_contrast_of_its_original() -> None:
    images = 0.3 + noise() * np.arange(1, 7, dtype=np.float32)[:, None, None, None]
    matched = match_contrast(noise(6)[::-1] * 9 - 4, images)
    # sums of a thousand numbers in single precision
    np.testing.assert_allclose(rms_contrast(matched), rms_contrast(images), rtol=1e-4)
    np.testing.assert_allclose(matched.mean(axis=(2, 3)), images.mean(axis=(2, 3)), atol=1e-4)


def test_octave_bands_without_equalising_add_up_to_the_image_less_its_mean() -> None:
    images = noise()

    class Plain(Equaliser):
        def filter(self, images: np.ndarray, gain: np.ndarray) -> np.ndarray:
            return filter_images(images, gain)

    bands = [alter(images) for alter in Plain(images).octave_bands(FrequencyGrid.of(24, 40, 2)).values()]
    assert len(bands) == len(FrequencyGrid.of(24, 40, 2).band_centres)
    np.testing.assert_allclose(np.sum(bands, axis=0), images - images.mean(axis=(2, 3), keepdims=True), atol=1e-5)


def test_one_factor_brings_the_contrast_of_a_band_back_and_tells_nothing_of_single_images() -> None:
    images = noise() * np.arange(1, 7, dtype=np.float32)[:, None, None, None]
    gain = low_pass_gain(24, 40, 0.1)
    equalised, filtered = Equaliser.learn(images).filter(images, gain), filter_images(images, gain)
    assert rms_contrast(equalised).mean() == pytest.approx(rms_contrast(images).mean(), rel=1e-4)
    ratio = rms_contrast(equalised) / rms_contrast(filtered)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_donors_have_nearly_the_contrast_of_the_images_they_help() -> None:
    contrast = np.linspace(0.2, 3.0, 200, dtype=np.float32)[:, None, None, None]
    train = np.random.default_rng(1).standard_normal((200, 1, 16, 16)).astype(np.float32) * contrast
    donors = draw_donors(train[[20, 180]], train, np.random.default_rng(2))
    # twenty neighbours of 200 contrasts between 0.2 and 3.0 lie within 0.3
    np.testing.assert_allclose(rms_contrast(donors), rms_contrast(train[[20, 180]]), atol=0.4)
