"""A study of several recordings: what it writes, that it goes on after a stop, and that test images stay unseen."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dina.artifacts import write_dataset
from dina.checks import DataError
from dina.data.pairs import make_pairs, make_task
from dina.data.splits import split_by_stimulus
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.retrieval.ranks import retrieve
from dina.signed_folder import verify_checksums
from dina.study import TogetherSettings, read_together_settings, run_study
from dina.study import together_and_alone as module
from dina.study.together_and_alone import Round, TogetherFits, draw_rounds, file_name_of
from dina.training.saved import load_towers
from dina.training.state import TrainingState

SESSION = {
    "n_neurons": 24,
    "n_stimuli": 130,
    "height": 16,
    "width": 32,
    "n_subunits": 40,
    "n_spontaneous": 0,
    "signal_to_noise": 2.0,
}
WORDS = ["preset=scratch", "sizes=[40, 5000]", "split.test_fraction=0.2", "evaluation.n_resamples=200", "n_folds=2"]
QUICK = ["fewest_updates=0", "dina.fit.n_epochs=2", "dina.pathway_width=8", "dina.rank=16", "dina.fit.batch_size=40"]


pytestmark = pytest.mark.long  # `tests/cli/test_several_recordings.py` studies two recordings every time


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [simulate("demo", settings=SESSION, mouse=mouse) for mouse in range(3)]


@pytest.fixture(scope="module")
def settings() -> TogetherSettings:
    return read_together_settings(overrides=[*WORDS, *QUICK])


@pytest.fixture(scope="module")
def run(recordings: list[Recording], settings: TogetherSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("joint") / "run"
    run_study(recordings, settings, out)
    return out


def test_the_directory_is_whole_and_its_summary_names_every_statistic(run: Path, recordings: list[Recording]) -> None:
    assert verify_checksums(run) == {}
    summary = json.loads((run / "summary.json").read_text())
    assert [each["name"] for each in summary["recordings"]] == [recording.name for recording in recordings]
    names = {finding["name"] for finding in summary["over_mice"]}
    assert names == {"top1_joint", "top1_alone", "gain_joint", "top1_shared_40", "top1_alone_40", "gain_shared_40"}
    gains = {gain["name"]: gain for gain in summary["gains"]}
    # three mice: no p-value below 2/8
    assert gains["gain_joint"]["p_over_mice"] >= 0.25
    assert gains["gain_joint"]["q_over_mice"] >= gains["gain_joint"]["p_over_mice"]
    components = {finding["name"]: finding for finding in summary["variance_components"]}
    assert components["variance_seed"]["reason"] == "There is one seed only."
    assert components["variance_recording"]["value"] is not None
    assert len(summary["alignment"]) == 5 * 3  # kinds of maps times pairs of recordings
    assert len({each["sha256"] for each in summary["splits"]}) == 2


def test_saved_towers_decode_as_the_study_says(run: Path, recordings: list[Recording]) -> None:
    split = json.loads((run / "split_fold0.json").read_text())
    for recording in recordings:
        (path,) = (run / "results").glob(f"joint_{file_name_of(recording.name)}_fold0_seed0.nc")
        towers = load_towers(run / "models" / f"{file_name_of(recording.name)}.safetensors")
        task = make_task(make_pairs(recording, np.array(split["test"]), towers.standardiser), "averaged")
        found = retrieve(towers.score(task.queries, task.gallery), task.target, "image_from_response")
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            np.testing.assert_array_equal(opened["rank"].to_numpy(), found.rank())


def test_a_gain_is_the_difference_of_what_stands_beside_it(run: Path) -> None:
    for recording in json.loads((run / "summary.json").read_text())["recordings"]:
        found = {finding["name"]: finding for finding in recording["findings"]}
        assert found["gain_joint"]["value"] == pytest.approx(found["top1_joint"]["value"] - found["top1_alone"]["value"])
        assert found["gain_joint"]["low"] <= found["gain_joint"]["value"] <= found["gain_joint"]["high"]
        assert found["top1_joint"]["null_low"] <= 1 / 26 <= found["top1_joint"]["null_high"]


def test_alone_and_with_few_images_updates_are_as_many_as_together(run: Path) -> None:
    rows = {(each["fit"], each["size"]): each for each in json.loads((run / "summary.json").read_text())["updates"]}
    # 91 training images of each recording in batches of at most 40, two epochs
    assert rows["together", None]["made"] == 3 * 3 * 2
    assert rows["alone", None]["made"] == 18
    # 40 images, 32 to learn from, are a single batch; two other recordings
    assert rows["joining", 40]["made"] == rows["alone", 40]["made"] == 2 * 3 * 2
    assert [each["n_fits"] for each in rows.values()] == [6] * 4
    assert all(each["kept"] <= each["made"] for each in rows.values())


def test_small_sets_get_the_fewest_updates_unless_weights_start_in_closed_form(settings: TogetherSettings) -> None:
    fits = TogetherFits([], settings.model_copy(update={"fewest_updates": 50}), "cpu", Path())
    longer = fits.preset_settings([30], [30, 30])
    assert longer.fit.n_epochs == 50
    closed = read_together_settings(overrides=["preset=default"])
    assert TogetherFits([], closed, "cpu", Path()).preset_settings([30], [30, 30]).fit.n_epochs == closed.dina["fit"]["n_epochs"]


def test_every_recording_alone_begins_with_weights_of_its_own(run: Path, recordings: list[Recording]) -> None:
    with xr.open_dataset(run / "results" / "alignment.nc", engine="h5netcdf") as opened:
        values = opened["alignment"].sel(kind="image_untrained").to_numpy()[np.triu_indices(3, 1)]
    # the same images through towers of the same weights would be exactly alike
    assert (values < 0.999).all()
    assert (values > 0.3).all()  # but of one architecture


def test_a_study_that_was_stopped_goes_on_and_ends_with_the_same_numbers(
    run: Path, recordings: list[Recording], settings: TogetherSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def stop_midway(fits: TogetherFits, recording: Recording, of: Round) -> None:
        calls.append(recording.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        alone(fits, recording, of)

    alone = TogetherFits.fit_alone
    monkeypatch.setattr(TogetherFits, "fit_alone", stop_midway)
    with pytest.raises(KeyboardInterrupt):
        run_study(recordings, settings, tmp_path / "run")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "run.partial" / "results").iterdir()}
    assert len(kept) == 5  # three together, one alone and joining
    monkeypatch.setattr(TogetherFits, "fit_alone", alone)
    run_study(recordings, settings, tmp_path / "run")
    assert (tmp_path / "run" / "summary.json").read_bytes() == (run / "summary.json").read_bytes()


@pytest.mark.parametrize("kind", ["joint", "alone", "joining"])
@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(600), None])
def test_a_damaged_part_of_an_unfinished_study_is_named(
    recordings: list[Recording], settings: TogetherSettings, tmp_path: Path, kind: str, content: bytes | None
) -> None:
    of = Round(0, 0, split_by_stimulus(recordings, np.arange(130), 0, 0.1, 0.2), 0)
    path = of.path(tmp_path, kind, recordings[1].name)
    write_dataset(path, xr.Dataset({"top2": ("query", np.zeros(3))}))  # readable, but not what is needed
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{re.escape(path.name)} .*Remove this file, and run the study again"):
        TogetherFits(recordings, settings, "cpu", tmp_path).read([of])


def test_a_fit_that_was_stopped_goes_on_from_its_checkpoint(
    run: Path, recordings: list[Recording], settings: TogetherSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[int] = []
    note_epoch, write = TrainingState.note_epoch, TrainingState.write

    def note_and_count(self: TrainingState, row: Any, select_by: Any) -> None:
        epochs.append(row.epoch)
        note_epoch(self, row, select_by)

    def write_and_stop_once(self: TrainingState, folder: Path) -> None:
        write(self, folder)
        if not (tmp_path / "stopped").exists():
            (tmp_path / "stopped").touch()
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingState, "note_epoch", note_and_count)
    monkeypatch.setattr(TrainingState, "write", write_and_stop_once)
    with pytest.raises(KeyboardInterrupt):
        run_study(recordings, settings, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run.partial" / "checkpoints").iterdir()] == ["together_fold0_seed0"]

    run_study(recordings, settings, tmp_path / "run")

    assert epochs[:3] == [0, 1, 2]  # the first epoch was not done again
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert (tmp_path / "run" / "summary.json").read_bytes() == (run / "summary.json").read_bytes()


def test_a_finished_study_is_read_and_not_computed_again(
    run: Path, recordings: list[Recording], settings: TogetherSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TogetherFits, "carry_out", None)
    summary = run_study(recordings, settings, run).summary
    assert summary == json.loads((run / "summary.json").read_text())
    with pytest.raises(DataError, match="n_folds: 2 there, 3 now"):
        run_study(recordings, settings.model_copy(update={"n_folds": 3}), run)
    renamed = [replace(recordings[0], animal="another"), *recordings[1:]]
    for others in (recordings[::-1], renamed):
        with pytest.raises(DataError, match="already holds a study \\(recordings: "):
            run_study(others, settings, run)


def test_a_fit_together_is_done_when_the_files_of_all_are_there(
    recordings: list[Recording], settings: TogetherSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "fit_recordings", stop)
    one = Round(0, 0, split_by_stimulus(recordings, np.arange(130), 0, 0.1, 0.2), 0)
    fits = TogetherFits(recordings, settings, "cpu", tmp_path)
    for number, recording in enumerate(reversed(recordings)):
        path = one.path(tmp_path, "joint", recording.name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
        if number < len(recordings) - 1:
            with pytest.raises(KeyboardInterrupt):
                fits.fit_together(one)
    fits.fit_together(one)


def test_images_alike_under_any_condition_stay_together_in_any_order_of_recordings(
    recordings: list[Recording], settings: TogetherSettings, tmp_path: Path
) -> None:
    images = np.random.default_rng(0).integers(0, 256, recordings[1].images.shape).astype(np.uint8)
    images[70] = images[3]
    other = replace(recordings[1], images=images, condition="white")
    splits = [draw_rounds(some, settings)[0].split for some in ([recordings[0], other], [other, recordings[0]])]
    assert splits[0].sha256() == splits[1].sha256()
    assert splits[0].group[70] == splits[0].group[3]


def test_nothing_of_the_test_images_reaches_a_tower(
    recordings: list[Recording], settings: TogetherSettings, tmp_path: Path
) -> None:
    split = split_by_stimulus(recordings, np.arange(130), 0, 0.1, 0.2)
    poisoned = []
    for recording in recordings:
        responses = recording.responses.copy()
        responses[np.isin(recording.stimulus_id, split.test)] = 1e6
        images = recording.images.copy()
        images[split.test] = 255
        poisoned.append(replace(recording, responses=responses, images=images))
    for folder, used in (("clean", recordings), ("poisoned", poisoned)):
        TogetherFits(used, settings, "cpu", tmp_path / folder).fit_together(Round(0, 0, split, 0))
    models = [sorted((tmp_path / folder / "models").glob("*.safetensors")) for folder in ("clean", "poisoned")]
    assert len(models[0]) == 3
    for clean, other in zip(*models, strict=True):
        assert clean.read_bytes() == other.read_bytes()


def test_larger_sets_of_few_images_are_counted_with_their_validation_images(run: Path, recordings: list[Recording]) -> None:
    paths = sorted((run / "results").glob("joining_*_fold0_seed0.nc"))
    assert len(paths) == 3
    with xr.open_dataset(paths[0], engine="h5netcdf") as opened:
        assert opened["size"].to_numpy().tolist() == [40]  # 5000 images are not there
        assert opened["top1_shared"].dims == ("size", "query")


def test_a_recording_joins_other_mice_only(
    recordings: list[Recording], settings: TogetherSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("M000001_day1", "M000001_day2", "M000002_day1")
    named = [replace(recording, name=name, animal=None) for recording, name in zip(recordings, names, strict=True)]
    joined = {}

    def note(fits: TogetherFits, recording: Recording, others: list[Recording], of: Round) -> None:
        joined[recording.name] = [other.name for other in others]

    monkeypatch.setattr(TogetherFits, "fit_together", lambda *arguments: None)
    monkeypatch.setattr(TogetherFits, "fit_alone", lambda *arguments: None)
    monkeypatch.setattr(TogetherFits, "fit_joining", note)
    monkeypatch.setattr(module, "compare_together_and_alone", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run_study(named, settings, tmp_path / "run")
    assert joined == {names[0]: [names[2]], names[1]: [names[2]], names[2]: list(names[:2])}
    stated = [replace(recording, animal=animal) for recording, animal in zip(named, ("one", "other", "one"), strict=True)]
    with pytest.raises(KeyboardInterrupt):
        run_study(stated, settings, tmp_path / "stated")
    assert joined == {names[0]: [names[1]], names[1]: [names[0], names[2]], names[2]: [names[1]]}


def test_one_recording_and_other_images_are_refused(
    recordings: list[Recording], settings: TogetherSettings, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="at least two recordings"):
        run_study(recordings[:1], settings, tmp_path / "run")
    foreign = replace(recordings[1], image_set="others")
    with pytest.raises(DataError, match="one image set"):
        run_study([recordings[0], foreign], settings, tmp_path / "run")
    with pytest.raises(DataError, match="Did you mean 'sizes'"):
        read_together_settings(overrides=["size=[20]"])
