"""Receptive fields of neurons made of known Gabors: place, size, orientation, frequency, and none where there is none."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.models import receptive_fields
from dina.models.receptive_fields import FieldProfiles, fit_gabor_fields
from models.conftest import PlantedFields, gabor


@pytest.fixture(scope="module")
def profiles(planted_fields: PlantedFields) -> FieldProfiles:
    return fit_gabor_fields(*planted_fields.parts())


def test_centres_are_found_finer_than_the_grid(profiles: FieldProfiles, planted_fields: PlantedFields) -> None:
    planted = np.array([neuron[:2] for neuron in planted_fields.planted])
    error = np.hypot(profiles.row[:4] - planted[:, 0], profiles.column[:4] - planted[:, 1])
    # shortest waves are four pixels, the grid one pixel: a field has an envelope of three to six
    assert error.max() < 0.8
    assert np.median(error) < 0.5


def test_orientations_and_the_order_of_frequencies_are_found(profiles: FieldProfiles, planted_fields: PlantedFields) -> None:
    planted = np.array([neuron[2] for neuron in planted_fields.planted])
    error = np.abs((profiles.orientation_deg[:4] - planted + 90) % 180 - 90)
    assert error.max() < 6  # a quarter of the distance between the filters' orientations
    np.testing.assert_allclose(
        np.log2(profiles.frequency[:4]), np.log2([neuron[3] for neuron in planted_fields.planted]), atol=0.25
    )


def test_what_a_single_gabor_cannot_tell_is_not_told(profiles: FieldProfiles) -> None:
    assert (profiles.n_gabors[:4] == 1).all()
    assert np.isnan(profiles.size[:4]).all()  # the envelope is fixed at 0.3 wavelengths
    assert np.isnan(profiles.orientation_selectivity[:4]).all()  # of one Gabor it could only be 1


def _fit_to(planted_fields: PlantedFields, fields: list[np.ndarray]) -> FieldProfiles:
    """Describe neurons that are linear in known fields."""
    images, _, others, _ = planted_fields.parts(350)  # without noise half of the images are enough
    seen = (np.einsum("ichw,nhw->in", part, np.stack(fields)).astype(np.float32) for part in (images, others))
    return fit_gabor_fields(images, next(seen), others, next(seen))


@pytest.mark.long
def test_neurons_that_mix_gabors_have_a_size_and_a_selectivity(planted_fields: PlantedFields) -> None:
    pairs = [(30, 0.0), (60, 90.0)]
    found = _fit_to(planted_fields, [gabor(20, at, 0.0, 1 / 8, 0.0) + gabor(20, at + 8, deg, 1 / 8, 0.0) for at, deg in pairs])
    assert (found.n_gabors > 1).all()
    # envelopes of 0.35 wavelengths, four pixels to either side of the centre along one axis: the mean of both axes (0.3 are looked for)
    np.testing.assert_allclose(found.size, np.sqrt((0.35 * 8) ** 2 + 4**2 / 2), rtol=0.25)
    assert found.orientation_selectivity[0] > 0.9  # the same orientation
    assert found.orientation_selectivity[1] < 0.3  # at right angles


@pytest.mark.long
def test_fields_of_the_longest_and_the_shortest_wavelength_are_marked(planted_fields: PlantedFields) -> None:
    # wavelengths of 4 to 16 pixels are looked for
    found = _fit_to(planted_fields, [gabor(24, 48, 0.0, 1 / wavelength, 0.0) for wavelength in (3, 8, 24)])
    np.testing.assert_array_equal(found.is_at_bound, [1, 0, 1])


def test_left_out_images_tell_fields_from_noise(profiles: FieldProfiles) -> None:
    # with as much noise as signal no prediction can correlate with the response better than by 0.71
    assert (profiles.fit_correlation[:4] > 0.45).all()
    assert (profiles.fit_correlation[:4] < 0.71).all()
    assert abs(profiles.fit_correlation[4]) < 3 / np.sqrt(200)


@pytest.mark.long
@pytest.mark.parametrize("most", [350, 699])
def test_of_very_many_images_as_many_evenly_spaced_ones_as_allowed_are_used(
    planted_fields: PlantedFields, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    images, responses, *others = planted_fields.parts()
    chosen = np.round(np.linspace(0, len(images) - 1, most)).astype(int)
    assert len(np.unique(chosen)) == most
    wanted = fit_gabor_fields(images[chosen], responses[chosen], *others)
    monkeypatch.setattr(receptive_fields, "MOST_IMAGES", most)
    for name, values in vars(fit_gabor_fields(images, responses, *others)).items():
        np.testing.assert_array_equal(values, vars(wanted)[name])


def test_a_neuron_that_never_varies_has_no_profile(profiles: FieldProfiles) -> None:
    assert all(np.isnan(values[-1]) for values in vars(profiles).values())


def test_images_too_small_for_filters_are_refused() -> None:
    images, responses = np.zeros((5, 1, 8, 8), dtype=np.float32), np.zeros((5, 1), dtype=np.float32)
    with pytest.raises(DataError, match="at least 16"):
        fit_gabor_fields(images, responses, images, responses)
