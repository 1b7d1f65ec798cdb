"""Attention between neurons: planted symmetry differs from planted asymmetry, subsets are kept and discarded, no test image is read."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.analyses.attention_interactions import compute as module
from dina.analyses.attention_interactions.compute import (
    AttentionInteractionsSettings,
    AttentionSubsetSettings,
    analyse_attention_interactions,
    analyse_attention_subsets,
    attention_matrices,
)
from dina.analyses.decoded import Decoded, decode
from dina.analyses.paid_attention import received_attention
from dina.checks import DataError
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.models.towers.tower import initialise
from dina.statistics.map_similarity import structural_similarity
from dina.training.fit import FitSettings
from dina.training.presets.paper import PaperSettings

FEW = AttentionInteractionsSettings(n_training_trials=8, n_shown=30, n_permutations=40)


@pytest.fixture
def attentive(decoded: Decoded) -> Decoded:
    settings = PaperSettings(map_height=4, map_width=8, centring="centred", fit=FitSettings(n_epochs=0))
    return decode(decoded.recording, "paper", settings, seed=3, test_fraction=0.25, n_resamples=50, response_transform="identity")


@pytest.fixture(scope="module")
def trimmed(decoded: Decoded) -> Decoded:
    settings = PaperSettings(map_height=8, map_width=16, centring="min_max", fit=FitSettings(n_epochs=0))
    return decode(
        decoded.recording, "paper", settings, seed=3, test_fraction=0.25, n_resamples=100, response_transform="identity"
    )


def _tower(decoded: Decoded) -> NeuronAttention:
    tower = decoded.towers.neural_tower
    assert isinstance(tower, NeuronAttention)
    return tower


def test_the_most_attended_neurons_are_shown_most_attended_first(attentive: Decoded) -> None:
    result = analyse_attention_interactions(attentive, FEW)
    dataset = result.to_dataset()
    attention = dataset["received_attention"].to_numpy()
    order = np.argsort(-attention, kind="stable")[:30]
    np.testing.assert_array_equal(dataset["asked"], order)
    np.testing.assert_array_equal(dataset["asking"], order)
    whole = _tower(attentive).interactions()
    # the same products in another order: rounding of single precision
    np.testing.assert_allclose(dataset["R"], whole.R[order][:, order], rtol=1e-4, atol=1e-6)
    assert {dataset[name].attrs["units"] for name in "PQRTGH"} == {"1"}
    every = analyse_attention_interactions(attentive, FEW.model_copy(update={"n_training_trials": 10**6}))
    expected = received_attention(_tower(attentive), attentive.train.responses)
    np.testing.assert_allclose(every.attention, expected, rtol=1e-5)


def test_weights_that_act_both_ways_alike_are_told_from_unrelated_ones(attentive: Decoded) -> None:
    tower = _tower(attentive)
    unrelated = {finding.name: finding for finding in analyse_attention_interactions(attentive, FEW).findings()}
    assert unrelated["asymmetry_P"].value == pytest.approx(0.5, abs=0.15)
    with torch.no_grad():  # the same question and answer of every neuron: scores of pairs are symmetric
        tower.key.weight.copy_(tower.query.weight)
        tower.key.bias.copy_(tower.query.bias)
    alike = {finding.name: finding for finding in analyse_attention_interactions(attentive, FEW).findings()}
    assert alike["asymmetry_P"].value < 1e-6
    assert alike["asymmetry_P"].high < alike["asymmetry_P"].null_low
    assert alike["asymmetry_G"].value == pytest.approx(0.5, abs=0.15)  # what is read is as before


def test_no_test_image_is_read(attentive: Decoded) -> None:
    poisoned = replace(attentive.test, responses=np.full_like(attentive.test.responses, np.nan))
    one, other = (analyse_attention_interactions(which, FEW) for which in (attentive, replace(attentive, test=poisoned)))
    assert one.findings() == other.findings()


def test_attention_keeps_and_discards_the_same_neurons(trimmed: Decoded) -> None:
    settings = AttentionSubsetSettings(n_training_trials=4, n_images=10, n_random=3)
    result = analyse_attention_subsets(trimmed, settings)
    np.testing.assert_allclose(result.attention.sum(), 1.0, rtol=1e-5)
    # the maps of some responses alone, made here without the analysis: others at their mean, which is zero
    order = np.argsort(-result.attention, kind="stable")
    responses = trimmed.test.averaged()[:10]
    for name, row, kept in (
        ("kept", 3, order[:8]),
        ("discarded", 3, order[8:]),
        ("kept", -1, order),
        ("discarded", -1, order[:0]),
    ):
        masked = np.zeros_like(responses)
        masked[:, kept] = responses[:, kept]
        maps, wanted = trimmed.towers.encode_responses(masked), trimmed.towers.encode_images(trimmed.test.images[:10])
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


def test_test_responses_do_not_choose_neurons(trimmed: Decoded) -> None:
    settings = AttentionSubsetSettings(n_training_trials=4, n_images=5, n_random=2)
    poisoned = replace(trimmed.test, responses=trimmed.test.responses * 3)
    before = analyse_attention_subsets(trimmed, settings).attention
    np.testing.assert_array_equal(before, analyse_attention_subsets(replace(trimmed, test=poisoned), settings).attention)


def test_towers_without_attention_are_refused(decoded: Decoded) -> None:
    for analyse in (analyse_attention_interactions, analyse_attention_subsets):
        with pytest.raises(DataError, match="preset 'paper'"):
            analyse(decoded)


@pytest.fixture(scope="module")
def plain() -> NeuronAttention:
    made = NeuronAttention(300, width=8)
    initialise(made, torch.Generator().manual_seed(0))
    return made.eval()


def test_the_view_holds_the_towers_own_matrices(plain: NeuronAttention) -> None:
    whole, chosen = plain.interactions(), np.array([5, 200, 17])
    dataset = attention_matrices(plain, chosen)
    for name in "PQRTGH":
        # the same products in another order: rounding of single precision
        np.testing.assert_allclose(dataset[name], getattr(whole, name)[chosen][:, chosen], rtol=1e-5, atol=1e-6)
        assert 0 <= dataset[name].attrs["asymmetry"] <= 1
    assert dataset["P"].dims == ("asking", "asked")
    assert attention_matrices(plain).sizes["asked"] == 300


def test_received_attention_is_the_mean_of_the_softmax_over_those_who_ask(plain: NeuronAttention) -> None:
    responses = np.random.default_rng(0).random((3, 300)).astype(np.float32)
    whole = plain.interactions()
    expected = np.zeros(300)
    for r in torch.from_numpy(responses):
        score = r * (r[:, None] * whole.P + whole.R) + r[:, None] * whole.Q + whole.T
        expected += torch.softmax(score.double(), 1).mean(0).numpy() / 3
    found = received_attention(plain, responses)
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # scores in single precision
    assert found.sum() == pytest.approx(1)


def test_six_matrices_of_too_many_neurons_are_refused(plain: NeuronAttention, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NEURONS", 10)
    with pytest.raises(DataError, match="At most 10 neurons"):
        attention_matrices(plain)
