"""Towers with a shared trunk: what is shared, what is not, and the way through another recording's neurons."""

import pytest
import torch

from dina.checks import DataError
from dina.models.towers.neural.shared_trunk import AdaptedTrunk, RebuildingTrunk, SharedTrunk, cyclic_loss
from dina.models.towers.tower import initialise

MAP_SHAPE = (2, 3, 4)


def some_trunk(n_blocks=2):
    trunk = SharedTrunk(8, n_blocks, MAP_SHAPE)
    initialise(trunk, torch.Generator().manual_seed(0))
    return trunk


def some_tower(tower_type, n_neurons, trunk, seed=1):
    tower = tower_type(n_neurons, trunk, 8, dropout=0.0)
    kept = {name: value.clone() for name, value in trunk.state_dict().items()}
    initialise(tower, torch.Generator().manual_seed(seed))
    trunk.load_state_dict(kept)
    return tower


def some_responses(n_neurons, n=5):
    return torch.randn(n, n_neurons, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("tower_type", [AdaptedTrunk, RebuildingTrunk])
def test_recordings_of_any_size_reach_one_map_through_one_trunk(tower_type):
    trunk = some_trunk()
    towers = [some_tower(tower_type, n_neurons, trunk) for n_neurons in (6, 11)]
    for tower, n_neurons in zip(towers, (6, 11), strict=True):
        assert tower(some_responses(n_neurons)).shape == (5, *MAP_SHAPE)
    towers[0](some_responses(6)).sum().backward()
    assert towers[1].trunk.maps.weight.grad is not None
    assert towers[1].adapter.weight.grad is None


def test_without_blocks_it_is_a_product_of_two_matrices():
    tower = some_tower(AdaptedTrunk, 6, some_trunk(n_blocks=0))
    tower.set_gain(torch.arange(1.0, 7.0))
    responses = some_responses(6)
    by_hand = (responses * torch.arange(1.0, 7.0)) @ tower.adapter.weight.T + tower.adapter.bias
    by_hand = by_hand @ tower.trunk.maps.weight.T + tower.trunk.maps.bias
    torch.testing.assert_close(tower(responses).flatten(1), by_hand)


def test_the_cyclic_loss_is_the_error_of_both_ways():
    trunk = some_trunk()
    own, other = some_tower(RebuildingTrunk, 6, trunk), some_tower(RebuildingTrunk, 9, trunk, seed=3)
    responses = some_responses(6)
    common = own.to_common(responses)
    rebuilt = torch.mean((own.from_common(common) - responses) ** 2)
    moved = torch.mean((other.to_common(other.from_common(common)) - common) ** 2)
    torch.testing.assert_close(cyclic_loss(own, other, responses, 0.3), rebuilt + 0.3 * moved)
    torch.testing.assert_close(cyclic_loss(own, other, responses, 0.0), rebuilt)


def test_training_the_cycle_teaches_both_recordings():
    trunk = some_trunk()
    own, other = some_tower(RebuildingTrunk, 6, trunk), some_tower(RebuildingTrunk, 9, trunk, seed=3)
    learning = {id(p): p for tower in (own, other) for p in tower.parameters()}
    optimiser = torch.optim.Adam(learning.values(), lr=0.02)
    before = cyclic_loss(own, other, some_responses(6), 1.0).item()
    for _ in range(60):
        optimiser.zero_grad()
        cyclic_loss(own, other, some_responses(6), 1.0).backward()
        optimiser.step()
    assert cyclic_loss(own, other, some_responses(6), 1.0).item() < before / 3
    assert other.rebuild.weight.grad is not None


def test_responses_of_another_recording_are_refused():
    with pytest.raises(DataError, match="n_neurons = 6"):
        some_tower(AdaptedTrunk, 6, some_trunk())(some_responses(7))
