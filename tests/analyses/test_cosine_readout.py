"""Closed forms for a linear tower with cosines, and runs of any tower, against the towers themselves."""

import numpy as np
import pytest
import torch

from dina.analyses.closed_readouts import CosineReadout, margins
from dina.analyses.neuron_readout import TowerReadout, is_closed_form, readout_of, treatments_of
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.neural.feedforward import LowRank
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.models.towers.tower import initialise
from dina.retrieval.ranks import target_ranks
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import CosineComparison

EXACT = 1e-6  # the accuracy promised
N, G, Q = 11, 6, 10


def _towers(*, is_centred: bool) -> AlignedTowers:
    image_tower = TwoPathway((1, 24, 48), 2, 8)
    neural_tower = LowRank(N, image_tower.map_shape, rank=4)
    towers = AlignedTowers(image_tower, neural_tower, CosineComparison(0.1, is_centred=is_centred))
    initialise(towers, torch.Generator().manual_seed(0))
    neural_tower.set_gain(torch.linspace(0.5, 1.5, N))
    return towers.eval()


def _images() -> torch.Tensor:
    return torch.randn(G, 1, 24, 48, generator=torch.Generator().manual_seed(1))


def _asked() -> tuple[torch.Tensor, torch.Tensor]:
    responses = torch.randn(Q, N, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return responses, torch.arange(Q) % G


@torch.no_grad()
def _plain(towers: AlignedTowers, responses: torch.Tensor) -> torch.Tensor:
    """Scores of the towers themselves, the neural side in double precision."""
    image_maps = towers.image_tower(_images()).double()
    neural_maps = towers.neural_tower.double()(responses)
    towers.neural_tower.float()
    return towers.comparison.double()(neural_maps, image_maps, torch.ones(len(responses)))


@pytest.mark.parametrize("is_centred", [False, True])
def test_silencing_any_neuron_is_what_the_towers_do_with_its_mean(is_centred: bool) -> None:
    towers, (responses, target) = _towers(is_centred=is_centred), _asked()
    readout = CosineReadout.of(towers, _images())
    whole = _plain(towers, responses)
    torch.testing.assert_close(readout.scores(responses), whole, atol=EXACT, rtol=0)
    changes = readout.changes(responses, target, "silenced")
    for neuron in range(N):
        quiet = responses.clone()
        quiet[:, neuron] = 0
        without = _plain(towers, quiet)
        lost = (whole - without).gather(1, target[:, None])[:, 0]
        torch.testing.assert_close(changes.score_lost[:, neuron], lost, atol=EXACT, rtol=0)
        lost = margins(whole, target) - margins(without, target)
        torch.testing.assert_close(changes.margin_lost[:, neuron], lost, atol=EXACT, rtol=0)
        fallen = target_ranks(without.numpy(), target.numpy()) - target_ranks(whole.numpy(), target.numpy())
        np.testing.assert_array_equal(changes.rank_lost[:, neuron].numpy(), fallen)


def test_subsets_and_marginal_gains_are_those_of_the_towers() -> None:
    towers, (responses, target) = _towers(is_centred=True), _asked()
    readout = CosineReadout.of(towers, _images())
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    along = []
    for size in range(N + 1):
        kept = torch.zeros(N, dtype=torch.float64)
        kept[order[:size]] = 1
        along.append(_plain(towers, responses * kept))
    for size, scores in zip((2, 5, N), readout.subset_scores(responses, order, (2, 5, N), "silenced"), strict=True):
        torch.testing.assert_close(scores, along[size], atol=EXACT, rtol=0)
    gains = readout.marginal_gains(responses, target, order)
    expected = np.diff([float(margins(scores, target).mean()) for scores in along])
    np.testing.assert_allclose(gains[order].numpy(), expected, atol=EXACT)


def _attention() -> AlignedTowers:
    image_tower = TwoPathway((1, 24, 48), 2, 8)
    neural_tower = NeuronAttention(N, image_tower.map_shape, width=8, centring="centred")
    towers = AlignedTowers(image_tower, neural_tower, CosineComparison(0.1))
    initialise(towers, torch.Generator().manual_seed(0))
    return towers.eval()


def test_any_other_tower_is_run_with_neurons_silenced() -> None:
    towers, (responses, target) = _attention(), _asked()
    readout = readout_of(towers, _images().numpy())
    assert isinstance(readout, TowerReadout)
    assert treatments_of(towers) == ("silenced",)
    changes = readout.sampled_changes(responses, target, (2, 7))
    assert changes.margin_lost[:, [0, 1, 3]].isnan().all()
    for neuron in (2, 7):
        quiet = responses.clone()
        quiet[:, neuron] = 0
        lost = margins(readout.scores(responses), target) - margins(readout.scores(quiet), target)
        torch.testing.assert_close(changes.margin_lost[:, neuron], lost, atol=EXACT, rtol=0)
    gains = readout.marginal_gains(responses, target, torch.arange(N))
    silent = margins(readout.scores(torch.zeros_like(responses)), target).mean()
    whole = margins(readout.scores(responses), target).mean()
    np.testing.assert_allclose(float(gains.sum()), float(whole - silent), atol=EXACT)


def test_first_order_loss_is_the_slope_of_the_margin() -> None:
    towers, (responses, target) = _attention(), _asked()
    readout = TowerReadout.of(towers, _images())
    step = 1e-2
    neuron = 4
    nudged = responses.clone()
    nudged[:, neuron] *= 1 + step
    rise = (margins(readout.scores(nudged), target) - margins(readout.scores(responses), target)) / step
    # a finite difference in single precision: 1e-6 of the score over the step
    torch.testing.assert_close(readout.margins_lost(responses, target, "silenced")[:, neuron], rise, atol=5e-3, rtol=0.1)


def test_a_neuron_dropped_from_a_linear_tower_is_closed_form() -> None:
    assert is_closed_form(_towers(is_centred=True))
    assert not is_closed_form(_attention())
