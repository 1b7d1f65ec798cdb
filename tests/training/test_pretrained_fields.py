"""An image tower that other recordings have trained: its file, its use, and what is refused."""

import numpy as np
import pytest
import torch

from dina.checks import DataError
from dina.data.pairs import make_task
from dina.recordings.simulator import simulate
from dina.retrieval.ranks import retrieve
from dina.study.prepared_recordings import SplitPairs, draw_splits
from dina.study.pretraining import pretrain
from dina.study.settings import read_settings
from dina.training.batches import RecordingPairs
from dina.training.dina_decoder import DinaDecoder, fit_recordings
from dina.training.presets import RecordingShape
from dina.training.presets.pretrained_fields import SHIPPED, PretrainedFields, PretrainedFieldsSettings, ScaledFields
from dina.training.pretrained_tower import PretrainedTower
from dina.training.saved import load_towers, save_towers
from dina.weights import write_weights

SMALL = {"n_neurons": 30, "n_stimuli": 60, "height": 16, "width": 24, "signal_to_noise": 3.0}
SHORT = ["dina.fit.n_epochs=6", "dina.map_channels=8"]


def settings(**changes):
    fit = PretrainedFieldsSettings().fit.model_copy(update={"n_epochs": 2})
    return PretrainedFieldsSettings(fit=fit, **changes)


@pytest.fixture(scope="module")
def tower_file(tmp_path_factory):
    """An image tower that two small simulated sessions have trained for a few epochs."""
    path = tmp_path_factory.mktemp("pretrained") / "tower.safetensors"
    sessions = [simulate("demo", seed, settings=SMALL) for seed in (0, 1)]
    pretrain(sessions, path, read_settings(overrides=SHORT, preset=ScaledFields()))
    return path


def test_the_image_tower_stays_as_it_was_pretrained_down_to_its_batch_statistics(make_toy_pairs, tower_file):
    train, validation = make_toy_pairs(40, 20)
    decoder = DinaDecoder("pretrained_fields", settings(image_tower=str(tower_file), map_channels=8), 0).fit(train, validation)
    kept = PretrainedTower.read(tower_file).weights
    assert decoder.history.n_epochs_done == 2
    assert decoder.chosen["pretrained_on"].startswith("2 recordings, ")
    for name, tensor in decoder.towers.image_tower.state_dict().items():
        assert torch.equal(tensor, kept[name]), name


def test_pretraining_changes_the_tower_and_its_batch_statistics(tower_file):
    kept = PretrainedTower.read(tower_file)
    assert [name.rsplit("-", 1)[1] for name in kept.recordings] == ["seed0", "seed1"]
    assert any(float(tensor.abs().sum()) > 0 for name, tensor in kept.weights.items() if name.endswith("running_mean"))


def test_the_shipped_tower_helps_where_images_are_few():
    """Beside the same preset with an image tower of random weights, which stays random; 80 images teach, 200 are tested."""
    recording = simulate(
        "demo", 0, settings={"n_neurons": 150, "n_stimuli": 300, "height": 34, "width": 46, "signal_to_noise": 1.0}
    )
    order = np.random.default_rng(0).permutation(300)
    parts = SplitPairs.of(recording, *(np.sort(ids) for ids in np.split(order, [80, 100])))
    task = make_task(parts.test, "averaged")
    fit = PretrainedFieldsSettings().fit.model_copy(update={"n_epochs": 40, "patience": 40})
    found = {}
    for name, preset in {"shipped": PretrainedFields(), "random": _Frozen()}.items():
        decoder = DinaDecoder(preset, PretrainedFieldsSettings(fit=fit), 0).fit(parts.train, parts.validation)
        found[name] = retrieve(decoder.score(task.queries, task.gallery), task.target, "image_from_response").top(5).mean()
    assert found["shipped"] > found["random"] + 0.1, found


def test_a_recording_with_images_that_taught_the_tower_is_refused(make_toy_pairs, tower_file):
    train, validation = make_toy_pairs(40, 20)
    seen = PretrainedTower.of(ScaledFields().build(settings(), RecordingShape.of(train)).image_tower, [validation], ["m1"], 1)
    seen.check_unseen([train])
    with pytest.raises(DataError, match="trained on 20 of the 60 images"):
        seen.check_unseen([train, validation])
    own = simulate("demo", 0, settings=SMALL)
    with pytest.raises(DataError, match="must not have been trained on images of this recording"):
        DinaDecoder("pretrained_fields", settings(image_tower=str(tower_file), map_channels=8), 0).fit(*_pairs(own))


