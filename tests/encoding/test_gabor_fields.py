"""Receptive fields of neurons made of known Gabors: place, size, orientation, frequency, and none where there is none."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.encoding import gabor_fields
from dina.encoding.field_profiles import FieldProfiles
from dina.encoding.gabor_fields import fit_gabor_fields
from encoding.conftest import PlantedFields


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
    assert (profiles.orientation_selectivity[:4] > 0.7).all()
    np.testing.assert_allclose(
        np.log2(profiles.frequency[:4]), np.log2([neuron[3] for neuron in planted_fields.planted]), atol=0.25
    )


def test_sizes_are_those_of_the_envelopes(profiles: FieldProfiles, planted_fields: PlantedFields) -> None:
    planted = np.array([0.35 / neuron[3] for neuron in planted_fields.planted])
    np.testing.assert_allclose(profiles.size[:4], planted, rtol=0.3)  # envelopes of the filters are 0.3 wavelengths, not 0.35


def test_left_out_images_tell_fields_from_noise(profiles: FieldProfiles) -> None:
    # with as much noise as signal no prediction can correlate with the response better than by 0.71
    assert (profiles.fit_correlation[:4] > 0.45).all()
    assert (profiles.fit_correlation[:4] < 0.71).all()
    assert abs(profiles.fit_correlation[4]) < 3 / np.sqrt(200)


@pytest.mark.parametrize("most", [350, 699])
def test_of_very_many_images_as_many_evenly_spaced_ones_as_allowed_are_used(
    planted_fields: PlantedFields, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    images, responses, *others = planted_fields.parts()
    chosen = np.round(np.linspace(0, len(images) - 1, most)).astype(int)
    assert len(np.unique(chosen)) == most
    wanted = fit_gabor_fields(images[chosen], responses[chosen], *others)
    monkeypatch.setattr(gabor_fields, "MOST_IMAGES", most)
    for name, values in vars(fit_gabor_fields(images, responses, *others)).items():
        np.testing.assert_array_equal(values, vars(wanted)[name])


def test_a_neuron_that_never_varies_has_no_profile(profiles: FieldProfiles) -> None:
    assert all(np.isnan(values[-1]) for values in vars(profiles).values())


def test_images_too_small_for_filters_are_refused() -> None:
    images, responses = np.zeros((5, 1, 8, 8), dtype=np.float32), np.zeros((5, 1), dtype=np.float32)
    with pytest.raises(DataError, match="at least 16"):
        fit_gabor_fields(images, responses, images, responses)
