"""Towers fitted on part of the neurons, and the published selection by attention."""

from dataclasses import replace

import numpy as np
import pytest

from dina.analyses.decoded import Decoded, decode
from dina.analyses.neuron_subsets import refitted_subsets
from dina.analyses.neuron_subsets.attention_subsets import AttentionSubsetSettings, analyse_attention_subsets
from dina.analyses.neuron_subsets.refitted_subsets import RefittedSubsetSettings, analyse_refitted_subsets
from dina.checks import DataError
from dina.recordings.simulator import simulate
from dina.statistics.map_similarity import structural_similarity
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings
from dina.training.presets.paper import PaperSettings

SMALL = {"height": 24, "width": 48, "n_subunits": 80, "n_broad_factors": 10}


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


def test_towers_that_share_no_training_image_agree_on_which_neurons_matter() -> None:
    recording = simulate("demo", 2, settings={**SMALL, "n_neurons": 100, "n_stimuli": 700, "n_spontaneous": 0})
    settings = DefaultSettings(stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
    large = decode(recording, "default", settings, 2, test_fraction=0.2, n_resamples=100)
    result = analyse_refitted_subsets(large, RefittedSubsetSettings(fractions=(0.5,)))
    found = {finding.name: finding for finding in result.findings()}
    across = found["agreement_across_folds"]
    assert across.low > across.null_high
    # halves know less than all
    assert across.value < found["agreement_across_seeds"].value


def test_folds_that_cannot_be_fitted_say_why_and_cost_nothing_else(decoded: Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DataError("Too few images.")

    monkeypatch.setattr(refitted_subsets, "make_pairs", refuse)
    result = analyse_refitted_subsets(decoded, RefittedSubsetSettings(fractions=(0.5,)))
    found = {finding.name: finding for finding in result.findings()}
    assert np.isnan(found["agreement_across_folds"].value)
    assert found["agreement_across_folds"].reason == "Folds, half of the training images each: Too few images."
    assert np.isfinite(found["agreement_across_seeds"].value)


@pytest.fixture(scope="module")
def attentive(decoded: Decoded) -> Decoded:
    settings = PaperSettings(map_height=8, map_width=16, centring="min_max", fit=FitSettings(n_epochs=0))
    return decode(decoded.recording, "paper", settings, seed=3, test_fraction=0.25, n_resamples=100)


def test_attention_keeps_and_discards_the_same_neurons(attentive: Decoded) -> None:
    settings = AttentionSubsetSettings(n_training_trials=4, n_images=10, n_random=3)
    result = analyse_attention_subsets(attentive, settings)
    np.testing.assert_allclose(result.attention.sum(), 1.0, rtol=1e-5)
    # the maps of some responses alone, made here without the analysis: others at their mean, which is zero
    order = np.argsort(-result.attention, kind="stable")
    responses = attentive.test.averaged()[:10]
    for name, row, kept in (
        ("kept", 3, order[:8]),
        ("discarded", 3, order[8:]),
        ("kept", -1, order),
        ("discarded", -1, order[:0]),
    ):
        masked = np.zeros_like(responses)
        masked[:, kept] = responses[:, kept]
        maps, wanted = attentive.towers.encode_responses(masked), attentive.towers.encode_images(attentive.test.images[:10])
        span = np.ptp(wanted, axis=(2, 3)).reshape(-1)
        expected = structural_similarity(maps.reshape(-1, 8, 16), wanted.reshape(-1, 8, 16), span).reshape(10, -1).mean(axis=1)
        np.testing.assert_allclose(result.similarity[name][row], expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(result.similarity["kept"][3], result.similarity["discarded"][3])
    dataset = result.to_dataset()
    assert dict(dataset.sizes) == {"neuron": 80, "selection": 3, "fraction": 9}
    names = [finding.name for finding in result.findings()]
    assert names == ["ssim_all", "kept_attended_minus_random_ssim", "attention_with_contribution"]
    # towers that were never trained make no map of the image shown that they do not make of another
    assert not result.findings()[0].low > result.findings()[0].null_high


def test_test_responses_do_not_choose_neurons(attentive: Decoded) -> None:
    settings = AttentionSubsetSettings(n_training_trials=4, n_images=5, n_random=2)
    poisoned = replace(attentive.test, responses=attentive.test.responses * 3)
    before = analyse_attention_subsets(attentive, settings).attention
    np.testing.assert_array_equal(before, analyse_attention_subsets(replace(attentive, test=poisoned), settings).attention)


def test_towers_without_attention_are_refused(decoded: Decoded) -> None:
    with pytest.raises(DataError, match="preset 'paper'"):
        analyse_attention_subsets(decoded)
