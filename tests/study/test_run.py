"""A study is the same from run to run, goes on after a kill, and says what cannot be computed."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dina.artifacts import sha256_of
from dina.checks import DataError
from dina.models.towers.image.efficientnet import encoder_identity
from dina.recordings.recording import Recording
from dina.signed_folder import verify_checksums
from dina.study import StudySettings, read_settings, run_study

DECODERS = ["dina", "ridge", "encoding_global", "nearest_repeat_zscored", "nearest_repeat_raw", "ideal_observer"]
WORDS = ["preset=scratch", "dina.fit.n_epochs=6", "evaluation.n_resamples=200", f"decoders={json.dumps(DECODERS)}"]
MAY_DIFFER = {"timings.json", "log.txt", "SHA256SUMS"}


def checksums(run: Path) -> dict[str, str]:
    files = (path for path in run.rglob("*") if path.is_file())
    return {str(path.relative_to(run)): sha256_of(path) for path in files if path.name not in MAY_DIFFER}


def rows_of(summary: dict[str, object], decoder: str, queries: str) -> list[dict[str, object]]:
    rows = summary["decoding"]
    assert isinstance(rows, list)
    return [row for row in rows if row["decoder"] == decoder and row["queries"] == queries]


@pytest.fixture(scope="module")
def settings() -> StudySettings:
    return read_settings(overrides=WORDS)


@pytest.fixture(scope="module")
def finished(small_session: Recording, settings: StudySettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("study") / "run"
    run_study(small_session, settings, run)
    return run


def test_a_study_leaves_everything_that_its_readers_need(finished: Path) -> None:
    names = {"study.toml", "environment.json", "split.json", "summary.json", "history.csv", "model.safetensors", "model.json"}
    results = {
        f"results/{name}.nc"
        for name in ("quality", "gallery", "gallery_size", "comparisons", "retrieval_dina", "retrieval_ridge")
    }
    assert names | results | {"timings.json", "log.txt", "SHA256SUMS"} <= {
        str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()
    }
    assert not (finished / "checkpoints").exists()
    assert verify_checksums(finished) == {}


def test_the_summary_has_the_promised_keys(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert {"dina_version", "recording", "split", "decoding"} <= summary.keys()
    assert {"name", "n_neurons", "n_stimuli", "n_repeats"} <= summary["recording"].keys()
    # 80 images: 80 % / 10 % / 10 %
    assert {key: summary["split"][key] for key in ("n_train", "n_validation", "n_test", "seed")} == {
        "n_train": 64,
        "n_validation": 8,
        "n_test": 8,
        "seed": 0,
    }
    promised = {"decoder", "preset", "queries", "direction", "n_gallery", "top1", "top1_low", "top1_high", "top5", "top10"}
    for row in summary["decoding"]:
        assert promised | {"median_rank", "chance_top1", "p_value", "reason"} <= row.keys()
        assert (row["top1"] is None) <= bool(row["reason"])
    (row, _) = rows_of(summary, "dina", "averaged")
    assert (row["preset"], row["epochs_done"], row["epochs_budget"], row["chance_top1"]) == ("scratch", 6, 6, 1 / 8)


def test_the_same_seed_gives_the_same_bytes(
    finished: Path, small_session: Recording, settings: StudySettings, tmp_path: Path
) -> None:
    run_study(small_session, settings, tmp_path / "again")
    assert checksums(tmp_path / "again") == checksums(finished)


def test_a_finished_study_is_read_and_not_computed_again(
    finished: Path, small_session: Recording, settings: StudySettings
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    result = run_study(small_session, settings, finished)
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before
    assert result.summary == json.loads((finished / "summary.json").read_text())
    rows = {(row["decoder"], row["queries"], row["direction"]): row["top1"] for row in result.summary["decoding"]}
    for one in result.results:
        assert rows[one.decoder, one.queries, one.direction] == one.top1


def test_a_finished_run_that_was_tampered_with_is_refused(
    finished: Path, small_session: Recording, settings: StudySettings, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    summary = tmp_path / "run" / "summary.json"
    summary.write_text(summary.read_text().replace('"n_test": 8', '"n_test": 9'))
    with pytest.raises(DataError, match=r"run/summary\.json must be as it was written; .* repeat the study with --force"):
        run_study(small_session, settings, tmp_path / "run")


def test_a_study_killed_while_it_trains_goes_on_and_ends_with_the_same_bytes(
    finished: Path, small_session: Recording, settings: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, partial = tmp_path / "run", tmp_path / "run.partial"
    small_session.write(tmp_path / "session.nc")
    code = (
        "import sys; from pathlib import Path; from dina.recordings import read; from dina.study import read_settings, run_study\n"
        "run_study(read(Path(sys.argv[1])), read_settings(overrides=sys.argv[3:]), Path(sys.argv[2]), n_threads=1)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "session.nc"), str(run), *WORDS]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as child:
        while not (partial / "checkpoints/checkpoint_000001.safetensors").exists():
            assert child.poll() is None, child.stderr.read() if child.stderr else ""
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
    assert not (partial / "results/retrieval_dina.nc").exists(), "training ended before it could be killed"

    def stop(scores: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("dina.study.run.judge_folds", lambda *arguments: stop(arguments))
        run_study(small_session, settings, run)
    assert (partial / "results/retrieval_dina.nc").is_file()

    def refuse(*arguments: object) -> None:
        raise AssertionError("a finished decoder was fitted again")

    monkeypatch.setattr("dina.study.decoders.fit_and_score", refuse)
    monkeypatch.setattr("dina.study.decoders.carry_out_dina", refuse)
    run_study(small_session, settings, run)
    assert checksums(run) == checksums(finished)


def test_no_study_goes_on_where_the_trained_encoder_is_another(
    small_session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, settings = tmp_path / "run", read_settings(overrides=['decoders=["nearest_repeat_raw"]', "evaluation.n_resamples=100"])

    def have(version: str | None) -> None:
        there = replace(encoder_identity(), version=version)
        monkeypatch.setattr("dina.study.environment.encoder_identity", lambda: there)

    have("0.1.0")
    run_study(small_session, settings, run)
    have(None)
    changed = r"environment\.trained_network: efficientnet-lite0 0\.1\.0 there, not installed now"
    with pytest.raises(DataError, match=rf"already holds a study \({changed}\)"):
        run_study(small_session, settings, run)
    run.rename(tmp_path / "run.partial")  # as if it had been stopped
    with pytest.raises(DataError, match=rf"unfinished study that differs in {changed}"):
        run_study(small_session, settings, run)
    have("0.1.0")
    run_study(small_session, settings, run)
    assert run.is_dir()


def test_a_change_of_the_test_trials_changes_nothing_that_was_learnt(
    finished: Path, small_session: Recording, settings: StudySettings, tmp_path: Path
) -> None:
    test = json.loads((finished / "split.json").read_text())["test"]
    responses = small_session.responses.copy()
    responses[np.isin(small_session.stimulus_id, test)] = 1e6
    run_study(replace(small_session, responses=responses), settings, tmp_path / "poisoned")
    for name in ("model.safetensors", "history.csv", "split.json"):
        assert sha256_of(tmp_path / "poisoned" / name) == sha256_of(finished / name)


def test_what_cannot_be_computed_is_null_with_a_reason(small_session: Recording, settings: StudySettings) -> None:
    order = np.argsort(small_session.stimulus_id, kind="stable")
    averages = small_session.responses[order].reshape(80, 2, -1).mean(axis=1)[:40]
    recording = Recording(
        name="averages of forty images",
        images=small_session.images[:40],
        stimulus_id=np.arange(40),
        responses=averages,
        n_presentations=np.full(40, 2),
    )
    summary = run_study(recording, settings).summary
    assert rows_of(summary, "ideal_observer", "averaged") == []
    for decoder, queries, reason in (
        ("dina", "averaged", "needs at least 50 images to train on"),
        ("ridge", "single_trial", "stores averages only"),
        ("nearest_repeat_raw", "single_trial", "two images with two trials"),
        ("nearest_repeat_raw", "averaged", "Each image has one response"),
    ):
        for row in rows_of(summary, decoder, queries):
            assert row["top1"] is None
            assert reason in str(row["reason"])
    assert summary["quality"]["median_reliability"] is None
    assert rows_of(summary, "ridge", "averaged")[0]["top1"] is not None


def test_images_in_the_wrong_order_raise_a_warning(small_session: Recording, settings: StudySettings) -> None:
    assert small_session.truth is not None
    truth_mean = np.repeat(small_session.truth.mean[:, None], 2, axis=1).reshape(160, -1)
    clean = replace(
        small_session,
        stimulus_id=np.repeat(np.arange(80), 2),
        responses=truth_mean + np.random.default_rng(0).normal(scale=1e-3, size=truth_mean.shape).astype(np.float32),
        images=small_session.images[np.random.default_rng(1).permutation(80)],
    )
    quick = read_settings(overrides=[*WORDS, 'decoders=["ridge", "nearest_repeat_zscored"]', "split.test_fraction=0.3"])
    warnings = " ".join(run_study(clean, quick).summary["warnings"])
    assert "check that images are in the order of stimulus_id" in warnings


def test_a_wrong_preset_or_setting_is_named_before_anything_is_computed() -> None:
    with pytest.raises(DataError, match=r"Unknown preset 'scrtch'\. Did you mean 'scratch'\?"):
        read_settings(overrides=["preset=scrtch"])
    with pytest.raises(DataError, match=r"Unknown setting 'dina\.fit\.n_epoch'\. Did you mean 'n_epochs'\?"):
        read_settings(overrides=["preset=scratch", "dina.fit.n_epoch=3"])
