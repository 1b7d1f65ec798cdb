"""Frozen networks as image towers: any layer of any module, standardised, kept, saved without its weights."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from dina.checks import DataError
from dina.models.towers.image.frozen_encoder import FrozenEncoder
from dina.models.towers.image.frozen_network import FrozenNetwork, GaborFeatures, permute_weights, weight_digest
from dina.models.towers.image.kept_features import FeatureCache
from dina.models.towers.tower import initialise

SHAPE = (1, 24, 40)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(seed=0):
    """Two convolutions, with places in the first's output and one row of numbers in the last's."""
    built = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    initialise(built, torch.Generator().manual_seed(seed))
    return built


def plain(module, layer, **told):
    return FrozenNetwork(module, layer, mean=(0.5,), deviation=(0.25,), **told)


def test_a_layer_gives_what_the_parts_up_to_it_give_of_the_prepared_image():
    module, images = network(), draw(2, *SHAPE)
    # mid grey is 0.5, one unit of contrast 64 of 255 levels; three equal channels
    expected = module[:2](((0.5 + images * 64 / 255) - 0.5).expand(-1, 3, -1, -1) / 0.25)
    torch.testing.assert_close(plain(module, "1")(images), expected)
    assert plain(module, "")(images).shape == (2, 4, 1, 1)


def test_images_are_resized_to_what_the_network_expects():
    assert plain(network(), "0", size=(32, 32))(draw(2, *SHAPE)).shape == (2, 6, 4, 4)


def test_layers_that_do_not_exist_or_give_no_maps_are_refused():
    with pytest.raises(DataError, match=r"no layer '7'\. Choose one of its parts, for example: 0, 1"):
        plain(network(), "7")
    tokens = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.Flatten(2))
    with pytest.raises(DataError, match=r"1 gives \(2, 6, 15\) for 2 images"):
        plain(tokens, "1")(draw(2, *SHAPE))


def test_statistics_are_those_of_the_training_images_and_directions_fall_in_variance():
    images = draw(60, *SHAPE)
    tower = FrozenEncoder(SHAPE, plain(network(), "1"), n_components=3)
    tower.learn_statistics(images)
    maps = tower(images)
    assert maps.shape == (60, 3, 3, 5)
    # half precision is used for the statistics: 11 bits
    assert float(maps.mean(0).abs().max()) < 5e-3
    variance = maps.square().mean((0, 2, 3))
    assert variance[0] > variance[1] > variance[2]
    whole = FrozenEncoder(SHAPE, plain(network(), "1"), n_components=6)
    whole.learn_statistics(images)
    # z-scores of six channels have a variance of 6 in all, and the kept directions are those with most of it
    assert float(whole(images).square().mean((0, 2, 3)).sum()) == pytest.approx(6.0, rel=5e-3)
    values = np.linalg.eigvalsh(np.cov(whole(images).transpose(0, 1).flatten(1).numpy(), bias=True))
    np.testing.assert_allclose(variance.numpy(), values[::-1][:3], rtol=5e-3)


def test_features_are_computed_once_and_read_the_same_in_any_batch(monkeypatch):
    images = draw(10, *SHAPE)
    tower = FrozenEncoder(SHAPE, plain(network(), "1"))
    tower.learn_statistics(images)
    expected = tower(images)
    monkeypatch.setattr(tower.encoder, "forward", None)  # calling it would fail
    torch.testing.assert_close(tower(images.to(memory_format=torch.channels_last)[[7, 2]]), expected[[7, 2]], rtol=0, atol=0)


def test_a_full_cache_computes_anew_and_a_copy_starts_empty():
    cache = FeatureCache(limit_bytes=2 * 4 * 4)  # of two rows of four single-precision numbers
    images = draw(3, 1, 2, 2)
    calls = []

    def compute(some):
        calls.append(len(some))
        return 2 * some.reshape(len(some), 4, 1, 1)

    for _ in range(2):
        torch.testing.assert_close(cache.look_up(images, compute), 2 * images.reshape(3, 4, 1, 1))
    assert (calls, len(cache), len(deepcopy(cache))) == ([3, 1], 2, 0)


def test_features_kept_without_gradients_can_be_trained_on_later():
    tower = FrozenEncoder(SHAPE, n_outputs=5)
    images = draw(4, *SHAPE)
    with torch.inference_mode():
        tower(images)
    tower(images).sum().backward()
    assert float(tower.head.weight.grad.abs().sum()) > 0


def test_new_statistics_and_conversions_forget_what_was_kept():
    images = draw(12, *SHAPE)
    tower = FrozenEncoder(SHAPE, plain(network(), "1"))
    before = tower(images[:2])
    tower.learn_statistics(images)
    assert not torch.allclose(tower(images[:2]), before)
    calls = []
    tower.encoder.register_forward_hook(lambda *_: calls.append(1))
    tower.to("cpu")(images)
    assert not calls
    tower.double().float()(images)
    assert calls
    assert tower.double()(images[:2].double()).dtype == torch.float64


def test_saved_towers_hold_a_digest_but_not_the_network_and_refuse_another():
    tower = FrozenEncoder(SHAPE, plain(network(seed=1), "1"))
    tower.learn_statistics(draw(12, *SHAPE))
    state = tower.state_dict()
    assert set(state) == {"mean", "deviation", "directions", "digest"}
    same = FrozenEncoder(SHAPE, plain(network(seed=1), "1"))
    same.load_state_dict(state)
    torch.testing.assert_close(same(draw(2, *SHAPE)), tower(draw(2, *SHAPE)), rtol=0, atol=0)
    with pytest.raises(DataError, match="features of another network"):
        FrozenEncoder(SHAPE, plain(network(seed=2), "1")).load_state_dict(state)


def test_permuted_weights_keep_every_layer_s_numbers_and_nothing_else():
    module = network()
    control = permute_weights(deepcopy(module), torch.Generator().manual_seed(0))
    for before, after in zip(module.parameters(), control.parameters(), strict=True):
        torch.testing.assert_close(before.flatten().sort().values, after.flatten().sort().values, rtol=0, atol=0)
        assert not torch.equal(before, after)
    again = permute_weights(deepcopy(module), torch.Generator().manual_seed(0))
    assert weight_digest(again) == weight_digest(control) != weight_digest(module)
    with pytest.raises(DataError, match="Gabor filters have none"):
        permute_weights(GaborFeatures(SHAPE), torch.Generator())


def test_digests_tell_layers_and_sizes_of_one_network_apart():
    told = [plain(network(), "0"), plain(network(), "1"), plain(network(), "1", size=(32, 32)), plain(network(), "1")]
    digests = [weight_digest(each) for each in told]
    assert len(set(digests)) == 3
    assert digests[1] == digests[3]


def test_many_places_are_averaged_until_few_enough_are_left():
    assert FrozenEncoder((1, 64, 64), plain(network(), "1"), n_places=16).map_shape == (6, 4, 4)
