"""Recipes with a frozen encoder, fitted with Gabor features: better than chance, at chance without signal, seeded, refusing."""

from functools import cache

import numpy as np
import pytest
import torch
import transformers

from dina.checks import DataError
from dina.data.pairs import make_task
from dina.models.towers.neural import Linear, LowRank, NeuronAttention, Perceptron
from dina.retrieval.ranks import DIRECTIONS, retrieve
from dina.statistics.intervals import wilson_interval
from dina.training.batches import RecordingPairs
from dina.training.dina_decoder import DinaDecoder
from dina.training.presets import PRESETS, RecordingShape, build_towers
from dina.training.saved import load_towers, save_towers
from dina.training.state import OptimiserSettings

RECIPES = [name for name, row in PRESETS.items() if "encoder" in row.settings_type.model_fields]
SHAPE = RecordingShape(n_channels=1, height=24, width=32, n_neurons=60)


def settings_of(preset, n_epochs=15, **told):
    settings_type = PRESETS[preset].settings_type
    fit = settings_type().fit.model_copy(update={"n_epochs": n_epochs, "batch_size": 60})
    return settings_type(**({"encoder": "gabor", "fit": fit, "rank": 64} | told))


def score(preset, pairs, seed=0, **told):
    train, validation = pairs
    decoder = DinaDecoder(preset, settings_of(preset, **told), seed).fit(train, validation)
    task = make_task(validation, "averaged")
    return decoder.score(task.queries, task.gallery), task.target


def test_the_three_recipes_are_in_the_table_of_presets():
    assert RECIPES == ["brainclip", "human_aligned", "vna"]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("preset", RECIPES)
def test_with_signal_a_recipe_is_far_better_than_chance_in_both_directions(preset, direction, make_toy_pairs):
    found = retrieve(*_clean(preset, make_toy_pairs), direction)
    # chance 1/60 and 0.5; as much as the contract of decoders asks of rivals
    assert found.top(1).mean() > 0.1
    assert found.two_way().mean() > 0.8


@cache
def _clean(preset, make_toy_pairs):
    return score(preset, make_toy_pairs())


@pytest.mark.parametrize("preset", RECIPES)
def test_without_signal_a_recipe_is_inside_its_chance_interval(preset, make_toy_pairs):
    # no epoch is chosen by these validation images, so that they can be read as test images
    found = retrieve(*_untouched(preset, make_toy_pairs(is_shuffled=True)), DIRECTIONS[0])
    low, high = wilson_interval(float(found.top(10).mean()), 60, 1 - 0.01 / len(RECIPES))
    assert low <= 10 / 60 <= high


def _untouched(preset, pairs):
    train, test = pairs
    decoder = DinaDecoder(preset, settings_of(preset, n_epochs=5), 0).fit(train, train)
    task = make_task(test, "averaged")
    return decoder.score(task.queries, task.gallery), task.target


@pytest.mark.parametrize("preset", RECIPES)
def test_the_same_seed_gives_the_same_scores_and_another_seed_others(preset, make_toy_pairs):
    pairs = make_toy_pairs(n_train=40, n_validation=20)
    first, again, other = (score(preset, pairs, seed, n_epochs=2)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


NEURAL = {"linear": Linear, "low_rank": LowRank, "perceptron": Perceptron, "attention": NeuronAttention}


@pytest.mark.parametrize("name", NEURAL)
def test_every_neural_tower_meets_the_frozen_encoder_and_improves_by_training(name, make_toy_pairs):
    pairs = make_toy_pairs(n_train=60, n_validation=20)
    settings = settings_of("brainclip", n_epochs=2, neural=name, dropout=0.0)
    slow = settings.fit.model_copy(update={"neural": OptimiserSettings(learning_rate=1e-4)})
    decoder = DinaDecoder("brainclip", settings.model_copy(update={"fit": slow}), 0).fit(*pairs)
    assert isinstance(decoder.towers.neural_tower, NEURAL[name])
    assert decoder.history.rows[2].train_loss < decoder.history.rows[1].train_loss


def test_the_image_side_without_a_head_does_not_learn_and_with_a_head_does(make_toy_pairs):
    train, validation = make_toy_pairs(n_train=60, n_validation=20)
    for preset, learns in (("brainclip", False), ("vna", True)):
        settings = settings_of(preset, n_epochs=1)
        towers = build_towers(preset, settings, SHAPE, 0)
        PRESETS[preset].start([towers], settings, [RecordingPairs(train, validation)])
        before = towers.encode_images(validation.images)
        decoder = DinaDecoder(preset, settings, 0).fit(train, train)
        assert np.allclose(decoder.towers.encode_images(validation.images), before) is not learns


def test_without_an_encoder_the_extra_and_the_setting_are_named():
    for preset in RECIPES:
        with pytest.raises(DataError, match=r"Set dina\.encoder .*'\.\[encoders\]'.* or to 'gabor'"):
            build_towers(preset, None, SHAPE, 0)


def test_a_random_network_is_the_same_control_for_every_seed_and_no_other_than_its_weights(make_toy_pairs):
    digests = [
        build_towers("brainclip", settings_of("brainclip", encoder="random"), SHAPE, seed).image_tower.digest for seed in (0, 1)
    ]
    assert torch.equal(*digests)
    gabor = build_towers("brainclip", settings_of("brainclip"), SHAPE, 0).image_tower.digest
    assert not torch.equal(digests[0], gabor)
    found = retrieve(*score("brainclip", make_toy_pairs(), encoder="random"), DIRECTIONS[0])
    # random filters keep luminance in its place, which is much of what these responses follow: better than 1/60
    assert found.top(10).mean() > 2 * 10 / 60


def test_gabor_filters_have_no_control_with_random_weights():
    with pytest.raises(DataError, match="Gabor filters have none"):
        build_towers("brainclip", settings_of("brainclip", has_random_weights=True), SHAPE, 0)


def test_a_saved_transformer_and_its_control_are_fitted_saved_and_found_again(make_toy_pairs, tmp_path):
    transformers.utils.logging.disable_progress_bar()
    tiny = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.ViTModel(transformers.ViTConfig(**tiny, image_size=32, patch_size=8)).save_pretrained(tmp_path / "vit")
    pairs = make_toy_pairs(n_train=60, n_validation=20)
    task = make_task(pairs[1], "averaged")
    scores = []
    for has_random_weights in (False, True):
        told = {"encoder": str(tmp_path / "vit"), "output": "map", "has_random_weights": has_random_weights}
        decoder = DinaDecoder("human_aligned", settings_of("human_aligned", n_epochs=1, **told), 0).fit(*pairs)
        save_towers(decoder.towers, tmp_path / "model.safetensors")
        scores.append(decoder.score(task.queries, task.gallery))
        loaded = load_towers(tmp_path / "model.safetensors")
        # features are computed in batches of other sizes: rounding
        np.testing.assert_allclose(loaded.score(task.queries, task.gallery), scores[-1], atol=1e-3)
    assert not np.allclose(*scores, atol=1e-2)
