"""A finished run accepts its own recording whatever it is called by now, and says what differs where it is another one."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dina.artifacts import write_json
from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.study import StudySettings, read_settings, run_study
from dina.study.interpret import interpret_run
from dina.study.judged_decoders import compare_runs
from dina.study.run_directory import IDENTITY, Run

WORDS = ["preset=scratch", "dina.fit.n_epochs=1", "evaluation.n_resamples=100", 'decoders=["dina"]']


@pytest.fixture(scope="module")
def settings() -> StudySettings:
    return read_settings(overrides=WORDS)


@pytest.fixture(scope="module")
def mouse(small_session: Recording) -> Recording:
    """A recording as arrays give it: neither condition nor image set was stated."""
    return replace(small_session, name="monday", image_set="", condition=None, animal=None, truth=None)


@pytest.fixture(scope="module")
def finished(mouse: Recording, settings: StudySettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("studied") / "run"
    run_study(mouse, settings, run)
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def _moved(recording: Recording) -> Recording:
    return replace(recording, name="archive", image_set="")


def _of_version_0_2_0(run: Path, recording: Recording, condition: str = "natural", image_set: str = "monday") -> None:
    """Write the identity of a run as 0.2.0 did: one checksum, of which condition and image set were a part."""
    digest = hashlib.sha256()
    for array in (recording.images, recording.stimulus_id, recording.responses, recording.n_presentations):
        digest.update(np.ascontiguousarray(array).data)
    digest.update(repr((condition, image_set, recording.mid_grey, recording.contrast_scale)).encode())
    opened = Run(run)
    facts = {**opened.summary["recording"], "condition": condition}
    with opened.files.writing() as place:
        write_json(place(IDENTITY), {**opened.identity, "recording": digest.hexdigest()})
    opened.update_summary({"recording": facts})


def _refuse_work(*arguments: object) -> None:
    raise AssertionError("a finished decoder was fitted again")


@pytest.mark.parametrize("is_old", [False, True])
def test_a_recording_that_was_renamed_is_the_one_that_was_studied(
    run: Path, mouse: Recording, settings: StudySettings, monkeypatch: pytest.MonkeyPatch, *, is_old: bool
) -> None:
    if is_old:
        _of_version_0_2_0(run, mouse)
    monkeypatch.setattr("dina.study.decoders.carry_out_dina", _refuse_work)
    for same in (
        mouse,
        _moved(mouse),
        replace(mouse, condition="photographs", animal="vole"),
        replace(mouse, image_set="shared"),
    ):
        assert "neuron_profiles" in interpret_run(run, same, ["neuron_profiles"], force=True)
        assert run_study(same, settings, run).summary["recording"]["name"] == "monday"
    known = run_study(replace(mouse, condition="clouds"), settings, run).summary["recording"]["condition"]
    assert known == ("natural" if is_old else "clouds")  # where it is a part of the checksum it stays


def test_runs_of_a_recording_before_and_after_it_was_renamed_are_compared(
    run: Path, mouse: Recording, settings: StudySettings, tmp_path: Path
) -> None:
    run_study(_moved(mouse), settings, tmp_path / "again")
    assert len(set(compare_runs([run, tmp_path / "again"])["task"].to_numpy())) == 1
    _of_version_0_2_0(run, mouse)
    with pytest.raises(
        DataError, match=r"again has a recording written down by another version of dina \(archive\), perhaps the same, than"
    ):
        compare_runs([run, tmp_path / "again"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (lambda one: {"responses": one.responses * 2}, "they differ in responses alone"),
        (lambda one: {"contrast_scale": 60.0}, "they differ in contrast scale alone"),
        (
            lambda one: {"stimulus_id": one.stimulus_id[::-1].copy(), "images": 255 - one.images},
            "they differ in images and stimulus ids",
        ),
    ],
)
def test_another_recording_is_refused_with_the_parts_that_differ(run: Path, mouse: Recording, changes, said: str) -> None:
    other = replace(mouse, **changes(mouse))
    with pytest.raises(DataError, match=rf"monday is not the recording that .* studied: {said}\. Give the one that was studied"):
        interpret_run(run, other)
    _of_version_0_2_0(run, mouse)
    with pytest.raises(DataError, match="studied: a run of an earlier version does not say which part differs"):
        interpret_run(run, other)


def test_another_recording_at_the_place_of_a_run_is_refused_with_the_parts_that_differ(
    run: Path, mouse: Recording, settings: StudySettings
) -> None:
    with pytest.raises(DataError, match=r"already holds a study \(recording\.responses: \w+… there, \w+… now\)"):
        run_study(replace(mouse, responses=mouse.responses * 2), settings, run)


def test_of_a_simulated_session_threads_and_versions_are_named(
    small_session: Recording, settings: StudySettings, tmp_path: Path
) -> None:
    run_study(small_session, settings, tmp_path / "run", n_threads=1)
    other = replace(small_session, responses=small_session.responses * np.float32(1.000001))
    with pytest.raises(
        DataError, match=r"they differ in responses alone\. Last digits of simulated sessions follow .* --threads 1, dina .*torch"
    ):
        interpret_run(tmp_path / "run", other)
