"""Matrices of the most attended neurons: planted symmetry is told from planted asymmetry, and other towers are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.analyses.attention_interactions.compute import (
    AttentionInteractionsSettings,
    analyse_attention_interactions,
    received_attention,
)
from dina.analyses.decoded import Decoded, decode
from dina.checks import DataError
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.training.fit import FitSettings
from dina.training.presets.paper import PaperSettings

FEW = AttentionInteractionsSettings(n_training_trials=8, n_shown=30, n_permutations=40)


@pytest.fixture
def attentive(decoded: Decoded) -> Decoded:
    settings = PaperSettings(map_height=4, map_width=8, centring="centred", fit=FitSettings(n_epochs=0))
    return decode(decoded.recording, "paper", settings, seed=3, test_fraction=0.25, n_resamples=50)


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


def test_towers_without_attention_are_refused(decoded: Decoded) -> None:
    with pytest.raises(DataError, match="preset 'paper'"):
        analyse_attention_interactions(decoded)
