"""Features on disk: read instead of computed, whole or not at all, never wrong, never beyond a limit."""

import pytest
import torch
from torch import nn

from dina.models.towers.image.frozen_encoder import FrozenEncoder
from dina.models.towers.image.frozen_network import FrozenNetwork
from dina.models.towers.image.kept_features import IMAGES_AT_ONCE, FeatureStore
from dina.models.towers.tower import initialise
from dina.training.presets.frozen_encoders import feature_store

SHAPE = (1, 24, 40)
IMAGES = torch.randn(40, *SHAPE, generator=torch.Generator().manual_seed(0))


class Network(nn.Module):
    """One convolution that says how often it was run."""

    def __init__(self, seed=0):
        super().__init__()
        self.layer = nn.Conv2d(3, 6, 8, stride=8)
        initialise(self, torch.Generator().manual_seed(seed))
        self.n_images = 0

    def forward(self, pixels):
        self.n_images += len(pixels)
        return self.layer(pixels)


def tower(folder, seed=0, **told):
    network = Network(seed)
    built = FrozenEncoder(SHAPE, FrozenNetwork(network, "", mean=(0.5,), deviation=(0.25,)), store=FeatureStore(folder), **told)
    network.n_images = 0  # building asks for the shape of the features
    return built, network


def test_another_tower_of_the_same_network_reads_what_the_first_computed(tmp_path):
    first, network = tower(tmp_path)
    first.learn_statistics(IMAGES)
    assert network.n_images == 2 * IMAGES_AT_ONCE  # 40 images, two full batches; statistics and maps share them
    second, network = tower(tmp_path)
    second.learn_statistics(IMAGES.flip(0))
    assert network.n_images == 0
    torch.testing.assert_close(second(IMAGES), first(IMAGES), rtol=1e-4, atol=1e-4)  # statistics are summed in another order
    third, network = tower(tmp_path)
    third.learn_statistics(IMAGES)
    torch.testing.assert_close(third(IMAGES), first(IMAGES), rtol=0, atol=0)


@pytest.mark.parametrize("told", [{"seed": 1}, {"n_places": 4}])
def test_other_weights_and_other_grids_are_not_mixed_up(tmp_path, told):
    first, _ = tower(tmp_path)
    first(IMAGES)
    other, network = tower(tmp_path, **told)
    assert other(IMAGES).shape[0] == 40
    assert network.n_images == 2 * IMAGES_AT_ONCE


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_file_is_computed_again_and_mended(tmp_path, damage):
    first, _ = tower(tmp_path)
    expected = first(IMAGES)
    path = sorted(tmp_path.glob("*/*"))[3]
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes({"cut": content[:-9], "flipped": content, "emptied": b""}[damage])
    for n_computed in (IMAGES_AT_ONCE, 0):
        again, network = tower(tmp_path)
        torch.testing.assert_close(again(IMAGES), expected, rtol=0, atol=0)
        assert network.n_images == n_computed


def test_above_the_limit_the_longest_unread_go_and_no_part_of_a_file_stays(tmp_path):
    store = FeatureStore(tmp_path, limit_bytes=20_000)
    for image in IMAGES:
        store.look_up(b"network", image[None], lambda some: some)
    sizes = [path.stat().st_size for path in tmp_path.glob("*/*")]
    assert 10_000 < sum(sizes) <= 20_000
    assert not list(tmp_path.glob("*/*.tmp"))

    def refuse(images):
        raise AssertionError

    torch.testing.assert_close(store.look_up(b"network", IMAGES[-1:], refuse), IMAGES[-1:])  # the newest is still there


def test_a_folder_that_cannot_be_written_to_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    there, _ = tower(tmp_path / "file")
    assert there(IMAGES).shape[0] == 40


def test_gradients_pass_the_store_by(tmp_path):
    there, _ = tower(tmp_path)
    images = IMAGES[:2].clone().requires_grad_()
    there(images).sum().backward()
    assert float(images.grad.abs().sum()) > 0
    assert not list(tmp_path.iterdir())


def test_a_variable_says_where_features_are_kept_or_that_they_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("DINA_DATA", str(tmp_path))
    monkeypatch.delenv("DINA_FEATURES")
    assert feature_store().folder == tmp_path / "features"
    monkeypatch.setenv("DINA_FEATURES", "off")
    assert feature_store() is None
