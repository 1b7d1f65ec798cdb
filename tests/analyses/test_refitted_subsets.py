"""Towers fitted on part of the neurons."""

import numpy as np
import pytest

from dina.analyses.decoded import Decoded, decode
from dina.analyses.neuron_subsets import refitted_subsets
from dina.analyses.neuron_subsets.refitted_subsets import RefittedSubsetSettings, analyse_refitted_subsets
from dina.checks import DataError
from dina.recordings.simulator import simulate
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings

SMALL = {"height": 24, "width": 48, "n_subunits": 80, "n_broad_factors": 10}


@pytest.mark.long
def test_the_best_neurons_fitted_alone_do_better_than_the_worst(decoded: Decoded) -> None:
    result = analyse_refitted_subsets(decoded, RefittedSubsetSettings(fractions=(0.25,)))
    found = {finding.name: finding for finding in result.findings()}
    assert found["refitted_top_25_percent"].value > found["refitted_bottom_25_percent"].high
    assert found["refitted_top_25_percent"].beats_null
    # the closed-form start draws nothing at random: another seed changes only what training would
    assert found["agreement_across_seeds"].value > 0.99
    assert result.to_dataset()["contribution_fold"].dims == ("fold", "neuron")
    assert result.to_dataset()["refitted"].dims == ("sequence", "fraction")
    again, before = result.refitted[0, 0].mean(), result.taken_out[0, 0].mean()
    np.testing.assert_allclose(found["refitted_minus_taken_out_top_25_percent"].value, again - before)


@pytest.mark.long
def test_towers_that_share_no_training_image_agree_on_which_neurons_matter() -> None:
    recording = simulate("demo", 2, settings={**SMALL, "n_neurons": 100, "n_stimuli": 700, "n_spontaneous": 0})
    settings = DefaultSettings(spaces=(), stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
    large = decode(recording, "default", settings, 2, test_fraction=0.2, n_resamples=100, response_transform="identity")
    result = analyse_refitted_subsets(large, RefittedSubsetSettings(fractions=(0.5,)))
    found = {finding.name: finding for finding in result.findings()}
    across = found["agreement_across_folds"]
    assert across.low > across.null_high
    # halves know less than all
    assert across.value < found["agreement_across_seeds"].value


@pytest.mark.long
def test_folds_that_cannot_be_fitted_say_why_and_cost_nothing_else(decoded: Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DataError("Too few images.")

    monkeypatch.setattr(refitted_subsets, "make_pairs", refuse)
    result = analyse_refitted_subsets(decoded, RefittedSubsetSettings(fractions=(0.5,)))
    found = {finding.name: finding for finding in result.findings()}
    assert np.isnan(found["agreement_across_folds"].value)
    assert found["agreement_across_folds"].reason == "Folds, half of the training images each: Too few images."
    assert np.isfinite(found["agreement_across_seeds"].value)
