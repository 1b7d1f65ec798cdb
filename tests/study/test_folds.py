"""A study in folds tests every image once, goes on after a stop, and its table is that of the scores of its folds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.report import write_report
from dina.sharing import export_run, load
from dina.signed_folder import verify_checksums
from dina.study import StudySettings, default_run_name, read_settings, run_study
from dina.study.decoder_scores import DecoderScores
from dina.study.interpret import interpret_run, judge_runs
from dina.study.judged_decoders import compare_runs
from dina.study.run_directory import Run

WORDS = ["preset=scratch", "dina.fit.n_epochs=2", "evaluation.n_resamples=200", "folds=3"]
WORDS += ['decoders=["dina", "ridge", "nearest_repeat_zscored"]']
FOLDS = (1, 2, 3)


@pytest.fixture(scope="module")
def session() -> Recording:
    """Give a simulated session of 91 images, which three folds cannot share evenly."""
    small = {"n_neurons": 60, "n_stimuli": 91, "height": 24, "width": 48, "n_subunits": 40, "n_broad_factors": 10}
    return simulate("demo", seed=0, settings={**small, "n_spontaneous": 50})


@pytest.fixture(scope="module")
def settings() -> StudySettings:
    return read_settings(overrides=WORDS)


@pytest.fixture(scope="module")
def finished(session: Recording, settings: StudySettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("folds") / "run"
    run_study(session, settings, run)
    return run


def read_fold(run: Path, fold: int, decoder: str) -> DecoderScores:
    return DecoderScores.read(run / f"fold{fold}" / "results" / f"retrieval_{decoder}.nc")


def test_every_image_is_tested_in_exactly_one_fold_by_towers_that_never_saw_it(finished: Path) -> None:
    parts = [json.loads((finished / f"fold{fold}" / "split.json").read_text()) for fold in FOLDS]
    assert json.loads((finished / "split.json").read_text())["folds"] == parts
    np.testing.assert_array_equal(np.sort(np.concatenate([part["test"] for part in parts])), np.arange(91))
    for part in parts:
        assert sorted(part["train"] + part["validation"] + part["test"]) == list(range(91))
        assert (len(part["validation"]), len(part["test"])) in {(9, 30), (9, 31)}


def test_towers_of_every_fold_are_shared_and_score_as_they_did(finished: Path, session: Recording, tmp_path: Path) -> None:
    folder = export_run(finished, tmp_path / "shared", session)
    with pytest.raises(DataError, match="Say which with name=: fold1, fold2, fold3"):
        load(folder)
    for fold in FOLDS:
        shared, scored = load(folder, f"fold{fold}"), read_fold(finished, fold, "dina").scored["averaged"]
        is_test = np.isin(session.stimulus_id, scored.stimulus_id)
        found = shared.score(session.responses[is_test], session.images[scored.stimulus_id], session.stimulus_id[is_test])
        np.testing.assert_allclose(found, scored.scores, atol=1e-5)
        assert shared.arrays(f"fold{fold}/maps").sizes["image"] == len(scored.stimulus_id)


def test_pooled_rows_are_those_of_the_scores_of_the_folds(finished: Path) -> None:
    # by hand: ranks without ties in the gallery of each fold, then one mean over all queries
    rows = {(row.decoder, row.queries, row.direction): row for row in Run(finished).rows}
    found = {}
    for decoder in ("dina", "ridge"):
        for queries in ("averaged", "single_trial"):
            scored = [read_fold(finished, fold, decoder).scored[queries] for fold in FOLDS]
            better = [(one.scores > one.scores[np.arange(len(one.target)), one.target][:, None]).sum(axis=1) for one in scored]
            rank = 1 + np.concatenate(better)
            found[decoder, queries] = rank == 1
            row = rows[decoder, queries, "image_from_response"]
            assert (row.top1, row.top5) == (pytest.approx(np.mean(rank <= 1)), pytest.approx(np.mean(rank <= 5)))
            assert row.median_rank == np.median(rank)
            assert (row.n_queries, row.n_gallery) == (91 if queries == "averaged" else 182, 30)
            # 31 images once and 30 twice
            assert row.chance_top1 == pytest.approx(3 / 91)
            assert row.top1_low is not None
            assert row.top1_high is not None
            assert row.top1_low <= np.mean(rank <= 1) <= row.top1_high
    for fold, noted in zip(FOLDS, Run(finished).summary["folds"], strict=True):
        assert noted["response_transform"] == Run(finished).fold(fold).summary["response_transform"]["name"]
    comparisons = Run(finished).comparisons
    assert comparisons is not None
    for queries in ("averaged", "single_trial"):
        difference = found["dina", queries].mean() - found["ridge", queries].mean()
        one = comparisons.sel(rival="ridge", queries=queries)
        assert float(one["top1_difference"]) == pytest.approx(difference)
        assert float(one["top1_low"]) <= difference <= float(one["top1_high"])


def test_each_fold_is_an_ordinary_run_and_repeats_by_itself_to_the_byte(
    finished: Path, session: Recording, settings: StudySettings, tmp_path: Path
) -> None:
    second = settings.model_copy(update={"fold": 2})
    assert default_run_name([session], second).endswith("-scratch-seed0-3folds-fold2")
    run_study(session, second, tmp_path / "second")
    for name in ("split.json", "summary.json", "model.safetensors", "results/comparisons.nc", "identity.json"):
        assert (tmp_path / "second" / name).read_bytes() == (finished / "fold2" / name).read_bytes()
    assert verify_checksums(finished) == verify_checksums(finished / "fold2") == {}


@pytest.mark.long
def test_a_study_in_folds_goes_on_after_a_stop_with_the_folds_that_are_finished(
    finished: Path, session: Recording, settings: StudySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried_out: list[tuple[int | None, str]] = []
    from dina.study import run as module

    original = module.carry_out_decoder

    def watch(name: str, recording: Recording, of: StudySettings, *more: object) -> None:
        if of.fold == 2 and name == "ridge" and len(carried_out) < 5:
            raise KeyboardInterrupt
        carried_out.append((of.fold, name))
        original(name, recording, of, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "carry_out_decoder", watch)
    with pytest.raises(KeyboardInterrupt):
        run_study(session, settings, tmp_path / "run")
    assert carried_out == [*((1, name) for name in settings.decoders), (2, "dina")]
    assert (tmp_path / "run.partial" / "fold1" / "SHA256SUMS").is_file()
    kept = (tmp_path / "run.partial/fold2.partial/results/retrieval_dina.nc").stat().st_mtime_ns

    carried_out.extend([(0, "")])
    run_study(session, settings, tmp_path / "run")
    assert (1, "dina") not in carried_out[5:]
    assert (tmp_path / "run/fold2/results/retrieval_dina.nc").stat().st_mtime_ns == kept
    for name in ("summary.json", "results/comparisons.nc", "fold2/summary.json", "fold3/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (finished / name).read_bytes()


def test_a_finished_study_in_folds_is_read_again_and_refused_where_a_fold_was_changed(
    finished: Path, session: Recording, settings: StudySettings, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    again = run_study(session, settings, tmp_path / "run")
    assert [row.top1 for row in again.results] == [row.top1 for row in Run(finished).rows if row.top1 is not None]
    (tmp_path / "run/fold3/results/retrieval_ridge.nc").write_bytes(b"other")
    with pytest.raises(DataError, match=r"fold3/results/retrieval_ridge\.nc must be as it was written"):
        run_study(session, settings, tmp_path / "run")


def test_the_page_says_what_folds_share_and_a_fold_has_a_page_too(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    page = write_report(tmp_path / "run").read_text()
    for words in (
        "any two share 1 of 2 parts of their training images",
        "30 to 31 images (tables show the smallest number)",
        "widened for folds",
        "averaged responses of fold 1",
    ):
        assert words in page
    write_report(tmp_path / "run/fold2")
    assert verify_checksums(tmp_path / "run") == verify_checksums(tmp_path / "run/fold2") == {}


def test_analyses_and_verdicts_take_one_fold_and_refuse_all_of_them(finished: Path, session: Recording, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    said = r"must be a run of one split to be explored, interpreted or judged; it holds 3 folds .* Give one of them, such as .*run/fold1"
    with pytest.raises(DataError, match=said):
        interpret_run(tmp_path / "run", session)
    with pytest.raises(DataError, match=said):
        judge_runs([tmp_path / "run"])
    found = interpret_run(tmp_path / "run/fold2", session, ["couplings"])
    assert found["couplings"].reason is None
    assert verify_checksums(tmp_path / "run") == verify_checksums(tmp_path / "run/fold2") == {}


def test_runs_in_the_same_folds_are_compared_query_by_query(
    finished: Path, session: Recording, settings: StudySettings, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "same")
    other = settings.model_copy(update={"decoders": ("ridge",), "folds": 2})
    run_study(session, other, tmp_path / "other")
    compared = compare_runs([finished, tmp_path / "same"], n_resamples=200)
    assert compared["label"].to_numpy().tolist().count("ridge") == 1
    ridge = compared.sel(queries="averaged").isel(entry=compared["decoder"].to_numpy().tolist().index("ridge"))
    comparisons = Run(finished).comparisons
    assert comparisons is not None
    expected = comparisons.sel(rival="ridge", queries="averaged")
    # both are dina minus rival
    assert float(ridge["top1_difference"]) == pytest.approx(float(expected["top1_difference"]))
    assert float(ridge["top1_difference_low"]) == pytest.approx(float(expected["top1_low"]), abs=0.02)  # other resamples
    with pytest.raises(DataError, match="other has another split than run"):
        compare_runs([finished, tmp_path / "other"])


def test_a_fold_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DataError, match="fold must be one of at least two folds; got fold 4 of 3"):
        read_settings(overrides=["folds=3", "fold=4"])
    with pytest.raises(DataError, match="got fold 1 of 1"):
        read_settings(overrides=["fold=1"])
