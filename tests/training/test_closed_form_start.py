"""The closed-form start: decodes before any gradient, reads no test image, the same bytes every time, saved whole."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from dina import progress
from dina.data.pairs import learn_standardiser, make_pairs, make_task
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.randomness import generator_for
from dina.recordings.simulator import simulate
from dina.retrieval.noise_choice import COMPONENT_COUNTS, SHRINKAGES
from dina.retrieval.ranks import DIRECTIONS, retrieve
from dina.training.batches import RecordingPairs
from dina.training.presets import PRESETS, RecordingShape, build_towers
from dina.training.presets.default import DefaultSettings
from dina.training.saved import load_towers, save_towers
from dina.training.start import start_at_encoding_models

TRAIN, VALIDATION, TEST = np.arange(50), np.arange(50, 62), np.arange(62, 80)
SETTINGS = DefaultSettings(n_orientations=2, n_contrasts=3, order=1, widths=(1.0, 2.0), n_noise_components=20)


def parts_of(recording):
    standardiser = learn_standardiser(recording, TRAIN)
    return [make_pairs(recording, ids, standardiser) for ids in (TRAIN, VALIDATION, TEST)]


def started(train, validation, seed=0):
    towers = build_towers("default", SETTINGS, RecordingShape.of(train), seed)
    _, chosen = PRESETS["default"].start([towers], SETTINGS, [RecordingPairs(train, validation)])
    towers.standardiser = train.standardiser
    return towers, chosen


def bytes_of(towers):
    return b"".join(value.numpy().tobytes() for value in towers.state_dict().values())


@pytest.fixture(scope="module")
def start(small_session):
    train, validation, test = parts_of(small_session)
    return *started(train, validation), test


@pytest.fixture(scope="module")
def larger():
    """Start on 140 images of a session of 240, enough to decode the last 60."""
    small = {"n_neurons": 60, "n_stimuli": 240, "height": 24, "width": 48, "n_subunits": 40, "n_broad_factors": 10}
    recording = simulate("demo", seed=0, settings={**small, "n_spontaneous": 50})
    standardiser = learn_standardiser(recording, np.arange(140))
    train, validation, test = (make_pairs(recording, ids, standardiser) for ids in np.split(np.arange(240), [140, 180]))
    return *started(train, validation), test


@pytest.mark.parametrize("kind", ["single_trial", "averaged"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_it_is_above_chance_before_any_training(larger, kind, direction):
    towers, _, test = larger
    task = make_task(test, kind)
    found = retrieve(towers.score(task.queries, task.gallery), task.target, direction)
    # 60 images never seen: by chance the two-way accuracy has a standard deviation of 0.29 for each, 0.037 for all
    assert found.two_way().mean() > 0.5 + 4 * 0.037


def test_random_weights_are_at_chance(start):
    test = start[2]
    random = build_towers("default", SETTINGS, RecordingShape.of(test), 0)
    task = make_task(test, "averaged")
    found = retrieve(random.score(task.queries, task.gallery), task.target, DIRECTIONS[0])
    # 18 images: standard deviation 0.29 / sqrt(18) = 0.07
    assert abs(found.two_way().mean() - 0.5) < 3 * 0.07


def test_it_says_what_it_chose_among_what_it_was_given(start):
    chosen = start[1]
    assert chosen["window_width"] in SETTINGS.widths
    assert chosen["noise_components"] in COMPONENT_COUNTS
    assert chosen["noise_shrinkage"] in SHRINKAGES
    assert chosen["prior"] in ("ignorant", "learnt")
    assert chosen["follows_contrast"] in ("yes", "no")


def test_progress_counts_the_passes_over_receptive_fields(small_session, monkeypatch, caplog):
    train, validation, _ = parts_of(small_session)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with caplog.at_level(logging.INFO, "dina.progress"):
        started(train, validation)
    loops = dict.fromkeys(message.partition(":")[0] for message in caplog.messages)
    assert [name for name in loops if "receptive fields" in name] == [
        "Choosing the width of receptive fields, pass 1 of 2",
        "Choosing the width of receptive fields, pass 2 of 2",
        "Fitting receptive fields, pass 1 of 3",
        "Fitting receptive fields, pass 2 of 3",
        "Fitting receptive fields, pass 3 of 3",
    ]


def with_contrast(pairs, seed):
    """Give each image a contrast, with which its responses grow and saturate and every neuron's mean moves."""
    random = generator_for(seed, "contrast")
    contrast = np.exp(random.uniform(np.log(0.1), np.log(3), pairs.n_stimuli)).astype(np.float32)
    share = (contrast / (contrast + 0.5))[pairs.stimulus_index, None]
    means = np.linspace(-6, 6, pairs.n_neurons, dtype=np.float32) * share
    images = pairs.images * contrast[:, None, None, None]
    return replace(pairs, images=images, responses=(4 * pairs.responses * share + means).astype(np.float32))


