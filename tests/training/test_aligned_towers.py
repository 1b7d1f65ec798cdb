"""Two towers together: encode, score, save and load."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.artifacts import sha256_of
from dina.checks import DataError
from dina.data.pairs import Gallery, Queries, make_task
from dina.data.response_transform import ResponseTransform
from dina.data.standardise import Standardiser
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.neural.feedforward import LowRank
from dina.training import aligned_towers
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import CosineComparison
from dina.training.presets import PRESETS, RecordingShape, build_towers
from dina.training.saved import load_towers, save_towers
from dina.weights import read_weights, write_weights


def settings_of(preset):
    """What the preset prescribes; recipes that need a frozen encoder get the one that needs no download."""
    settings_type = PRESETS[preset].settings_type
    return settings_type(encoder="gabor") if "encoder" in settings_type.model_fields else settings_type()


SHAPE = RecordingShape(n_channels=1, height=24, width=32, n_neurons=60)


@pytest.mark.parametrize("preset", PRESETS)
def test_scores_are_query_by_gallery_and_finite(preset, make_toy_pairs):
    _, validation = make_toy_pairs(n_train=4, n_validation=5)
    task = make_task(validation, "single_trial")
    scores = build_towers(preset, settings_of(preset), SHAPE, 0).score(task.queries, task.gallery)
    assert scores.shape == (10, 5)
    assert np.isfinite(scores).all()


def test_scoring_in_small_chunks_changes_nothing(make_toy_pairs, monkeypatch):
    _, validation = make_toy_pairs(n_train=4, n_validation=9)
    task = make_task(validation, "single_trial")
    towers = build_towers("scratch", None, SHAPE, 0)
    expected = towers.score(task.queries, task.gallery)
    monkeypatch.setattr(aligned_towers, "IMAGES_AT_ONCE", 2)
    monkeypatch.setattr(aligned_towers, "RESPONSES_AT_ONCE", 4)
    # rows alone and in a batch differ by single-precision rounding
    np.testing.assert_allclose(towers.score(task.queries, task.gallery), expected, atol=1e-4)


def test_encoding_gives_numpy_maps_of_one_shape_on_both_sides(make_toy_pairs):
    _, validation = make_toy_pairs(n_train=4, n_validation=3)
    towers = build_towers("scratch", None, SHAPE, 0)
    of_images, of_responses = towers.encode_images(validation.images), towers.encode_responses(validation.averaged())
    assert of_images.shape == of_responses.shape == (3, *towers.image_tower.map_shape)
    assert np.abs(towers.encode_images(validation.images, masked=("local",)) - of_images).max() > 0


def test_towers_of_different_maps_do_not_meet():
    with pytest.raises(DataError, match=r"one \(channels, height, width\); the image tower gives .* \(1, 2, 3\)"):
        AlignedTowers(TwoPathway((1, 24, 32)), LowRank(5, (1, 2, 3)), CosineComparison())


def test_scores_that_are_not_finite_are_an_error(make_toy_pairs):
    _, validation = make_toy_pairs(n_train=4, n_validation=3)
    towers = build_towers("scratch", None, SHAPE, 0)
    queries = Queries(np.full((2, 60), np.nan, dtype=np.float32), np.ones(2))
    with pytest.raises(DataError, match="Scores must be finite; 6 of 6 are not"):
        towers.score(queries, Gallery(validation.images, validation.stimulus_id))


@pytest.mark.parametrize("preset", [pytest.param(name, marks=[pytest.mark.long] * (name == "default")) for name in PRESETS])
def test_saved_towers_come_back_from_the_file_alone(preset, make_toy_pairs, tmp_path):
    train, validation = make_toy_pairs(n_train=8, n_validation=5)
    towers = build_towers(preset, settings_of(preset), SHAPE, 3)
    row = PRESETS[preset]
    row.start([towers], settings_of(preset), [RecordingPairs(train, validation)])
    towers.standardiser = train.standardiser
    save_towers(towers, tmp_path / "model.safetensors")

    loaded = load_towers(tmp_path / "model.safetensors")

    task = make_task(validation, "averaged")
    np.testing.assert_array_equal(loaded.score(task.queries, task.gallery), towers.score(task.queries, task.gallery))
    loaded.check_pairs(validation)
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["recipe"]["preset"] == preset
    assert described["weights_sha256"] == sha256_of(tmp_path / "model.safetensors")


def test_towers_of_ones_own_are_saved_and_need_to_be_passed_to_load(tmp_path):
    def build(seed):
        torch.manual_seed(seed)
        tower = TwoPathway((1, 24, 32))
        return AlignedTowers(tower, LowRank(5, tower.map_shape), CosineComparison())

    first = build(0)
    save_towers(first, tmp_path / "own.safetensors")
    with pytest.raises(DataError, match="towers of no preset; pass towers="):
        load_towers(tmp_path / "own.safetensors")
    loaded = load_towers(tmp_path / "own.safetensors", towers=build(1))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), loaded.state_dict().values(), strict=True))


def test_weights_of_other_neurons_are_refused(make_toy_pairs, tmp_path):
    train, validation = make_toy_pairs(n_train=8, n_validation=5)
    towers = build_towers("scratch", None, SHAPE, 3)
    towers.standardiser = train.standardiser
    save_towers(towers, tmp_path / "model.safetensors")

    other = build_towers("scratch", None, replace(SHAPE, n_neurons=59), 3)
    with pytest.raises(DataError, match="was trained on 60 neurons; these towers take 59"):
        load_towers(tmp_path / "model.safetensors", towers=other)
    swapped = Standardiser(train.standardiser.mean[::-1].copy(), train.standardiser.deviation)
    with pytest.raises(DataError, match=r"trained on 60 neurons \(hash [0-9a-f]{8}\); the data have 60 \(hash"):
        towers.check_pairs(replace(validation, standardiser=swapped))


@pytest.mark.parametrize("is_per_neuron", [False, True])
def test_the_transform_of_the_responses_is_saved_with_the_towers(is_per_neuron, make_toy_pairs, tmp_path):
    train, validation = make_toy_pairs(n_train=8, n_validation=5)
    one = np.float32(0.5) if not is_per_neuron else np.linspace(0.3, 1, 60, dtype=np.float32)
    transform = ResponseTransform("mine", np.array(one), np.array(one * 2), mean_root=1.5)
    towers = build_towers("scratch", None, SHAPE, 3)
    towers.standardiser = replace(train.standardiser, transform=transform)
    save_towers(towers, tmp_path / "model.safetensors")

    found = load_towers(tmp_path / "model.safetensors")

    assert found.standardiser.transform.name == "mine"
    assert found.standardiser.transform.mean_root == 1.5
    np.testing.assert_array_equal(found.standardiser.transform.power, transform.power)
    np.testing.assert_array_equal(found.standardiser.transform.offset, transform.offset)
    found.check_pairs(replace(validation, standardiser=towers.standardiser))
    with pytest.raises(DataError, match=r"transformed in another way \(mine and identity\)"):
        found.check_pairs(validation)


def test_files_without_a_transform_read_responses_as_they_are(make_toy_pairs, tmp_path):
    train, validation = make_toy_pairs(n_train=8, n_validation=5)
    towers = build_towers("scratch", None, SHAPE, 3)
    towers.standardiser = train.standardiser
    save_towers(towers, tmp_path / "model.safetensors")
    tensors, content = read_weights(tmp_path / "model.safetensors")
    old = {name: tensor for name, tensor in tensors.items() if name not in ("standardiser.power", "standardiser.offset")}
    write_weights(tmp_path / "old.safetensors", old, {key: v for key, v in content.items() if key != "response_transform"})

    found = load_towers(tmp_path / "old.safetensors")

    assert found.standardiser.transform.is_identity
    found.check_pairs(validation)


def test_a_recipe_from_another_version_is_named(tmp_path):
    towers = build_towers("scratch", None, SHAPE, 3)
    towers.recipe["settings"]["colour"] = "blue"
    save_towers(towers, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="settings of preset 'scratch' in this file are not those of this version"):
        load_towers(tmp_path / "model.safetensors")
