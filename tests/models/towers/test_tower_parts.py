"""The parts that towers share: resizing, initial weights, dropout, the linear neural tower."""

import pytest
import torch
from torch import nn

from dina.checks import DataError
from dina.models.towers.depthwise import DepthwiseConv2d
from dina.models.towers.map_geometry import resize_bilinear
from dina.models.towers.neural.feedforward import LowRank
from dina.models.towers.tower import NeuronDropout, initialise, seed_dropout


@pytest.mark.parametrize("size", [(16, 64), (3, 5), (8, 33)])
def test_resizing_agrees_with_torch(size):
    maps = torch.randn(2, 3, 8, 33, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(resize_bilinear(maps, size), expected)


def test_initial_weights_have_the_spread_that_torch_gives():
    layer = nn.Conv2d(4, 50, 5).requires_grad_(False)
    initialise(layer, torch.Generator().manual_seed(0))
    # uniform within 1 / sqrt(fan in), fan in = 4 x 5 x 5
    assert float(layer.weight.abs().max()) <= 0.1
    assert float(layer.weight.abs().max()) == pytest.approx(0.1, rel=0.01)
    assert float(layer.weight.mean()) == pytest.approx(0.0, abs=3 * 0.1 / 3**0.5 / 5000**0.5)


def test_parameters_that_nobody_would_draw_are_an_error():
    module = nn.Module()
    module.strange = nn.Parameter(torch.zeros(3))
    with pytest.raises(TypeError, match="draw_parameters"):
        initialise(module, torch.Generator().manual_seed(0))


def test_dropout_keeps_the_mean_and_is_drawn_from_its_generator():
    dropout = NeuronDropout(0.5)
    seed_dropout(dropout, torch.Generator().manual_seed(3))
    first = dropout(torch.ones(100, 200))
    seed_dropout(dropout, torch.Generator().manual_seed(3))
    assert torch.equal(first, dropout(torch.ones(100, 200)))
    assert set(first.unique().tolist()) == {0.0, 2.0}
    # 20,000 values of standard deviation 1: four standard errors
    assert float(first.mean()) == pytest.approx(1.0, abs=4 / 20_000**0.5)
    assert torch.equal(dropout.eval()(torch.ones(2, 2)), torch.ones(2, 2))


def test_dropout_is_drawn_on_the_cpu_whatever_the_device():
    dropout = NeuronDropout(0.5)
    seed_dropout(dropout, torch.Generator().manual_seed(3))
    assert dropout(torch.ones(4, 5, device="meta")).device.type == "meta"
    rest = torch.rand(3, generator=dropout.generator)
    seed_dropout(dropout, torch.Generator().manual_seed(3))
    dropout(torch.ones(4, 5))
    assert torch.equal(rest, torch.rand(3, generator=dropout.generator))


def test_a_dropout_of_one_is_refused():
    with pytest.raises(DataError, match="below 1; got 1"):
        NeuronDropout(1.0)


def test_the_low_rank_tower_is_affine_in_each_response():
    tower = LowRank(9, (2, 3, 4), rank=5)
    initialise(tower, torch.Generator().manual_seed(0))
    tower.set_gain(torch.linspace(0, 2, 9))
    tower.eval()
    one = torch.eye(9)
    with torch.no_grad():
        rest = tower(torch.zeros(1, 9))
        by_neuron = tower(one) - rest
        responses = torch.randn(4, 9, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(
            tower(responses) - rest, torch.einsum("bn,nchw->bchw", responses, by_neuron), atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_filters_keep_single_precision_under_autocast_on_a_cpu(stride):
    layer = DepthwiseConv2d(6, 5, stride)
    initialise(layer, torch.Generator().manual_seed(0))
    maps = torch.randn(3, 6, 9, 11, generator=torch.Generator().manual_seed(1), requires_grad=True)
    plain = nn.Conv2d(6, 6, 5, stride, padding=2, groups=6)
    plain.load_state_dict(layer.state_dict())
    expected = plain(maps)
    wanted = torch.autograd.grad(expected.square().sum(), maps)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(maps)
        assert layer(maps.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), maps)[0], wanted)
