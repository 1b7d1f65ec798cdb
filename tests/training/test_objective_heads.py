"""Objectives with heads: chance on paper, known maps are read exactly, the unknown takes no part."""

import math

import numpy as np
import pytest
import torch

from dina.models.towers.map_geometry import scale_maps
from dina.training.objectives import EncodedBatch
from dina.training.objectives.heads import MOST_INPUTS, MapHead, describe_by_gabors, standardise_targets
from dina.training.objectives.targets import (
    Classification,
    PrivilegedRegression,
    ReconstructFeatures,
    ReconstructMaps,
    ReconstructPixels,
)

N, MAP_SHAPE = 12, (2, 4, 6)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch_of(neural_maps, image_maps, category=None, target=None):
    n = len(neural_maps)
    category = torch.full((n,), -1) if category is None else category
    target = torch.zeros(n, 0) if target is None else target
    row = torch.arange(n)
    return EncodedBatch(neural_maps, image_maps, torch.zeros(n, n), row, category, target, row, torch.ones(n))


def silence(head):
    for parameter in head.parameters():
        parameter.data.zero_()


def test_a_head_that_knows_nothing_has_the_logarithm_of_the_number_of_categories():
    category = torch.tensor([0, 0, 0, 0, 0, 0, 0, 1, 1, 2, -1, -1])
    objective = Classification()
    objective.start(MAP_SHAPE, torch.zeros(N, 0), category)
    silence(objective.head)
    loss = objective(batch_of(random(N, *MAP_SHAPE), random(N, *MAP_SHAPE), category))
    assert float(loss.detach()) == pytest.approx(math.log(3), rel=1e-6)


def test_categories_weigh_alike_however_many_images_they_have():
    category = torch.tensor([0] * 9 + [1] * 3)
    objective = Classification()
    objective.start(MAP_SHAPE, torch.zeros(N, 0), category)
    silence(objective.head)
    # always right about category 0 and wrong about 1, by one unit: the mean of both, not three quarters of the first
    objective.head.linear.bias.data[0] = 1.0
    loss = objective(batch_of(random(N, *MAP_SHAPE), random(N, *MAP_SHAPE), category))
    assert float(loss.detach()) == pytest.approx((math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 2, rel=1e-5)


def test_images_of_unknown_category_take_no_part():
    category = torch.tensor([0, 1, 2] * 4)
    objective = Classification()
    objective.start(MAP_SHAPE, torch.zeros(N, 0), category)
    neural = random(N, *MAP_SHAPE)
    known = objective(batch_of(neural, neural, category))
    more = torch.cat([neural, 1e3 * random(5, *MAP_SHAPE, seed=1)])
    with_unknown = objective(batch_of(more, more, torch.cat([category, torch.full((5,), -1)])))
    torch.testing.assert_close(with_unknown, known)


@pytest.mark.parametrize("kind", [ReconstructPixels, ReconstructFeatures, PrivilegedRegression])
def test_predicting_the_mean_explains_nothing(kind):
    objective = kind()
    images = np.asarray(random(N, 1, 16, 24))
    target = random(N, 7, seed=2) if objective.needs == "features" else objective.describe(images, MAP_SHAPE)
    objective.start(MAP_SHAPE, target, torch.full((N,), -1))
    silence(objective.head)
    loss = objective(batch_of(random(N, *MAP_SHAPE), random(N, *MAP_SHAPE), target=target.float()))
    # rounding of half precision, in which targets are kept
    assert float(loss.detach()) == pytest.approx(1.0, rel=2e-3)


def test_pixels_of_a_place_are_those_that_it_covers():
    images = np.zeros((1, 1, 16, 24), dtype=np.float32)
    images[0, 0, 4:8, 8:12] = 1.0  # place (1, 2) of a grid of 4 x 6 covers 4 x 4 pixels
    target = ReconstructPixels().describe(images, MAP_SHAPE).reshape(16, 4, 6)
    assert (target[:, 1, 2] == 1).all()
    assert float(target.sum()) == 16


def test_an_image_that_is_linear_in_the_map_is_rebuilt_completely():
    image = random(N, 1, 4, 6)
    maps = torch.cat([image, -image], dim=1)  # of zero mean over the map; the scale differs from image to image
    maps = maps / maps.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    images = maps[:, :1].repeat_interleave(4, 2).repeat_interleave(4, 3).numpy()
    objective = ReconstructPixels()
    target = objective.describe(images, MAP_SHAPE)
    objective.start(MAP_SHAPE, target, torch.full((N,), -1))
    mean, deviation = objective.mean.reshape(16, 4, 6), objective.deviation.reshape(16, 4, 6)
    silence(objective.head)
    assert float(deviation.std()) < 1e-3  # all pixels of a channel are divided alike
    objective.head.linear.weight.data[:, 0, 0, 0] = 1 / deviation[0, 0, 0]
    shifted = target.float() + objective.mean  # what the head rebuilds has no mean subtracted
    assert float(objective(batch_of(maps, maps, target=shifted)).detach()) < 1e-4
    assert mean.shape == (16, 4, 6)


def test_maps_rebuild_image_maps_by_gain_and_offset_and_leave_the_image_tower_alone():
    objective = ReconstructMaps()
    objective.start(MAP_SHAPE, torch.zeros(N, 0), torch.full((N,), -1))
    image, neural = random(N, *MAP_SHAPE).requires_grad_(), random(N, *MAP_SHAPE, seed=3).requires_grad_()
    same = objective(batch_of(3.0 * image + 2.0, image))
    other = objective(batch_of(neural, image))
    assert float(same.detach()) == pytest.approx(0.0, abs=1e-5)
    assert float(other.detach()) > 1
    other.backward()
    assert image.grad is None
    assert float(neural.grad.abs().sum()) > 0


def test_a_head_reads_maps_of_any_scale_alike():
    maps = random(N, *MAP_SHAPE)
    torch.testing.assert_close(scale_maps(1000 * maps + 7), scale_maps(maps), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scale_maps(maps).square().mean(dim=(1, 2, 3)), torch.ones(N), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("map_shape", [(1, 16, 64), (105, 17, 68), (8, 9, 34), (5000, 2, 2)])
def test_large_maps_are_averaged_before_a_head_reads_them(map_shape):
    head = MapHead(map_shape, 3)
    assert head(random(2, *map_shape)).shape == (2, 3)
    assert head.linear.in_features <= max(MOST_INPUTS, map_shape[0])


def test_targets_that_hardly_vary_are_not_blown_up():
    target = torch.cat([random(50, 9), 1e-6 * random(50, 1), torch.ones(50, 1)], dim=1)
    mean, deviation = standardise_targets(target)
    torch.testing.assert_close(mean, target.mean(0), atol=1e-6, rtol=1e-5)
    assert float(deviation.min()) == pytest.approx(0.05 * float(target.std(0, correction=0).mean()), rel=1e-5)
    assert standardise_targets(torch.ones(5, 2))[1].tolist() == [1.0, 1.0]


def test_the_fixed_description_tells_orientations_apart():
    x = torch.arange(32.0).expand(32, 32)
    vertical, horizontal = torch.sin(2 * torch.pi * x / 8), torch.sin(2 * torch.pi * x.T / 8)
    images = torch.stack([vertical, vertical.roll(2, 1), horizontal])[:, None].numpy()
    described = describe_by_gabors(images, MAP_SHAPE).float()
    unit = described / described.norm(dim=1, keepdim=True)
    # a shifted grating has the same energies, a turned one has not
    assert float(unit[0] @ unit[1]) > 0.95
    assert float(unit[0] @ unit[2]) < 0.6
