"""Features of images go from a file through a study to the objective, and are refused where they do not fit."""

import json
from pathlib import Path

import numpy as np
import pytest

import dina.report
from dina.analyses.altered_gallery import first_places_unaltered, refit_altered
from dina.checks import DataError
from dina.cli import main
from dina.recordings.recording import Recording
from dina.study import read_settings, run_study
from dina.study.decoders import read_image_features
from dina.study.interpret import read_decoded

TOLD = ["preset=scratch", 'decoders=["dina"]', "dina.fit.objective=privileged_regression", "dina.fit.n_epochs=4"]
FEW = ["evaluation.n_resamples=100", "dina.rank=4", "dina.pathway_width=8"]


@pytest.fixture
def features(small_session: Recording, tmp_path: Path) -> Path:
    """Give a file of ten numbers for each image: its mean luminance in ten stripes."""
    pixels = small_session.images.astype(np.float64).mean((1, 2))
    np.save(tmp_path / "features.npy", np.stack([stripe.mean(1) for stripe in np.array_split(pixels, 10, axis=1)], axis=1))
    return tmp_path / "features.npy"


def test_features_are_read_in_single_precision_in_the_order_of_the_images(small_session: Recording, features: Path) -> None:
    read = read_image_features(features, small_session)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, np.load(features).astype(np.float32))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ones((80, 3), complex), "must be real numbers; wrong.npy holds complex128"),
        (np.ones(80), r"must have shape \(n_stimuli, n_features\), here \(80, any\).*wrong.npy has \(80,\)"),
        (np.ones((79, 3)), r"here \(80, any\).*wrong.npy has \(79, 3\). Compute the features of all images"),
        (np.where(np.arange(80)[:, None] == [5, 6, 6], np.nan, 1.0), "those of 2 images are not, the first of stimulus id 5"),
        (np.full((80, 2), 1e60), "finite in single precision; in wrong.npy those of 80 images"),
    ],
)
def test_features_that_do_not_fit_the_images_are_refused(
    small_session: Recording, tmp_path: Path, values: np.ndarray, said: str
) -> None:
    np.save(tmp_path / "wrong.npy", values)
    with pytest.raises(DataError, match=said):
        read_image_features(tmp_path / "wrong.npy", small_session)


def test_a_study_trains_a_privileged_objective_and_knows_its_features(small_session: Recording, features: Path) -> None:
    run = features.parent / "run"
    told = [*TOLD, *FEW, f'image_features="{features}"']
    (row, *_) = run_study(small_session, read_settings(overrides=told), run, n_threads=1).summary["decoding"]
    assert row["epochs_done"] == 4
    history = np.loadtxt(run / "history.csv", delimiter=",", skiprows=1, usecols=2)
    # an unexplained fraction: 1 for a head that knows nothing but the mean
    assert history[-1] < history[0]
    assert read_settings(run / "study.toml").image_features == features

    # the same numbers at another place are the same study; other numbers at the same place are not
    moved = features.rename(features.with_name("moved.npy"))
    again = read_settings(overrides=[*TOLD, *FEW, f'image_features="{moved}"'])
    before = (run / "summary.json").stat().st_mtime_ns
    run_study(small_session, again, run, n_threads=1)
    assert (run / "summary.json").stat().st_mtime_ns == before
    np.save(features, np.load(moved)[::-1])
    with pytest.raises(DataError, match=r"already holds a study \(image_features: .* there, .* now\)"):
        run_study(small_session, read_settings(overrides=told), run, n_threads=1)


def test_analyses_that_fit_towers_again_are_told_features(
    small_session: Recording, features: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = features.parent / "run"
    run_study(small_session, read_settings(overrides=[*TOLD, *FEW, f'image_features="{features}"']), run, n_threads=1)
    decoded = read_decoded(run, small_session, "cpu")
    (again,) = refit_altered(decoded, {"as they are": lambda images: images}, "Fitting")
    np.testing.assert_allclose(again, first_places_unaltered(decoded), atol=1e-5)

    np.save(features, np.load(features)[::-1])
    changed = read_decoded(run, small_session, "cpu")
    assert changed.image_features is None
    assert "lost or changed" in caplog.text
    with pytest.raises(DataError, match="needs features of the images"):
        refit_altered(changed, {"as they are": lambda images: images}, "Fitting")


def test_features_that_do_not_fit_stop_a_study_before_anything_is_fitted(small_session: Recording, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npy not found"):
        run_study(small_session, read_settings(overrides=[f'image_features="{tmp_path / "absent.npy"}"']), tmp_path / "run")
    assert not (tmp_path / "run.partial").exists()


def test_the_commands_hand_features_on(
    small_session: Recording, features: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(features.parent)
    monkeypatch.setattr(dina.report, "write_report", lambda run, *_: run / "report.html")  # the page takes longer than all else
    small_session.write(features.parent / "session.nc")
    words = [part for word in [*TOLD, *FEW] for part in ("--set", word)]
    with pytest.raises(SystemExit) as ended:
        main(["study", "session.nc", *words, "--features", "features.npy", "--out", "run", "--threads", "1"])
    assert not ended.value.code
    assert {"image_features", "settings"} <= json.loads(Path("run/identity.json").read_text(encoding="utf-8")).keys()
    # the full path: the file may be read from another folder
    assert read_settings(Path("run/study.toml")).image_features == features

    few = [part for word in FEW for part in ("--set", word)]
    given = ["--features", "features.npy", "--threads", "1"]
    with pytest.raises(SystemExit) as ended:
        main(["objectives", "session.nc", "privileged_regression", "--seed", "0", "--epochs", "1", "--out", "o", *few, *given])
    assert not ended.value.code
    assert Path("o/runs/privileged_regression-seed0/model.safetensors").is_file()
