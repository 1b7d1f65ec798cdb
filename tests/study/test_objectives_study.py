"""Objectives are trained one by one, kept, gone on with, and said to be missing where they cannot be trained."""

import shutil
from pathlib import Path

import pytest
import xarray as xr

from dina.checks import DataError
from dina.cli import main
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.study import objectives_study
from dina.study.objectives_study import study_objectives
from dina.training import dina_decoder
from dina.training.fit import FitSettings

NAMES = ["contrastive", "classification", "privileged_regression"]
FEW = ["split.test_fraction=0.3", "evaluation.n_resamples=100", "dina.rank=4", "dina.pathway_width=8"]


@pytest.fixture(scope="module")
def labelled_session() -> Recording:
    """Give 40 neurons and 120 images of three categories, enough of each in every part of the split."""
    small = {"n_neurons": 40, "n_stimuli": 120, "height": 24, "width": 48, "n_subunits": 40, "n_broad_factors": 10}
    return simulate("demo", seed=0, settings={**small, "n_spontaneous": 0, "n_categories": 3})


@pytest.fixture(scope="module")
def kept(labelled_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("objectives") / "out"
    study_objectives(labelled_session, out, NAMES, (0,), 1, overrides=FEW)
    return out


def test_every_objective_is_measured_beside_untrained_towers(labelled_session: Recording, kept: Path) -> None:
    found = study_objectives(labelled_session, kept, NAMES, (0,), 1, overrides=FEW)

    assert list(found.comparison.similarity["first"].to_numpy()) == ["contrastive", "classification", "untrained"]
    assert {"top1_averaged", "category_matched"} <= found.comparison.findings["classification"].keys()
    assert "needs features" in found.missing["privileged_regression"]
    assert len(found.learning["contrastive"]) == 2  # epoch 0 and the one of the budget


def test_what_is_there_is_not_done_again(labelled_session: Recording, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = study_objectives(labelled_session, kept, NAMES, (0,), 1, overrides=FEW)

    def refuse(*_: object) -> None:
        pytest.fail("a fit was measured again")

    monkeypatch.setattr(objectives_study, "measure_objective", refuse)
    second = study_objectives(labelled_session, kept, NAMES, (0,), 1, overrides=FEW)

    assert first.comparison.findings["contrastive"]["top1_averaged"] == second.comparison.findings["contrastive"]["top1_averaged"]
    monkeypatch.undo()


@pytest.mark.long
def test_forced_fits_are_made_and_measured_again(
    labelled_session: Recording, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(kept, out)
    measure, measured = objectives_study.measure_objective, []

    def note(*arguments: object) -> xr.Dataset:
        measured.append(arguments)
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(objectives_study, "measure_objective", note)
    found = study_objectives(labelled_session, out, NAMES[:1], (0,), 1, overrides=FEW, force=True)

    assert len(measured) == 2  # the objective and untrained towers
    assert list(found.comparison.similarity["first"].to_numpy()) == ["contrastive", "untrained"]


@pytest.mark.long
def test_what_cannot_be_trained_is_said_once_and_not_for_every_seed(
    labelled_session: Recording, kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    shutil.copytree(kept, out)
    shutil.rmtree(out / "runs" / "privileged_regression-seed0")  # what is there is not tried again
    study_objectives(labelled_session, out, ["contrastive", "privileged_regression"], (0, 1), 1, overrides=FEW)

    assert sum("needs features of the images" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.long
def test_every_fit_is_told_to_keep_the_epoch_with_the_lowest_loss(
    labelled_session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def refuse(towers: object, recordings: object, settings: FitSettings, *_: object) -> None:
        told.append((settings.objective, settings.select_by))
        raise DataError("That is all that was asked.")

    monkeypatch.setattr(dina_decoder, "fit_towers", refuse)
    with pytest.raises(DataError, match="That is all"):
        study_objectives(labelled_session, tmp_path / "out", NAMES[:2], (0,), 1, overrides=FEW)

    assert told == [("contrastive", "loss"), ("classification", "loss")]


def test_a_measurement_of_another_fit_is_not_believed(labelled_session: Recording, kept: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(kept, out)
    wrong, right = (out / "measured" / f"{name}-seed0.nc" for name in ("classification", "contrastive"))
    shutil.copy(wrong, right)

    found = study_objectives(labelled_session, out, NAMES, (0,), 1, overrides=FEW)

    alike = float(found.comparison.similarity.sel(side="image", first="contrastive", second="classification"))
    assert alike < 0.9999  # had the copy been believed, the maps would be the very same


@pytest.mark.parametrize("n_bytes", [0, 700])
def test_a_damaged_measurement_is_named(labelled_session: Recording, kept: Path, tmp_path: Path, n_bytes: int) -> None:
    out = tmp_path / "out"
    shutil.copytree(kept, out)
    path = out / "measured" / "contrastive-seed0.nc"
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(DataError, match=r"contrastive-seed0\.nc cannot be read .*Remove this file, and run the study again"):
        study_objectives(labelled_session, out, NAMES, (0,), 1, overrides=FEW)


def test_the_command_prints_the_answer_and_writes_the_files(
    labelled_session: Recording, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled_session.write(tmp_path / "session.nc")
    shutil.copytree(kept, tmp_path / "o")  # fits that the command finds: `test_image_features` lets it make its own
    words = [part for word in FEW for part in ("--set", word)]

    with pytest.raises(SystemExit) as ended:
        main(
            [
                "objectives",
                str(tmp_path / "session.nc"),
                "contrastive",
                "--seed",
                "0",
                "--epochs",
                "1",
                "--out",
                str(tmp_path / "o"),
                "--threads",
                "1",
                *words,
            ]
        )

    assert not ended.value.code
    assert "“The low-level bias of the maps is made by the contrastive objective”: cannot tell." in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "o").iterdir() if path.is_file()}
    assert names == {"objectives.md", "objectives.csv", "objectives.json", "objectives.svg", "objectives_maps.svg"}