@pytest.mark.long
def test_mean_responses_and_gain_follow_contrast_where_they_do(make_toy_pairs):
    train, validation = (with_contrast(pairs, number) for number, pairs in enumerate(make_toy_pairs(n_validation=60)))
    towers, chosen = started(train, validation)
    with torch.no_grad():
        evoked = towers.neural_tower.predict(towers.image_tower(torch.from_numpy(validation.images))).numpy()

    assert chosen["follows_contrast"] == "yes"
    gain = towers.image_tower.contrast.gain.detach()
    assert float(gain[-1]) > 1.2 * float(gain[0])
    # along the direction in which means move, 6 times the share of each image's contrast was planted
    direction = np.linspace(-1, 1, 60)
    moved = evoked @ direction / (direction @ direction)
    contrast = validation.images.std(axis=(1, 2, 3))
    planted = 6 * contrast / (contrast + 0.5)
    # three knots follow the curve, whose standard deviation is 1.3, to one or two tenths
    assert float(np.abs(moved - planted).mean()) < 0.3


def test_the_weights_are_those_of_the_candidate_that_was_chosen(start):
    towers, chosen, _ = start
    expected, gain = towers.image_tower.contrast.expected, towers.image_tower.contrast.gain.detach()
    follows = chosen["follows_contrast"] == "yes"
    assert bool((expected != 0).any()) == follows
    assert bool((gain != 1).any()) == follows
    assert float(towers.neural_tower.width) == pytest.approx(float(chosen["window_width"]))


@pytest.mark.parametrize("poison", [0, 255])
def test_test_images_and_trials_do_not_change_it_by_one_bit(small_session, start, poison):
    images, responses = small_session.images.copy(), small_session.responses.copy()
    images[TEST] = poison
    responses[np.isin(small_session.stimulus_id, TEST)] = 1e6
    train, validation, _ = parts_of(replace(small_session, images=images, responses=responses))
    assert bytes_of(started(train, validation)[0]) == bytes_of(start[0])


def test_the_same_seed_gives_the_same_bytes(small_session, start):
    train, validation, _ = parts_of(small_session)
    again, chosen = started(train, validation)
    assert bytes_of(again) == bytes_of(start[0])
    assert chosen == start[1]


def test_validation_pairs_choose_but_fit_nothing(small_session, start):
    train, validation, _ = parts_of(small_session)
    other = replace(validation, responses=validation.responses[::-1].copy())
    towers, _ = started(train, other)
    # whatever was chosen, statistics, centres and knots come from training pairs
    for name in ("image_tower.mean", "image_tower.deviation", "image_tower.contrast.knot", "neural_tower.centre"):
        assert torch.equal(towers.state_dict()[name], start[0].state_dict()[name])


def test_saving_and_loading_gives_the_same_scores(start, tmp_path):
    towers, _, test = start
    save_towers(towers, tmp_path / "towers.safetensors")
    loaded = load_towers(tmp_path / "towers.safetensors")
    task = make_task(test, "single_trial")
    np.testing.assert_array_equal(loaded.score(task.queries, task.gallery), towers.score(task.queries, task.gallery))
    assert bytes_of(loaded) == bytes_of(towers)


def test_a_tower_without_contrast_is_refused(small_session):
    train, validation, _ = parts_of(small_session)
    image_tower = GaborEnergy((1, 24, 48), n_contrasts=0)
    neural_tower = ProjectiveFields(60, image_tower.map_shape, 1, 4)
    with pytest.raises(ValueError, match="n_contrasts"):
        start_at_encoding_models(image_tower, [neural_tower], [RecordingPairs(train, validation)], (1.0,))
