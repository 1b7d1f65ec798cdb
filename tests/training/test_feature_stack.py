"""A stack of feature spaces stays a dual tower: maps, scores, masks, and weights that are saved and come back."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.data.pairs import learn_standardiser, make_pairs, make_task
from dina.models.spaces.space import SpaceFit
from dina.models.spaces.trained_network import TrainedNetwork
from dina.models.towers.image.efficientnet import read_efficientnet
from dina.models.towers.image.feature_stack import FeatureStack
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.randomness import generator_for
from dina.recordings.simulator import simulate
from dina.retrieval.ranks import retrieve
from dina.training.batches import RecordingPairs
from dina.training.dina_decoder import fit_recordings, join_recording
from dina.training.presets import PRESETS, RecordingShape, build_towers
from dina.training.presets.default import DefaultSettings
from dina.training.saved import load_towers, save_towers

SETTINGS = DefaultSettings(n_orientations=2, n_contrasts=3, order=1, widths=(1.0, 2.0), n_noise_components=20)


def fitted(train, validation, **changes):
    settings = SETTINGS.model_copy(update=changes)
    towers = build_towers("default", settings, RecordingShape.of(train), 0)
    _, chosen = PRESETS["default"].start([towers], settings, [RecordingPairs(train, validation)])
    towers.standardiser = train.standardiser
    return towers.eval(), chosen


def of_all_pixels(pairs, seed=0):
    """Neurons that are random projections of some patterns that cover the whole image: no receptive field."""
    random = generator_for(seed, "patterns")
    patterns = random.standard_normal((12, pairs.images[0].size))
    latent = pairs.images.reshape(len(pairs.images), -1) @ patterns.T
    signal = latent @ generator_for(seed, "projections").standard_normal((12, pairs.n_neurons))
    noise = generator_for(seed + pairs.n_stimuli, "noise").standard_normal(pairs.responses.shape)
    return replace(pairs, responses=(signal[pairs.stimulus_index] / signal.std() + 0.5 * noise).astype(np.float32))


@pytest.fixture
def without_fields(make_toy_pairs):
    return tuple(of_all_pixels(pairs) for pairs in make_toy_pairs(n_train=160, n_validation=60, n_neurons=40))


def accuracy(towers, pairs):
    task = make_task(pairs, "averaged")
    return retrieve(towers.score(task.queries, task.gallery), task.target, "image_from_response").top(1).mean()


def test_neurons_without_receptive_fields_are_decoded_from_pixels(without_fields):
    train, validation = without_fields
    towers, chosen = fitted(train, validation, spaces=("pixels",))
    local, _ = fitted(train, validation, spaces=())
    assert "pixels" in chosen["feature_spaces"]
    assert 0.5 < float(chosen["size_of_predictions"]) <= 1
    assert "pixels" in chosen["lost_without"]
    assert float(chosen["lost_without"].split("pixels ")[1].split(" %")[0]) > 5  # per cent of the variance
    assert "gain_of_trained_encoder" not in chosen
    assert accuracy(towers, validation) > accuracy(local, validation) + 0.1


def test_a_stack_keeps_the_contract_of_both_towers(without_fields, tmp_path):
    train, validation = without_fields
    towers, _ = fitted(train, validation, spaces=("pixels", "pursued_gabors"))
    image, neural = towers.image_tower, towers.neural_tower
    assert image.map_shape == neural.map_shape
    responses, images = torch.from_numpy(validation.averaged()), torch.from_numpy(validation.images)
    with torch.no_grad():
        maps = image(images)
        assert maps.shape[1:] == image.map_shape
        # the inner product of both maps is the expected response under the noise
        products = neural(responses).flatten(1) @ maps.flatten(1).T
        torch.testing.assert_close(products, neural.whiten(responses) @ neural.predict(maps).T, atol=2e-3, rtol=1e-3)
        # kept features are those that would be computed
        # kept features are those that would be computed: a copy of a tower keeps none
        torch.testing.assert_close(deepcopy(image)(images[:7]), maps[:7], atol=1e-4, rtol=1e-4)
    task = make_task(validation, "averaged")
    before = towers.score(task.queries, task.gallery)
    save_towers(towers, tmp_path / "towers.safetensors")
    again = load_towers(tmp_path / "towers.safetensors")
    assert again.image_tower.map_shape == image.map_shape
    np.testing.assert_allclose(again.score(task.queries, task.gallery), before, rtol=1e-4, atol=1e-3)


def test_masking_a_pathway_takes_its_features_too(without_fields):
    train, validation = without_fields
    towers, _ = fitted(train, validation, spaces=("pixels", "pursued_gabors"))
    image = towers.image_tower
    assert isinstance(image, FeatureStack)
    images = torch.from_numpy(validation.images[:5])
    beside = image.channels_beside()
    n_placed = image.map_shape[0] - len(beside)
    with torch.no_grad():
        for name in image.pathways:
            masked = image(images, (name,))[:, n_placed:]
            for channel, (_, pathway) in enumerate(beside):
                assert bool(masked[:, channel].any()) == (pathway != name)


def test_without_further_spaces_the_maps_are_those_of_the_gabor_tower(make_toy_pairs):
    train, validation = make_toy_pairs(n_train=60, n_validation=20, n_neurons=10)
    towers, chosen = fitted(train, validation, spaces=())
    plain = GaborEnergy(towers.image_tower.image_shape, None, 2, 3)
    plain.load_state_dict({k: v for k, v in towers.image_tower.state_dict().items() if k != "space_gain"})
    images = torch.from_numpy(validation.images)
    with torch.no_grad():
        assert torch.equal(plain(images), towers.image_tower(images))
    assert "feature_spaces" not in chosen


def test_several_recordings_share_the_local_channels_alone(make_toy_pairs):
    first, second = make_toy_pairs(n_train=60, n_validation=20, n_neurons=12), make_toy_pairs(60, 20, n_neurons=9)
    shapes = [RecordingShape.of(pairs[0]) for pairs in (first, second)]
    one = build_towers("default", SETTINGS, shapes[0], 0)
    other = build_towers("default", SETTINGS, shapes[1], 1, one)
    recordings = [RecordingPairs(*pairs, name) for pairs, name in ((first, "a"), (second, "b"))]
    PRESETS["default"].start([one, other], SETTINGS, recordings)
    assert not one.image_tower.taken()
    assert other.neural_tower.map_shape == one.image_tower.map_shape


def test_a_recording_joins_the_local_channels_of_one_that_took_further_spaces(without_fields, make_toy_pairs):
    settings = SETTINGS.model_copy(update={"spaces": ("pixels",), "fit": SETTINGS.fit.model_copy(update={"n_epochs": 1})})
    one = fit_recordings("default", settings, [RecordingPairs(*without_fields, "one")], seed=0)
    new = RecordingPairs(*make_toy_pairs(60, 20, n_neurons=9), "new")
    joined, _ = join_recording(one, new, seed=0)
    assert one.towers["one"].image_tower.taken()
    assert not joined.image_tower.taken()
    assert np.isfinite(accuracy(joined, new.validation))


def test_a_space_that_images_cannot_have_is_named_with_the_reason(make_toy_pairs):
    train, validation = make_toy_pairs(n_train=60, n_validation=20, n_neurons=10)
    _, chosen = fitted(train, validation, spaces=("pixels", "trained_network"))  # images of 24 x 32 pixels
    assert "at least 32 pixels" in chosen["absent_spaces"]
    _, without = fitted(train, validation, spaces=("pixels",))
    assert "absent_spaces" not in without


@pytest.mark.long
def test_beside_the_gain_of_the_trained_encoder_stands_that_of_permuted_weights():
    shape, n_images = (1, 32, 48), 100
    small = {"n_neurons": 12, "n_stimuli": n_images, "height": 32, "width": 48, "n_subunits": 30, "n_broad_factors": 4}
    recording = simulate("demo", seed=3, settings={**small, "n_spontaneous": 0, "n_repeats": 1})
    pairs = make_pairs(recording, np.arange(n_images), learn_standardiser(recording, np.arange(n_images)))
    layer = read_efficientnet(shape).look_up(torch.from_numpy(pairs.images), None)["block_7"].flatten(1)
    scores = torch.linalg.svd(layer - layer.mean(0), full_matrices=False)[0][:, :6].numpy()
    signal = scores @ generator_for(0, "weights").standard_normal((6, pairs.n_neurons))
    noise = generator_for(0, "noise").standard_normal(signal.shape)
    responses = (signal / signal.std(axis=0) + 0.3 * noise).astype(np.float32)[pairs.stimulus_index]

    _, chosen = fitted(replace(pairs, responses=responses), replace(pairs, responses=responses), spaces=("trained_network",))

    trained, permuted = (
        float(chosen[key].split(" %")[0]) for key in ("gain_of_trained_encoder", "the_same_with_permuted_weights")
    )
    assert trained > permuted + 5  # per cent of the variance
    assert chosen["lost_without"].startswith("local ")
    assert ", trained_network " in chosen["lost_without"]


@pytest.mark.parametrize("is_installed", [True, False])
def test_towers_are_read_where_another_choice_of_networks_is_installed(without_fields, tmp_path, monkeypatch, is_installed):
    train, validation = without_fields

    def install(is_there: bool) -> None:
        monkeypatch.setattr(TrainedNetwork, "explain_absence", lambda image_shape: "" if is_there else "Not installed.")

    monkeypatch.setattr(TrainedNetwork, "fit", lambda space, images, maps, responses: none_helps(space, images, responses))
    install(is_installed)
    towers, _ = fitted(train, validation, spaces=("pixels", "trained_network"))
    assert ("trained_network" in towers.image_tower.spaces) == is_installed
    save_towers(towers, tmp_path / "model.safetensors")
    install(not is_installed)
    loaded = load_towers(tmp_path / "model.safetensors")
    assert list(loaded.image_tower.spaces) == list(towers.image_tower.spaces)
    images = torch.from_numpy(validation.images)
    torch.testing.assert_close(loaded.image_tower(images), towers.image_tower(images), rtol=0, atol=0)


def none_helps(space, images, responses):
    """A fit that predicts nothing, of a space that keeps no feature."""
    nothing = torch.zeros(0, responses.shape[1])
    return SpaceFit(nothing.T, torch.zeros_like(responses), torch.zeros(len(images), 0))
