"""The closed-form start by blocks of neurons on workers of dask: the numbers of one process."""

from collections.abc import Iterator

import pytest
import torch

from dina.checks import DataError
from dina.cli.hardware import neurons_on_workers
from dina.models.spaces.pursued_gabors import PursuedGabors
from dina.neuron_blocks import blocks_on, divide_neurons, join_neurons
from dina.training.batches import RecordingPairs
from dina.training.presets import RecordingShape, build_towers, changed_settings, find_preset

pytest.importorskip("distributed", reason="the extra sweep is not installed")

SMALL = {"stride": 2, "n_orientations": 2, "widths": (0.75, 1.5), "spaces": ("pixels",)}
TOLERANCE = 1e-6
"""Relative to the largest value of each kind of number, in double precision."""
ROUNDING = 1e-5
"""The same in single precision."""


class Counting:
    """A client that counts the blocks that it gives to workers."""

    def __init__(self, client):
        self.client = client
        self.functions = []

    def __getattr__(self, name):
        return getattr(self.client, name)

    def submit(self, function, *arguments, **options):
        self.functions.append(function.__qualname__)
        return self.client.submit(function, *arguments, **options)


@pytest.fixture(scope="module")
def client() -> Iterator[Counting]:
    from dina.sweep.workers import workers_here

    with workers_here(3) as here:
        yield Counting(here)


def started(pairs):
    settings = changed_settings("default", SMALL)
    towers = build_towers("default", settings, RecordingShape.of(pairs.train), 0)
    prior, chosen = find_preset("default").start([towers], settings, [pairs])
    return {**towers.state_dict(), "prior": prior.weights}, chosen


def test_the_start_of_default_is_that_of_one_process(make_toy_pairs, client, double_precision):
    pairs = RecordingPairs(*make_toy_pairs(n_train=40, n_validation=16, n_neurons=50))
    expected, chosen = started(pairs)
    with blocks_on(client):
        found, chosen_on_workers = started(pairs)
    assert chosen_on_workers == chosen
    for name, tensor in expected.items():
        largest = float(tensor.abs().max()) if tensor.numel() else 0.0
        torch.testing.assert_close(
            found[name], tensor, rtol=0, atol=TOLERANCE * largest, msg=lambda words, name=name: f"{name}: {words}"
        )
    of_workers = {"_fit_block", "_estimate_some", "_gram_of_rows"}
    assert of_workers <= set(client.functions)


def test_gabors_are_pursued_as_in_one_process(make_toy_pairs, client):
    train, _ = make_toy_pairs(n_train=40, n_neurons=50)
    images, responses = torch.from_numpy(train.images), torch.from_numpy(train.averaged())

    def fitted():
        space = PursuedGabors(tuple(images.shape[1:]), (1, 6, 8))
        return space.fit(images, torch.zeros(40, 1, 6, 8), responses)

    expected = fitted()
    with blocks_on(client):
        found = fitted()
    assert "_Pursuit._of_block" in client.functions
    assert torch.equal(found.weights.neuron, expected.weights.neuron)
    assert torch.equal(found.weights.feature, expected.weights.feature)
    largest = float(expected.predicted.abs().max())
    torch.testing.assert_close(found.predicted, expected.predicted, rtol=0, atol=ROUNDING * largest)


def test_neurons_of_one_place_stay_together_and_come_back_in_order(client):
    place = torch.tensor([[3, 1], [0, 0], [3, 1], [2, 2], [0, 0], [5, 5]])
    assert divide_neurons(place) == [slice(None)]
    with blocks_on(client):
        neurons = divide_neurons(place)
    assert len(neurons) == 3
    assert len({tuple(one.tolist()) for some in neurons for one in place[some].unique(dim=0)}) == 4
    assert sum(len(place[some].unique(dim=0)) for some in neurons) == 4
    assert torch.equal(join_neurons([place[some] for some in neurons], neurons), place)


def test_a_scheduler_that_is_not_there_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(DataError, match="There must be a scheduler of dask"), neurons_on_workers(str(tmp_path / "none.json")):
        pass
