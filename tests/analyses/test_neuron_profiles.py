"""The table of neurons: what is in it, what it says where something cannot be known, and fields against the truth."""

from dataclasses import replace

import numpy as np
import pytest

from dina.analyses.decoded import Decoded
from dina.analyses.neuron_profiles import compute as neuron_profiles
from dina.analyses.neuron_profiles.compute import NeuronProfilesResult, analyse_neuron_profiles, describe_profiles
from dina.analyses.query_trials import mean_contributions
from dina.data.pairs import learn_standardiser, make_pairs
from dina.models.receptive_fields import FieldProfiles
from dina.statistics.finding import Finding


@pytest.fixture(scope="module")
def result(decoded: Decoded) -> NeuronProfilesResult:
    return analyse_neuron_profiles(decoded)


def _by_name(result: NeuronProfilesResult) -> dict[str, Finding]:
    return {finding.name: finding for finding in result.findings()}


def test_the_table_has_one_row_per_neuron_and_units(decoded: Decoded, result: NeuronProfilesResult) -> None:
    frame, dataset = result.to_frame(), result.to_dataset()
    assert len(frame) == 80
    assert frame.index.name == "neuron_index"
    assert set(frame.columns) == set(dataset.data_vars) - {"population_sparseness"}
    assert all("units" in dataset[name].attrs for name in dataset)
    assert dataset["contribution"].attrs["units"] == dataset["training_contribution"].attrs["units"] == "nat"
    np.testing.assert_array_equal(frame["contribution"], mean_contributions(decoded))
    np.testing.assert_array_equal(frame["position_x_um"], decoded.recording.neuron_position_um[:, 0].astype(float))


def test_fields_are_near_the_planted_ones(decoded: Decoded, result: NeuronProfilesResult) -> None:
    error = _by_name(result)["planted_centre_error_deg"]
    assert error.beats_null
    # a hundred training images of 2 degrees a pixel: not to be had better than to a few pixels
    assert error.value < 8
    truth = decoded.recording.truth
    assert truth is not None
    distance = np.hypot(
        result.columns["field_row"] - truth.planted["field_row"], result.columns["field_column"] - truth.planted["field_column"]
    )
    fit = result.columns["fit_correlation"]
    assert np.median(distance[fit > 0.3]) < np.median(distance[fit < 0.1])  # what the table says to look at first


def test_degrees_are_counted_from_the_middle_of_the_screen(result: NeuronProfilesResult) -> None:
    row, column = result.columns["field_row"], result.columns["field_column"]
    # 24 x 48 pixels of two degrees: the middle lies between pixels 11 and 12, and 23 and 24
    np.testing.assert_allclose(result.columns["field_elevation_deg"], 2 * (11.5 - row))
    np.testing.assert_allclose(result.columns["field_azimuth_deg"], 2 * (column - 23.5))
    np.testing.assert_allclose(result.columns["frequency_cpd"], result.columns["frequency"] / 2)


def test_frequencies_that_may_lie_beyond_what_was_looked_for_stay_out_of_the_medians(
    decoded: Decoded, result: NeuronProfilesResult
) -> None:
    at_bound = np.arange(80) < 10
    columns = {**result.columns, "is_at_bound": at_bound.astype(float), "frequency_cpd": np.where(at_bound, 9.0, 0.1)}
    found = {finding.name: finding for finding in describe_profiles(columns, {}, decoded)}
    assert (found["median_frequency_cpd"].n, found["median_frequency_cpd"].high) == (70, 0.1)
    assert found["median_fit_correlation"].n == np.isfinite(columns["fit_correlation"]).sum()


def test_what_single_gabors_cannot_tell_is_nan_with_a_reason(decoded: Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    single = replace(
        FieldProfiles(*np.full((9, 80), 0.5)),
        size=np.full(80, np.nan),
        orientation_selectivity=np.full(80, np.nan),
        n_gabors=np.ones(80),
    )
    monkeypatch.setattr(neuron_profiles, "fit_field_profiles", lambda *_: single)
    reasons = analyse_neuron_profiles(decoded).reasons
    for name in ("field_size", "field_size_deg", "orientation_selectivity"):
        assert "single Gabor" in reasons[name]
    assert "n_gabors" not in reasons


def test_retinotopy_is_seen_however_the_cortex_lies(decoded: Decoded, result: NeuronProfilesResult) -> None:
    position = decoded.recording.neuron_position_um
    assert position is not None
    turned = position.copy()
    turned[:, 0], turned[:, 1] = position[:, 1] + 0.3 * position[:, 0], -position[:, 0]
    other = analyse_neuron_profiles(replace(decoded, recording=replace(decoded.recording, neuron_position_um=turned)))
    for name in ("retinotopy_azimuth", "retinotopy_elevation"):
        one, again = _by_name(result)[name], _by_name(other)[name]
        # the same plane through other coordinates, in single precision
        np.testing.assert_allclose(one.value, again.value, atol=1e-3)
    assert _by_name(result)["retinotopy_azimuth"].beats_null


def test_what_the_recording_does_not_say_is_nan_with_a_reason(decoded: Decoded) -> None:
    bare = replace(decoded.recording, neuron_position_um=None, deg_per_pixel=None, truth=None)
    result = analyse_neuron_profiles(replace(decoded, recording=bare, fitted=None))
    for name in ("position_x_um", "field_azimuth_deg", "frequency_cpd", "contribution"):
        assert np.isnan(result.columns[name]).all()
        assert result.reasons[name]
    found = _by_name(result)
    assert "where its neurons lie" in found["retinotopy_azimuth"].reason
    assert "degrees" in found["median_field_size_deg"].reason
    assert "planted_centre_error_deg" not in found
    assert np.isfinite(result.columns["field_row"]).all()


def test_sparseness_needs_responses_that_are_not_negative(decoded: Decoded, result: NeuronProfilesResult) -> None:
    assert ((result.columns["lifetime_sparseness"] >= 0) & (result.columns["lifetime_sparseness"] <= 1)).all()
    shifted = replace(decoded.recording, responses=decoded.recording.responses - 1.0)
    standardiser = learn_standardiser(shifted, decoded.train.stimulus_id)
    train = make_pairs(shifted, decoded.train.stimulus_id, standardiser)
    other = analyse_neuron_profiles(replace(decoded, recording=shifted, train=train, fitted=None))
    assert np.isnan(other.columns["lifetime_sparseness"]).all()
    assert "below zero" in other.reasons["lifetime_sparseness"]


def test_no_test_image_reaches_the_profiles(decoded: Decoded, result: NeuronProfilesResult) -> None:
    poisoned = replace(decoded.test, images=np.full_like(decoded.test.images, 1e6))
    other = analyse_neuron_profiles(replace(decoded, test=poisoned))
    for name, values in result.columns.items():
        if name != "contribution":
            np.testing.assert_array_equal(values, other.columns[name])