def test_other_numbers_of_channels_are_refused(make_toy_pairs, tower_file):
    train, validation = make_toy_pairs(40, 20)
    with pytest.raises(DataError, match=r"set dina\.map_channels"):
        DinaDecoder("pretrained_fields", settings(image_tower=str(tower_file)), 0).fit(train, validation)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"kind": "image tower", "recordings": "m1", "n_updates": 3},
        {"kind": "image tower", "recordings": ["m1"], "n_updates": "3"},
        {"kind": "towers", "recordings": ["m1"], "n_updates": 3},
    ],
)
def test_a_file_that_holds_something_else_is_refused(content, tmp_path):
    write_weights(tmp_path / "x.safetensors", {"images": torch.zeros(2, 8, dtype=torch.uint8)}, content)
    with pytest.raises(DataError, match="must hold an image tower that `dina pretrain` wrote"):
        PretrainedTower.read(tmp_path / "x.safetensors")


def test_saved_towers_need_no_file_of_the_image_tower(make_toy_pairs, tower_file, tmp_path):
    train, validation = make_toy_pairs(40, 20)
    decoder = DinaDecoder("pretrained_fields", settings(image_tower=str(tower_file), map_channels=8), 0).fit(train, validation)
    save_towers(decoder.towers, tmp_path / "m.safetensors")
    moved = tower_file.rename(tower_file.with_name("moved.safetensors"))
    try:
        again = load_towers(tmp_path / "m.safetensors")
    finally:
        moved.rename(tower_file)
    before = decoder.towers.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in again.state_dict().items())
    np.testing.assert_allclose(again.encode_images(validation.images), decoder.towers.encode_images(validation.images), atol=1e-4)


def test_a_home_folder_of_nobody_is_a_file_that_is_missing(make_toy_pairs):
    train, validation = make_toy_pairs(40, 20)
    with pytest.raises(DataError, match=r"~tower\.safetensors does not exist"):
        DinaDecoder("pretrained_fields", settings(image_tower="~tower.safetensors"), 0).fit(train, validation)


def test_nothing_that_is_there_is_replaced_unasked(tmp_path):
    taken = tmp_path / "tower.safetensors"
    taken.write_bytes(b"mine")
    with pytest.raises(DataError, match="is there already"):
        pretrain([], taken)
    assert taken.read_bytes() == b"mine"
    with pytest.raises(DataError, match=r"as a \.safetensors file"):
        pretrain([], tmp_path / "tower.pt")


def test_random_weights_are_never_written(tmp_path):
    overrides = ["dina.fit.n_epochs=0", "dina.map_channels=8"]
    with pytest.raises(DataError, match="prefer to random ones; it found none in 0 epochs"):
        pretrain(
            [simulate("demo", 0, settings=SMALL)],
            tmp_path / "x.safetensors",
            read_settings(overrides=overrides, preset=ScaledFields()),
        )
    assert not list(tmp_path.glob("*.safetensors"))


def test_several_recordings_share_the_image_tower_while_it_is_pretrained(make_toy_pairs):
    members = [RecordingPairs(*make_toy_pairs(40, 20, n_neurons=n), f"m{n}") for n in (20, 30)]
    found = fit_recordings(ScaledFields(), settings(map_channels=8), members, 0)
    first, second = found.towers.values()
    assert first.image_tower is second.image_tower
    assert found.history.updates()["n_updates"] == 4


def test_the_shipped_file_names_sessions_that_no_study_uses():
    shipped = PretrainedTower.read(SHIPPED)
    assert SHIPPED.stat().st_size < 5 * 2**20
    seeds = [int(name.rpartition("seed")[2]) for name in shipped.recordings]
    assert len(seeds) == len(set(seeds)) > 1
    assert min(seeds) > 1000


class _Frozen(ScaledFields):
    is_shared = False

    def join(self, towers, settings, prior, recording):
        towers.image_tower.requires_grad_(False)
        return super().join(towers, settings, prior, recording)


def _pairs(recording):
    split = draw_splits([recording], read_settings().split, [0])[0]
    parts = SplitPairs.of(recording, split.train, split.validation, split.test)
    return parts.train, parts.validation
