"""The frequency edge lies at a planted limit; nothing is found where pairs are shuffled; results describe themselves."""

from dataclasses import replace

import numpy as np
import pytest

from dina.analyses.decoded import Decoded, decode
from dina.analyses.spatial_frequency.compute import SpatialFrequencySettings, analyse_spatial_frequency
from dina.checks import DataError
from dina.data.pairs import make_pairs
from dina.recordings.simulator import simulate
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings

SESSION = {"n_neurons": 120, "n_stimuli": 360, "height": 34, "width": 72, "n_subunits": 80, "n_broad_factors": 10}
TOWERS = DefaultSettings(spaces=(), stride=3, widths=(1.0,), n_orientations=3, fit=FitSettings(n_epochs=0))


@pytest.mark.long
@pytest.mark.parametrize("limit", [0.05, 0.08])
def test_the_edge_lies_at_the_frequency_above_which_neurons_see_nothing(limit: float) -> None:
    planted = {**SESSION, "n_spontaneous": 0, "signal_to_noise": 1.5, "frequency_limit_cpd": limit}
    decoded = decode(
        simulate("demo", seed=1, settings=planted),
        "default",
        TOWERS,
        seed=1,
        test_fraction=0.2,
        n_resamples=200,
        response_transform="identity",
    )
    result = analyse_spatial_frequency(decoded, SpatialFrequencySettings(n_images=72))
    found = {finding.name: finding for finding in result.findings()}
    edge = found["frequency_edge"]
    assert edge.units == "cycles/degree"
    # the accuracy that is promised: 15 %
    assert edge.value == pytest.approx(limit, rel=0.15)
    assert edge.low <= edge.value <= edge.high
    assert found["top1_full"].beats_null
    # 0.125 cycles per degree, half the Nyquist limit, lies above both limits: nothing is lost without what lies above it
    assert found["kept_without_highest_octave"].high > 1.0
    assert found["kept_without_highest_octave"].low > 0.6
    assert found["kept_highest_octave"].low < 0.1


def shuffled(decoded: Decoded) -> Decoded:
    """Assign the test responses to other images, the trials of an image together."""
    order = np.random.default_rng(0).permutation(decoded.test.n_stimuli)
    return replace(decoded, test=replace(decoded.test, stimulus_index=order[decoded.test.stimulus_index]))


def test_shuffled_pairs_stay_inside_every_null(decoded: Decoded) -> None:
    findings = analyse_spatial_frequency(shuffled(decoded)).findings()
    # 95 % ranges: of these seven numbers, dependent on each other, one may lie outside
    numbers = [finding for finding in findings if finding.units == "1"]
    assert sum(finding.beats_null for finding in numbers) <= 1
    for finding in findings:
        if finding.units != "1":
            assert np.isnan(finding.value)
            assert "no better than chance" in finding.reason


def test_the_whole_gallery_ends_every_curve(decoded: Decoded) -> None:
    result = analyse_spatial_frequency(decoded)
    data, found = result.to_dataset(), {finding.name: finding for finding in result.findings()}
    assert float(data["low_pass_top1"][-1]) == float(data["replaced_top1"][-1]) == found["top1_full"].value
    assert float(data["matched_signal"][-1]) == pytest.approx(1.0)
    assert data["cutoff"].attrs["units"] == "cycles/degree"
    # 2 degrees a pixel
    assert data.attrs["nyquist"] == pytest.approx(0.25)
    assert (data["low_pass_top1_low"] <= data["low_pass_top1"]).all()


def test_pixels_of_unknown_size_are_told_in_cycles_per_pixel(decoded: Decoded) -> None:
    unknown = replace(decoded, recording=replace(decoded.recording, deg_per_pixel=None))
    data = analyse_spatial_frequency(unknown, SpatialFrequencySettings(n_images=20)).to_dataset()
    assert data["cutoff"].attrs["units"] == "cycles/pixel"
    assert data.attrs["nyquist"] == 0.5


def test_towers_learnt_from_scratch_are_asked_alike(decoded_scratch: Decoded) -> None:
    found = analyse_spatial_frequency(decoded_scratch).findings()
    assert np.isfinite(found[0].value)


def test_too_few_test_images_are_refused(decoded: Decoded) -> None:
    test = make_pairs(decoded.recording, decoded.test.stimulus_id[:5], decoded.test.standardiser)
    with pytest.raises(DataError, match="at least 10 test images; there are 5"):
        analyse_spatial_frequency(replace(decoded, test=test))
