"""Contributions of a fitted decoder: planted neurons are found, nothing is found where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import sem, spearmanr

from dina.analyses.closed_readouts import LikelihoodReadout
from dina.analyses.contributions.compute import (
    ContributionSettings,
    ContributionsResult,
    analyse_contributions,
    sample_shapley,
)
from dina.analyses.decoded import Decoded, decode
from dina.analyses.neuron_readout import NeuronReadout, readout_of
from dina.analyses.query_trials import QueryTrials, rank_on_training
from dina.models.noise import LowRankNoise
from dina.randomness import generator_for
from dina.recordings.simulator import simulate
from dina.statistics.finding import Finding
from dina.training.fit import FitSettings
from dina.training.presets.default import DefaultSettings
from dina.training.presets.paper import PaperSettings

FAST = ContributionSettings(n_permutations=6, n_shuffles=10, n_ranking_images=60)


@pytest.fixture(scope="module")
def result(decoded: Decoded) -> ContributionsResult:
    return analyse_contributions(decoded, FAST)


def _by_name(result: ContributionsResult) -> dict[str, Finding]:
    return {finding.name: finding for finding in result.findings()}


def test_contributions_agree_between_images_and_with_shapley_values(result: ContributionsResult) -> None:
    found = _by_name(result)
    for name in ("agreement_between_halves", "agreement_with_training"):
        assert found[name].beats_null, name
        assert found[name].low > 0, name
    for name in ("agreement_with_shapley", "agreement_with_silencing"):
        assert found[name].low > 0.5, name
        assert np.isnan(found[name].null_low), name
    assert found["helpful_fraction"].beats_null


def test_margins_by_trial_average_to_the_contribution(decoded: Decoded, result: ContributionsResult) -> None:
    by_image = QueryTrials.of_test(decoded).by_image(result.changes["removed"].margin_lost)
    # the same sums in another order, in double precision
    np.testing.assert_allclose(by_image.mean(0), result.contribution, atol=1e-12)
    np.testing.assert_allclose(result.means["margin_lost_removed"], result.contribution, atol=1e-12)
    dataset = result.to_dataset()
    assert dict(dataset.sizes) == {"neuron": 80, "query": 100, "lost_by": 2}
    assert all("units" in dataset[name].attrs for name in dataset if name != "target")
    assert {dataset[name].attrs["units"] for name in ("contribution", "margin_lost", "score_lost")} == {"nat"}
    for name in ("score_lost", "margin_lost", "rank_lost"):
        for how in ("removed", "silenced"):
            kept = (
                QueryTrials.of_test(decoded).by_image(torch.from_numpy(dataset[name].sel(lost_by=how).to_numpy().copy())).mean(0)
            )
            # single precision of numbers of about a hundred
            np.testing.assert_allclose(kept, result.means[f"{name}_{how}"], rtol=1e-4, atol=1e-4)


def test_shapley_values_add_up_to_the_margin_of_all(decoded: Decoded) -> None:
    trials = QueryTrials.of_test(decoded)
    readout = readout_of(decoded.towers, trials.images)
    assert isinstance(readout, LikelihoodReadout)
    # shared noise, whatever the towers found: without any, neurons add the same in every order, and only rounding differs
    shared = 0.3 * torch.randn(readout.n_neurons, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    readout = replace(readout, noise=LowRankNoise(readout.noise.private, shared))
    value, error = sample_shapley(readout, trials, 6, generator_for(0, "shapley"))
    scores = readout.scores(trials.responses)
    own = scores.gather(1, trials.target[:, None])[:, 0]
    margin = own - (scores.sum(1) - own) / (scores.shape[1] - 1)
    np.testing.assert_allclose(value.sum(), float(margin.mean()), rtol=1e-9)
    again, other = sample_shapley(readout, trials, 6, generator_for(1, "shapley"))
    # two samples differ by their errors: in units of these by about 1, with three pairs of permutations each by some tails more
    spread = np.sqrt(error**2 + other**2)
    varies = spread > 0  # a neuron without weights adds nothing in any order
    size = np.median(np.abs(value - again)[varies] / spread[varies])
    assert 0.3 < size < 1.5


def test_responses_paired_with_other_images_contribute_nothing(decoded: Decoded) -> None:
    test = decoded.test
    shuffled = replace(test, images=np.ascontiguousarray(np.roll(test.images, 7, axis=0)))
    found = _by_name(analyse_contributions(replace(decoded, test=shuffled), FAST))
    assert not found["helpful_fraction"].beats_null
    for name in ("agreement_with_training", "agreement_between_halves"):
        assert found[name].low < 0 < found[name].high, name
    assert np.isnan(found["corrected_correlation_with_mean_response"].value)
    assert "do not agree" in found["corrected_correlation_with_mean_response"].reason


@pytest.mark.long
def test_planted_informative_neurons_are_found() -> None:
    small = {"n_neurons": 160, "n_stimuli": 500, "height": 24, "width": 48, "n_subunits": 60, "n_broad_factors": 10}
    planted = {**small, "informative_fraction": 0.05, "signal_to_noise": 3.0, "signal_to_noise_spread": 0.3, "n_spontaneous": 0}
    settings = DefaultSettings(spaces=(), stride=2, widths=(1.5,), n_orientations=2, fit=FitSettings(n_epochs=0))
    found = []
    # several sessions: which one a seed gives depends on the signs of eigenvectors, and so on the processor
    for seed in (0, 1, 2):
        session = simulate("demo", seed=seed, settings=planted)
        decoded = decode(
            session, "default", settings, seed=seed, test_fraction=0.2, n_resamples=100, response_transform="identity"
        )
        found.append(_by_name(analyse_contributions(decoded, FAST))["planted_informative_area"])
    assert all(area.n == 8 for area in found)
    assert np.median([area.value for area in found]) >= 0.95
    assert sum(area.beats_null for area in found) >= 2


def test_ranking_reads_no_test_image(decoded: Decoded) -> None:
    poisoned = replace(decoded.test, responses=np.full_like(decoded.test.responses, np.nan))
    before, after = rank_on_training(decoded, 60), rank_on_training(replace(decoded, test=poisoned), 60)
    np.testing.assert_array_equal(before, after)
    assert QueryTrials.of_training(decoded, 60).n_images == 60


def test_towers_without_a_noise_model_are_silenced(decoded_scratch: Decoded) -> None:
    result = analyse_contributions(decoded_scratch, FAST)
    assert result.treatment == "silenced"
    assert "margin_lost_removed" not in result.means
    assert _by_name(result)["agreement_between_halves"].beats_null
    assert "first_order_error" not in _by_name(result)  # linear: silencing is exact


def test_attention_towers_are_sampled_and_their_error_is_told(decoded: Decoded) -> None:
    settings = PaperSettings(map_height=4, map_width=8, centring="centred", fit=FitSettings(n_epochs=0))
    part = decode(decoded.recording, "paper", settings, seed=3, test_fraction=0.25, n_resamples=50, response_transform="identity")
    chosen = ContributionSettings(n_sampled_neurons=6, n_sampled_trials=8, n_shuffles=2, n_permutations=4, n_ranking_images=10)
    result = analyse_contributions(part, chosen)
    exact = result.changes["silenced"].margin_lost.isfinite().numpy()
    assert exact.any(axis=0).sum() == 6
    assert exact.any(axis=1).sum() == 8
    assert np.isfinite(result.contribution).all()
    found, both = _by_name(result), exact.any(axis=0)
    trials = QueryTrials.of_test(part).first(8)
    lost = readout_of(part.towers, trials.images).margins_lost(trials.responses, trials.target, "silenced").mean(0).numpy()[both]
    wanted = result.means["margin_lost_silenced"][both]
    np.testing.assert_allclose(result.means["margin_lost_first_order"][both], lost, rtol=1e-5)
    assert found["agreement_with_exact"].n == 6
    assert found["agreement_with_exact"].value == pytest.approx(spearmanr(lost, wanted)[0])
    error = found["first_order_error"]
    assert error.value == pytest.approx(np.linalg.norm(lost - wanted) / np.linalg.norm(wanted), rel=1e-4)
    assert error.low <= error.value <= error.high


def test_the_error_of_a_contribution_is_the_standard_error_over_images(decoded: Decoded, result: ContributionsResult) -> None:
    trials = QueryTrials.of_test(decoded)
    lost = readout_of(decoded.towers, trials.images).margins_lost(trials.responses, trials.target, "removed")
    np.testing.assert_allclose(result.error, sem(trials.by_image(lost), axis=0))


class GainsByPlace(NeuronReadout):
    """A readout in which a neuron gains what its place in the order says."""

    n_neurons = 5

    def marginal_gains(self, responses: torch.Tensor, target: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        return torch.argsort(order).double()


def test_every_permutation_is_also_taken_in_reverse(decoded: Decoded) -> None:
    value, error = sample_shapley(GainsByPlace(), QueryTrials.of_test(decoded), 4, np.random.default_rng(0))
    # places 0 to 4 and 4 to 0 have the mean 2, whatever the permutation
    np.testing.assert_array_equal(value, 2.0)
    np.testing.assert_array_equal(error, 0.0)
