"""Receptive fields of neurons made of known Gabors: place, orientation, frequency, and none where there is none."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.encoding.field_profiles import FieldProfiles, fit_field_profiles

HEIGHT, WIDTH = 48, 96
# row, column, degrees of the bars (anticlockwise from horizontal as seen), cycles per pixel, whether complex
PLANTED = [
    (20.3, 30.1, 0.0, 1 / 12, True),
    (27.6, 61.4, 90.0, 1 / 12, False),
    (15.2, 50.7, 45.0, 1 / 16, True),
    (30.9, 22.5, 135.0, 1 / 9, False),
]


def _gabor(row: float, column: float, angle_deg: float, frequency: float, phase: float) -> np.ndarray:
    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    down, across = down - row, across - column
    angle = np.deg2rad(angle_deg)
    # distance from the central bar: bars run along (cos, sin) with rows upwards
    from_bar = across * np.sin(angle) + down * np.cos(angle)
    envelope = np.exp(-(down**2 + across**2) / (2 * (0.35 / frequency) ** 2))
    wave = envelope * np.cos(2 * np.pi * frequency * from_bar + phase)
    return wave - envelope * wave.sum() / envelope.sum()


@pytest.fixture(scope="module")
def profiles() -> FieldProfiles:
    generator = np.random.default_rng(0)
    images = generator.standard_normal((900, 1, HEIGHT, WIDTH))
    spectrum = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.fftfreq(WIDTH)[None])
    images = np.fft.ifft2(np.fft.fft2(images) / np.maximum(spectrum, 1 / WIDTH)).real  # amplitudes as in natural scenes
    images = (images / images.std()).astype(np.float32)
    responses = np.empty((len(images), len(PLANTED) + 2), dtype=np.float32)
    for number, (*place, is_complex) in enumerate(PLANTED):
        even, odd = (np.einsum("ichw,hw->i", images, _gabor(*place, phase)) for phase in (0.0, -np.pi / 2))
        drive = np.hypot(even, odd) if is_complex else np.maximum(even, 0)
        responses[:, number] = drive + drive.std() * generator.standard_normal(len(drive))
    responses[:, -2] = generator.standard_normal(len(images))  # sees nothing
    responses[:, -1] = 3.0  # never varies
    return fit_field_profiles(images[:700], responses[:700], images[700:], responses[700:])


def test_centres_are_found_finer_than_the_grid(profiles: FieldProfiles) -> None:
    planted = np.array([neuron[:2] for neuron in PLANTED])
    error = np.hypot(profiles.row[:4] - planted[:, 0], profiles.column[:4] - planted[:, 1])
    # shortest waves are four pixels, the grid one pixel: a field has an envelope of three to six
    assert error.max() < 0.8
    assert np.median(error) < 0.5


def test_orientations_and_the_order_of_frequencies_are_found(profiles: FieldProfiles) -> None:
    planted = np.array([neuron[2] for neuron in PLANTED])
    error = np.abs((profiles.orientation_deg[:4] - planted + 90) % 180 - 90)
    assert error.max() < 6  # a quarter of the distance between the filters' orientations
    assert (profiles.orientation_selectivity[:4] > 0.7).all()
    np.testing.assert_allclose(np.log2(profiles.frequency[:4]), np.log2([neuron[3] for neuron in PLANTED]), atol=0.25)


def test_sizes_are_those_of_the_envelopes(profiles: FieldProfiles) -> None:
    planted = np.array([0.35 / neuron[3] for neuron in PLANTED])
    np.testing.assert_allclose(profiles.size[:4], planted, rtol=0.3)  # envelopes of the filters are 0.3 wavelengths, not 0.35


def test_left_out_images_tell_fields_from_noise(profiles: FieldProfiles) -> None:
    # with as much noise as signal no prediction can correlate with the response better than by 0.71
    assert (profiles.fit_correlation[:4] > 0.45).all()
    assert (profiles.fit_correlation[:4] < 0.71).all()
    assert abs(profiles.fit_correlation[4]) < 3 / np.sqrt(200)


def test_a_neuron_that_never_varies_has_no_profile(profiles: FieldProfiles) -> None:
    assert all(np.isnan(values[-1]) for values in vars(profiles).values())


def test_images_too_small_for_filters_are_refused() -> None:
    images, responses = np.zeros((5, 1, 8, 8), dtype=np.float32), np.zeros((5, 1), dtype=np.float32)
    with pytest.raises(DataError, match="at least 16"):
        fit_field_profiles(images, responses, images, responses)
