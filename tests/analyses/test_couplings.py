"""What pairs of neurons share is told apart: tuning, noise, place, and one neuron recorded twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dina
from dina.analyses.couplings.compute import CouplingsSettings, analyse_couplings
from dina.analyses.couplings.coupling_statistics import TuningHalves, like_to_like
from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.data.pairs import learn_standardiser, make_pairs
from dina.data.splits import split_by_stimulus
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.statistics.correlation import standardise_columns
from dina.statistics.finding import Finding
from dina.training.presets.default import DefaultSettings

SMALL = {"n_neurons": 150, "n_stimuli": 400, "height": 24, "width": 48, "n_subunits": 60, "n_broad_factors": 10}
INDEPENDENT = {"information_limit": 0.0, "broad_noise": 0.0, "gain_deviation": 0.0}
ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data"


def undecoded(recording: Recording) -> Decoded:
    """Split a recording without fitting towers, which couplings do not need."""
    split = split_by_stimulus([recording], np.arange(recording.n_stimuli), 0, 0.1, 0.1)
    standardiser = learn_standardiser(recording, split.train)
    train, validation, test = (make_pairs(recording, ids, standardiser) for ids in (split.train, split.validation, split.test))
    return Decoded(recording, train, validation, test, None, "default", DefaultSettings(), 0, "cpu", 200)


def findings(recording: Recording) -> dict[str, Finding]:
    return {finding.name: finding for finding in analyse_couplings(undecoded(recording)).findings()}


@pytest.fixture(scope="module")
def correlated() -> Recording:
    return simulate("demo", 3, settings={**SMALL, "n_spontaneous": 0, "broad_noise": 0.4})


def test_simulated_noise_correlations_are_positive_and_fall_with_distance(correlated: Recording) -> None:
    found = findings(correlated)
    assert found["noise_correlation_mean"].low > found["noise_correlation_mean"].null_high
    near = found["noise_correlation_near_minus_far"]
    assert near.low > 0
    assert near.value > near.null_high


def test_the_null_of_the_mean_is_wider_where_signs_were_drawn_less_often(
    correlated: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = []
    for n_flips in (40, 4):
        monkeypatch.setattr("dina.analyses.couplings.compute.N_FLIPS", n_flips)
        found = findings(correlated)["noise_correlation_mean"]
        widths.append(found.null_high - found.null_low)
    # quantiles of four of these draws would be narrower than those of all forty
    assert widths[1] > widths[0]


def test_independent_noise_has_no_structure() -> None:
    names = ("noise_correlation_mean", "signal_noise_agreement", "noise_correlation_near_minus_far")
    outside = []
    for seed in (3, 4, 5):
        found = findings(simulate("demo", seed, settings={**SMALL, **INDEPENDENT, "n_spontaneous": 0}))
        outside += [name for name in names if found[name].beats_null]
        assert found["coupled_pairs_fraction"].value == 0
    # each statistic leaves its central 95 % once in twenty: two of nine or more once in fourteen
    assert len(outside) <= 1, outside


def test_noise_in_the_directions_of_the_signal_agrees_with_it() -> None:
    found = findings(simulate("demo", 3, settings={**SMALL, "n_spontaneous": 0, "information_limit": 0.75}))
    assert found["signal_noise_agreement"].low > found["signal_noise_agreement"].null_high


def test_pairs_are_drawn_as_their_agreement_is_measured(correlated: Recording) -> None:
    result = analyse_couplings(undecoded(correlated))
    dataset = result.to_dataset()
    noise, signal = (dataset[name] for name in ("noise_correlation_of_half", "signal_correlation_of_other_half"))
    (agreement,) = (finding for finding in result.findings() if finding.name == "signal_noise_agreement")
    pairs = np.triu_indices(150, 1)
    halves = [np.corrcoef(one[pairs], other[pairs])[0, 1] for one, other in result.halves]
    assert agreement.value == pytest.approx(np.mean(halves), abs=0.01)
    assert np.corrcoef(noise, signal)[0, 1] == pytest.approx(halves[0], abs=0.01)  # all pairs, or evenly chosen ones
    assert np.corrcoef(dataset["noise_correlation"], dataset["signal_correlation"])[0, 1] < min(halves) - 0.05


def test_planted_pairs_are_coupled() -> None:
    recording = simulate("demo", 3, settings={**SMALL, **INDEPENDENT, "n_spontaneous": 0, "synergistic_pairs": 10})
    result = analyse_couplings(undecoded(recording))
    assert recording.truth is not None
    planted = {tuple(sorted(pair)) for pair in recording.truth.planted["synergistic_pairs"].tolist()}
    found = {tuple(pair) for pair in result.coupled.pairs[result.coupled.adjusted_p < 0.05].tolist()}
    assert len(found & planted) >= 7
    assert len(found - planted) <= 1  # false discoveries: 5 % of ten


def test_a_neuron_recorded_in_two_planes_is_noticed(correlated: Recording) -> None:
    position = correlated.neuron_position_um
    assert position is not None
    position, responses = position.copy(), correlated.responses.copy()
    position[7] = position[3] + np.array([2.0, 1.0, 35.0])
    responses[:, 7] = 1.2 * responses[:, 3]
    twice = replace(correlated, neuron_position_um=position, responses=responses)
    assert analyse_couplings(undecoded(twice)).duplicates.tolist() == [[3, 7]]


def test_like_to_like_coupling_is_found_beyond_partners_and_distance() -> None:
    generator = np.random.default_rng(0)
    kind = np.repeat(np.arange(5), 20)  # five kinds of neurons by tuning, at random places
    tuning = generator.standard_normal((300, 5))[:, kind] + generator.standard_normal((300, 100))
    halves = TuningHalves(*(standardise_columns(tuning) for _ in range(2)))
    position = generator.uniform(0, 500, (100, 3))
    drawn = np.stack(np.triu_indices(100, 1), axis=1)
    same = drawn[kind[drawn[:, 0]] == kind[drawn[:, 1]]]
    alike, anyone = (generator.permutation(pairs)[:120] for pairs in (same, drawn))
    found = like_to_like(alike, halves, position, 20, generator)
    assert found.low > found.null_high
    chance = like_to_like(anyone, halves, position, 20, generator)
    assert chance.null_low <= chance.value <= chance.null_high


def test_without_positions_distance_is_unknown_and_the_rest_is_there(correlated: Recording) -> None:
    found = findings(replace(correlated, neuron_position_um=None))
    for name in ("noise_correlation_near_minus_far", "possible_duplicates_fraction"):
        assert np.isnan(found[name].value)
        assert "not known" in found[name].reason
    assert np.isfinite(found["noise_correlation_mean"].value)


def test_without_repeats_there_is_a_reason(correlated: Recording) -> None:
    once = correlated.select_trials(np.arange(correlated.n_trials) < correlated.n_stimuli, "First repeats.")
    with pytest.raises(DataError, match="at least 10 pairs of repeats"):
        analyse_couplings(undecoded(once))


def test_the_dataset_holds_what_is_drawn(correlated: Recording) -> None:
    dataset = analyse_couplings(undecoded(correlated), CouplingsSettings(n_sampled_neurons=40)).to_dataset()
    assert dataset.sizes["sampled"] == 40 * 39 // 2
    assert dataset["by_distance"].dims == ("measure", "bin", "bound")
    assert dataset["distance_edges"].attrs["units"] == "um"


@pytest.mark.skipif(not DATA.is_dir(), reason="the published recordings are not beside the repository")
def test_real_neurons_have_positive_noise_correlations() -> None:
    found = findings(dina.read(ROOT / "examples" / "recordings" / "antolik2016_region1.toml"))
    assert found["noise_correlation_mean"].low > found["noise_correlation_mean"].null_high
    assert np.isnan(found["noise_correlation_near_minus_far"].value)
