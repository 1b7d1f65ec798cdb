"""Of two descriptions of receptive fields that is taken which predicts the responses to other images."""

import numpy as np
import pytest

from dina.models.receptive_fields import fit_channel_fields, fit_field_profiles, fit_gabor_fields
from models.conftest import PlantedFields


@pytest.mark.long
def test_neurons_made_of_gabors_are_described_by_them(planted_fields: PlantedFields) -> None:
    parts = planted_fields.parts()
    few, weights, chosen = (fit(*parts) for fit in (fit_gabor_fields, fit_channel_fields, fit_field_profiles))
    assert np.nanmean(few.fit_correlation) > np.nanmean(weights.fit_correlation)
    np.testing.assert_array_equal(chosen.row, few.row)
    assert (chosen.n_gabors[:-1] >= 1).all()


@pytest.mark.long
def test_neurons_that_add_up_whole_regions_are_described_by_weights(planted_fields: PlantedFields) -> None:
    images, _, others, _ = planted_fields.parts()
    generator = np.random.default_rng(3)
    fields = [np.s_[:, 0, row : row + 15, column : column + 15] for row in (5, 25) for column in (20, 40, 60)]

    def respond(seen: np.ndarray) -> np.ndarray:
        """The energy of the fine detail in a square: no few Gabors see all of it."""
        detail = np.abs(np.diff(seen, axis=3, append=seen[..., -1:]))
        drive = np.stack([detail[field].mean((1, 2)) for field in fields], axis=1)
        return (drive + 0.5 * drive.std(0) * generator.standard_normal(drive.shape)).astype(np.float32)

    parts = images, respond(images), others, respond(others)
    weights, chosen = (fit(*parts) for fit in (fit_channel_fields, fit_field_profiles))
    np.testing.assert_array_equal(chosen.row, weights.row)
    assert np.isnan(chosen.n_gabors).all()
