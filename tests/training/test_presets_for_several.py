"""What every preset for several recordings must hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.checks import DataError
from dina.data.pairs import make_task
from dina.retrieval.ranks import retrieve
from dina.training.batches import RecordingPairs
from dina.training.dina_decoder import fit_recordings, join_recording
from dina.training.presets import SHARED_PRESETS
from dina.training.presets.default import DefaultSettings
from dina.training.saved import load_towers, save_towers

NEURONS = {"first": 40, "second": 32, "third": 36}
N_VALIDATION = 24


@pytest.fixture
def make_recordings(make_toy_pairs):
    def make(n_train=120, is_shuffled=False):
        """Three populations that see the same images; the last third of the images is for testing."""
        made = {}
        for name, n_neurons in NEURONS.items():
            train, rest = make_toy_pairs(n_train, 2 * N_VALIDATION, n_neurons, is_shuffled=is_shuffled)
            parts = [_part(rest, np.arange(N_VALIDATION)), _part(rest, np.arange(N_VALIDATION, 2 * N_VALIDATION))]
            made[name] = RecordingPairs(train, parts[0], name), parts[1]
        return made

    return make


def _part(pairs, images):
    keep = np.isin(pairs.stimulus_index, images)
    return replace(
        pairs,
        images=pairs.images[images],
        stimulus_id=pairs.stimulus_id[images],
        responses=pairs.responses[keep],
        stimulus_index=np.searchsorted(images, pairs.stimulus_index[keep]),
        n_presentations=pairs.n_presentations[keep],
    )


def quick(preset, n_epochs=8):
    settings = SHARED_PRESETS[preset].settings_type()
    if isinstance(settings, DefaultSettings):
        fit = settings.fit.model_copy(update={"n_epochs": 1})
        return settings.model_copy(update={"widths": (1.1,), "n_orientations": 2, "stride": 3, "fit": fit})
    fit = settings.fit.model_copy(update={"n_epochs": n_epochs, "batch_size": 40})
    return settings.model_copy(update={"pathway_width": 8, "fit": fit})


def top5(towers, test):
    task = make_task(test, "averaged")
    return retrieve(towers.score(task.queries, task.gallery), task.target, "image_from_response").top(5).mean()


@pytest.mark.parametrize("preset", SHARED_PRESETS)
def test_towers_decode_what_there_is_and_share_one_image_tower(preset, make_recordings):
    made = make_recordings()
    joint = fit_recordings(preset, quick(preset), [pairs for pairs, _ in made.values()], seed=0)
    found = [top5(joint.towers[name], test) for name, (_, test) in made.items()]
    # chance is 5/24 = 0.21; the mean of three recordings has a standard error below 0.05
    assert np.mean(found) > 0.4
    assert len({id(towers.image_tower) for towers in joint.towers.values()}) == 1
    assert joint.history.rows[0].epoch == 0


@pytest.mark.parametrize("preset", SHARED_PRESETS)
def test_responses_to_other_images_are_decoded_at_chance(preset, make_recordings):
    made = make_recordings(is_shuffled=True)
    joint = fit_recordings(preset, quick(preset, 3), [pairs for pairs, _ in made.values()], seed=0)
    found = np.mean([top5(joint.towers[name], test) for name, (_, test) in made.items()])
    # chance 0.21; three recordings of 24 queries: four standard errors
    assert abs(found - 5 / 24) < 4 * np.sqrt(0.21 * 0.79 / 72)


@pytest.mark.parametrize("preset", SHARED_PRESETS)
def test_a_new_recording_joins_and_leaves_what_is_shared_as_it_is(preset, make_recordings, tmp_path):
    made = make_recordings()
    (new, test), *others = made.values()
    joint = fit_recordings(preset, quick(preset), [pairs for pairs, _ in others], seed=0)
    before = {of: {name: tensor.clone() for name, tensor in each.state_dict().items()} for of, each in joint.towers.items()}
    towers, history = join_recording(joint, new, seed=0)
    assert top5(towers, test) > 0.3
    assert history.updates_per_epoch == (1 if preset == "default" else 3)  # 120 images, at most 40 in a batch but for default
    for of, each in joint.towers.items():
        assert all(torch.equal(tensor, before[of][name]) for name, tensor in each.state_dict().items())
    for name, tensor in joint.towers["second"].image_tower.state_dict().items():
        assert torch.equal(tensor, towers.image_tower.state_dict()[name])

    again, _ = join_recording(joint, new, seed=0)
    assert all(torch.equal(one, other) for one, other in zip(towers.state_dict().values(), again.state_dict().values()))
    save_towers(towers, tmp_path / "joined.safetensors")
    other_seed, _ = join_recording(joint, new, seed=1)
    read = load_towers(tmp_path / "joined.safetensors", other_seed)
    task = make_task(test, "averaged")
    np.testing.assert_array_equal(read.score(task.queries, task.gallery), towers.score(task.queries, task.gallery))


@pytest.mark.parametrize("preset", ["scratch", pytest.param("mindeye2", marks=pytest.mark.long)])
def test_the_same_seed_gives_the_same_weights(preset, make_recordings):
    pairs = [pairs for pairs, _ in make_recordings(60).values()]
    states = [fit_recordings(preset, quick(preset, 2), pairs, seed).towers["second"].state_dict() for seed in (3, 3, 4)]
    assert all(torch.equal(one, states[1][name]) for name, one in states[0].items())
    assert not all(torch.equal(one, states[2][name]) for name, one in states[0].items())


def test_reliability_weights_can_be_left_out(make_recordings):
    (new, _), *others = make_recordings(60).values()
    for is_weighted in (True, False):
        settings = quick("scratch", 0).model_copy(update={"is_reliability_weighted": is_weighted})
        joint = fit_recordings("scratch", settings, [pairs for pairs, _ in others], seed=0)
        towers = [*(joint.towers[pairs.name] for pairs, _ in others), join_recording(joint, new, seed=0)[0]]
        for each in towers:
            assert bool((each.neural_tower.gain == 1).all()) is not is_weighted


def test_the_trunk_is_one_and_adapters_are_not(make_recordings):
    pairs = [pairs for pairs, _ in make_recordings(60).values()]
    towers = fit_recordings("mindeye2", quick("mindeye2", 1), pairs, 0).towers
    first, second = (towers[name].neural_tower for name in ("first", "second"))
    assert first.trunk is second.trunk
    assert first.adapter.weight.shape != second.adapter.weight.shape


def test_images_of_several_sizes_and_equal_names_are_refused(make_recordings, make_toy_pairs):
    pairs = [pairs for pairs, _ in make_recordings(60).values()]
    small = RecordingPairs(*make_toy_pairs(60, 24, 30, size=(24, 24)), "small")
    with pytest.raises(DataError, match="images of one size"):
        fit_recordings("scratch", quick("scratch"), [pairs[0], small], 0)
    with pytest.raises(DataError, match="different names"):
        fit_recordings("scratch", quick("scratch"), [pairs[0], pairs[0]], 0)
    with pytest.raises(DataError, match="Did you mean 'mindeye2'"):
        fit_recordings("mindeye", None, pairs, 0)
