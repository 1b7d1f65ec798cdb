"""Fields taken apart into rows and columns give what the tower itself predicts, whole, by channel and by block."""

import pytest
import torch

from dina.analyses.separable_fields import SeparableFields
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import initialise


@pytest.fixture
def tower() -> ProjectiveFields:
    tower = ProjectiveFields(50, (4, 6, 9), order=3)
    initialise(tower, torch.Generator().manual_seed(0))
    tower.width.fill_(0.8)
    tower.centre[:20] = torch.tensor([2.0, 3.0])  # a crowded place, so that neurons of one centre fill several groups
    return tower


@pytest.fixture
def maps() -> torch.Tensor:
    return torch.randn(40, 4, 6, 9, generator=torch.Generator().manual_seed(1))


def test_the_whole_map_evokes_what_the_tower_predicts(tower: ProjectiveFields, maps: torch.Tensor) -> None:
    # single precision: sums of some hundred products in another order
    torch.testing.assert_close(SeparableFields(tower).predict(maps, slice(None)), tower.predict(maps), rtol=1e-4, atol=1e-5)


def test_channels_add_up_to_the_whole(tower: ProjectiveFields, maps: torch.Tensor) -> None:
    by_channel = SeparableFields(tower).predict_by_channel(maps)

    only_second = torch.zeros_like(maps)
    only_second[:, 1] = maps[:, 1]
    torch.testing.assert_close(by_channel[:, 1], tower.predict(only_second), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(by_channel.sum(1), tower.predict(maps), rtol=1e-4, atol=1e-5)


def test_a_block_evokes_what_a_map_that_is_zero_elsewhere_evokes(tower: ProjectiveFields, maps: torch.Tensor) -> None:
    block = torch.zeros_like(maps)
    block[:, 1:3, 2:5, 4:6] = maps[:, 1:3, 2:5, 4:6]

    found = SeparableFields(tower).predict(maps[:, 1:3, 2:5, 4:6].contiguous(), slice(1, 3), (2, 4))

    torch.testing.assert_close(found, tower.predict(block), rtol=1e-4, atol=1e-5)


def test_a_block_out_of_reach_of_all_fields_evokes_nothing(tower: ProjectiveFields) -> None:
    tower.centre.zero_()

    found = SeparableFields(tower).predict(torch.ones(2, 4, 1, 1), slice(None), (5, 8))

    assert not found.any()
