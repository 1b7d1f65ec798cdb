"""Receptive fields as weights on channels: place, orientation, order of frequencies, and none where there is none."""

import numpy as np
import pytest
import torch

from dina.checks import DataError
from dina.models.receptive_fields import FieldProfiles, fit_channel_fields
from dina.models.towers.image.gabor_energy import GaborEnergy
from models.conftest import PlantedFields

SIZE = (48, 96)


@pytest.fixture(scope="module")
def profiles(planted_fields: PlantedFields) -> FieldProfiles:
    return fit_channel_fields(*planted_fields.parts())


def test_centres_are_found_finer_than_the_grid(profiles: FieldProfiles, planted_fields: PlantedFields) -> None:
    planted = np.array([neuron[:2] for neuron in planted_fields.planted])
    error = np.hypot(profiles.row[:4] - planted[:, 0], profiles.column[:4] - planted[:, 1])
    # places are three pixels apart: half a place in either direction would be an error of 2.1 in the worst case
    assert error.max() < 1.5
    assert np.median(error) < 1.0


def test_orientations_and_the_order_of_frequencies_are_found(profiles: FieldProfiles, planted_fields: PlantedFields) -> None:
    planted = np.array([neuron[2] for neuron in planted_fields.planted])
    error = np.abs((profiles.orientation_deg[:4] - planted + 90) % 180 - 90)
    assert error.max() < 15  # a third of the distance between the filters' orientations
    assert (profiles.orientation_selectivity[:4] > 0.3).all()
    assert profiles.frequency[3] > max(profiles.frequency[0], profiles.frequency[1]) > profiles.frequency[2]


def test_left_out_images_tell_fields_from_noise(profiles: FieldProfiles) -> None:
    # with as much noise as signal no prediction can correlate with the response better than by 0.71
    assert (profiles.fit_correlation[:4] > 0.35).all()
    assert (profiles.fit_correlation[:4] < 0.71).all()
    assert abs(profiles.fit_correlation[4]) < 3 / np.sqrt(200)


def test_a_neuron_that_never_varies_has_no_profile(profiles: FieldProfiles) -> None:
    assert all(np.isnan(values[-1]) for values in vars(profiles).values())


def test_images_too_small_for_filters_are_refused() -> None:
    images, responses = np.zeros((5, 1, 8, 8), dtype=np.float32), np.zeros((5, 1), dtype=np.float32)
    with pytest.raises(DataError, match="at least 16"):
        fit_channel_fields(images, responses, images, responses)


@pytest.mark.parametrize("wavelength", [4, 8, 16])
def test_places_are_where_a_bright_pixel_is_seen(wavelength: int) -> None:
    tower = GaborEnergy((1, *SIZE), n_contrasts=0)
    rows, columns = (positions.numpy() for positions in tower.place_positions(wavelength))

    numbers = [
        n for n, c in enumerate(tower.channels) if c.wavelength_px == wavelength and c.kind == "energy" and not c.is_normalised
    ]
    error = []
    for shift in range(12):  # over whole places, because a fine wave falls between them
        row, column = 18 + shift, 40 + shift
        image = torch.zeros(1, 1, *SIZE)
        image[0, 0, row : row + 2, column : column + 2] = 5.0  # centred on row + 0.5, column + 0.5
        energy = tower.raw_maps(image)[0, numbers].sum(0).numpy() ** 2
        seen = [(energy.sum(1 - axis) * positions).sum() / energy.sum() for axis, positions in ((0, rows), (1, columns))]
        error.append(np.array(seen) - [row + 0.5, column + 0.5])
    # a place is three pixels; half of one would show a map that is counted from its border
    np.testing.assert_allclose(np.mean(error, axis=0), 0, atol=0.3)
