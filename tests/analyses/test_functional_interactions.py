"""Neurons that add up have no interactions; planted synergy is found, with its sign."""

from dataclasses import replace

import numpy as np
import pytest

from dina.analyses.decoded import Decoded, decode
from dina.analyses.functional_interactions.compute import (
    FunctionalInteractionsResult,
    FunctionalInteractionsSettings,
    analyse_functional_interactions,
)
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings

ADDITIVE = {"information_limit": 0.0, "broad_noise": 0.0, "gain_deviation": 0.0}
SMALL = {"n_neurons": 80, "n_stimuli": 400, "height": 24, "width": 48, "n_subunits": 60, "signal_to_noise": 2.0}
FEW = FunctionalInteractionsSettings(n_null_models=4)


def decode_small(seed: int, **planted: float) -> Decoded:
    session = simulate("demo", seed, settings={**SMALL, "n_broad_factors": 10, "n_spontaneous": 0, **planted})
    towers = DefaultSettings(spaces=(), stride=2, widths=(0.75, 1.5), n_orientations=2, fit=FitSettings(n_epochs=0))
    return decode(session, "default", towers, seed=seed, test_fraction=0.25, response_transform="identity")


def by_name(result: FunctionalInteractionsResult) -> dict[str, Finding]:
    return {finding.name: finding for finding in result.findings()}


@pytest.fixture(scope="module")
def synergistic() -> Decoded:
    return decode_small(4, synergistic_pairs=6, **ADDITIVE)


def test_an_additive_code_has_no_interaction() -> None:
    found = by_name(analyse_functional_interactions(decode_small(3, **ADDITIVE), FEW))
    for name, expected in (("interaction_size", 0.0), ("net_interaction", 0.0), ("summed_contributions", 1.0)):
        finding = found[name]
        # all models of permuted noise give the same number here: a null without width is none
        assert np.isnan(finding.null_low), name
        assert finding.value == pytest.approx(expected, abs=1e-9), name
        assert finding.low - 1e-9 <= expected <= finding.high + 1e-9, name
    assert found["coupled_pairs_fraction"].value == 0


def test_planted_synergy_is_found(synergistic: Decoded) -> None:
    truth = synergistic.recording.truth
    assert truth is not None
    planted = {tuple(sorted(pair)) for pair in truth.planted["synergistic_pairs"].tolist()}
    result = analyse_functional_interactions(synergistic, FEW)
    coupled = [tuple(pair) for pair in result.listed_pairs[result.listed["coupling_p"] < 0.05].tolist()]
    # half of the six are strong enough to be seen in 260 differences of repeats; none of the other 3,154 pairs is
    assert len(coupled) >= 3
    assert set(coupled) <= planted
    found = by_name(result)
    together = found["coupled_pairs_interaction"]
    assert together.high < 0  # they need each other
    assert together.n == len(coupled)
    assert np.isnan(together.null_high)
    assert not together.beats_null
    assert "without width" in together.reason
    assert found["interacting_pairs_fraction"].value > 0
    assert found["summed_contributions"].low > 1


def test_shared_noise_of_many_makes_neurons_redundant(decoded: Decoded) -> None:
    found = by_name(analyse_functional_interactions(decoded, FEW))
    # the simulated noise lies in the directions of the signal, where neurons can stand in for each other
    assert found["summed_contributions"].high < found["summed_contributions"].null_low
    assert found["net_interaction"].low > found["net_interaction"].null_high


def test_other_towers_are_judged_by_silencing(decoded_scratch: Decoded) -> None:
    result = analyse_functional_interactions(decoded_scratch, FunctionalInteractionsSettings(n_silenced_neurons=12))
    assert result.removal == "silenced"
    assert len(result.sampled_pairs) == 66
    found = by_name(result)
    for name in ("interaction_size", "net_interaction"):
        assert np.isfinite(found[name].value)
        assert not found[name].beats_null
        assert "without width" in found[name].reason
    assert "noise model" in found["coupled_pairs_fraction"].reason


def test_without_repeats_the_decoders_own_noise_is_examined(decoded: Decoded) -> None:
    train = decoded.train.select_trials(decoded.train.repeat_number() == 0)
    found = by_name(analyse_functional_interactions(replace(decoded, train=train), FEW))
    assert np.isnan(found["interaction_size"].value)
    assert "shown twice" in found["interaction_size"].reason
    assert np.isfinite(found["decoder_interaction_size"].value)
