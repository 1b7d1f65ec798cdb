"""Fields at places: what a neuron adds lies where its place is, and reading is the transpose of adding."""

import pytest
import torch

from dina.models.towers.neural.placed_fields import PlacedFields
from dina.models.towers.tower import initialise
from dina.training.presets.learnt_fields import estimated_places

SHAPE = (3, 9, 14)


@pytest.fixture
def tower():
    made = PlacedFields(5, SHAPE).double()
    initialise(made, torch.Generator().manual_seed(0))
    return made.eval()


def test_reading_maps_is_the_transpose_of_adding_responses(tower):
    generator = torch.Generator().manual_seed(1)
    responses = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    maps = torch.randn(4, *SHAPE, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        added = (tower(responses) * maps).sum((1, 2, 3))
        read = (responses * tower.predict(maps)).sum(1)
    torch.testing.assert_close(added, read)


def test_what_a_neuron_adds_lies_at_its_place(tower):
    tower.set_places(torch.tensor([[2.0, 3.0], [0.0, 13.0], [8.0, 0.0], [4.5, 6.0], [7.0, 9.0]]))
    windows = tower.windows().detach().unflatten(1, SHAPE[1:])
    torch.testing.assert_close(windows.square().sum((1, 2)), torch.ones(5, dtype=torch.float64))
    peaks = [divmod(int(window.argmax()), SHAPE[2]) for window in windows]
    assert [peaks[0], peaks[1], peaks[2], peaks[4]] == [(2, 3), (0, 13), (8, 0), (7, 9)]
    torch.testing.assert_close(windows[3, 4], windows[3, 5])  # a place between two rows is shared by them


def test_silent_neurons_add_nothing_and_gain_scales_what_they_add(tower):
    responses = torch.eye(5, dtype=torch.float64)
    with torch.no_grad():
        before = tower(responses)
        assert float(tower(0 * responses).abs().max()) == 0
        tower.set_gain(torch.full((5,), 3.0))
        torch.testing.assert_close(tower(responses), 3 * before)


def test_places_are_found_where_a_neuron_looks():
    """Neurons read the contrast of a patch each; their places lie within a map place of it."""
    images = torch.randn(400, 1, 34, 68, generator=torch.Generator().manual_seed(2))
    centres = [(8, 10), (17, 34), (26, 60)]
    responses = torch.stack([images[:, 0, y - 3 : y + 3, x - 3 : x + 3].std((1, 2)) for y, x in centres], dim=1)
    found = estimated_places(images, responses - responses.mean(0), (32, 17, 34))
    expected = (torch.tensor(centres, dtype=torch.float32) + 0.5) / 2 - 0.5
    assert float((found - expected).abs().max()) < 1.5
