"""Several runs in one table: paired where they answered the same queries, refused or kept apart where they did not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dina.artifacts import write_dataset, write_json
from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.report.comparison_of_runs import comparison_markdown, comparison_table, write_comparison
from dina.retrieval.hubness import measure_hubness
from dina.signed_folder import write_checksums
from dina.study import read_settings, run_study
from dina.study.decoder_scores import DecoderScores, Scored
from dina.study.judged_decoders import compare_runs

QUICK = ["dina.fit.n_epochs=1", "preset=scratch", "evaluation.n_resamples=100"]


@pytest.fixture(scope="module")
def runs(small_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("compared")
    words = {
        "first": ['decoders=["dina", "ridge"]'],
        "second": ['decoders=["dina", "ridge"]', "dina.rank=4"],
        "resplit": ['decoders=["ridge"]', "seed=1"],
    }
    for name, changes in words.items():
        run_study(small_session, read_settings(None, [*QUICK, *changes]), folder / name, n_threads=1)
    return {name: folder / name for name in words}


def make_right(run: Path, copy: Path, n_right: int = 8) -> Path:
    """Copy a run and let its dina name so many of its eight images rightly, and the next image for each of the others."""
    shutil.copytree(run, copy)
    path = copy / "results" / "retrieval_dina.nc"
    scores = DecoderScores.read(path)
    scored = {}
    for kind, one in scores.scored.items():
        n = one.scores.shape[1]
        named = np.where(np.arange(n) < n_right, np.arange(n), (np.arange(n) + 1) % n)
        scored[kind] = Scored(np.eye(n)[named][one.target], one.target, one.stimulus_id)
    DecoderScores("dina", "scratch", "images", scored).write(path)
    write_checksums(copy)
    return copy


def test_a_decoder_that_says_the_same_in_two_runs_is_shown_once(runs: dict[str, Path]) -> None:
    comparison = compare_runs([runs["first"], runs["second"]], n_resamples=100)

    assert list(comparison["label"].to_numpy()) == ["dina (first)", "dina (second)", "ridge"]
    assert list(comparison["is_reference"].to_numpy()) == [True, False, False]


def test_runs_whose_images_were_shown_once_are_compared_by_single_trials_alone(runs: dict[str, Path], tmp_path: Path) -> None:
    once = Path(shutil.copytree(runs["first"], tmp_path / "once"))
    summary = json.loads((once / "summary.json").read_text(encoding="utf-8"))
    summary["recording"] |= {"n_repeats_range": [1, 1], "n_presentations": None}
    write_json(once / "summary.json", summary)
    write_checksums(once)
    comparison = compare_runs([once], n_resamples=100)
    assert comparison["queries"].to_numpy().tolist() == ["single_trial"]
    assert [head for head in comparison_table(comparison).columns if "averaged" in head] == []
    write_comparison(comparison, tmp_path / "out")


def test_a_perfect_decoder_is_better_by_what_the_reference_misses(runs: dict[str, Path], tmp_path: Path) -> None:
    reference, perfect = make_right(runs["first"], tmp_path / "reference", 1), make_right(runs["first"], tmp_path / "perfect")

    comparison = compare_runs([reference, perfect], n_resamples=500)

    one = comparison.sel(queries="averaged")
    missed = 7 / 8
    assert list(one["top1"][:2]) == [1 - missed, 1.0]
    # reference minus decoder
    np.testing.assert_allclose(float(one["top1_difference"][1]), -missed, atol=1e-12)
    low, high = (float(one[f"top1_difference_{end}"][1]) for end in ("low", "high"))
    # with eight test images the interval is wide: it just reaches 0
    assert low <= -missed < high < missed / 10
    assert float(one["top1_p_value"][1]) < 0.05
    assert float(one["top1_q_value"][1]) >= float(one["top1_p_value"][1])
    assert float(one["mean_log_rank_difference"][1]) > 0  # a smaller rank is better


def test_a_decoder_does_not_differ_from_itself(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["first"], tmp_path / "again")

    comparison = compare_runs([runs["first"], tmp_path / "again"], n_resamples=100)

    assert list(comparison["label"].to_numpy()) == ["dina (first)", "dina (again)", "ridge"]
    np.testing.assert_array_equal(comparison["top1_difference"].to_numpy()[1], 0.0)
    np.testing.assert_array_equal(comparison["top1_p_value"].to_numpy()[1], 1.0)


def test_runs_of_other_splits_are_refused_in_one_sentence(runs: dict[str, Path]) -> None:
    with pytest.raises(DataError, match=r"resplit has another split than first\. Leave it out, or give --mixed"):
        compare_runs([runs["first"], runs["resplit"]])


def test_mixed_runs_stand_side_by_side_and_nothing_is_paired_between_them(runs: dict[str, Path]) -> None:
    comparison = compare_runs([runs["first"], runs["resplit"]], n_resamples=100, mixed=True)

    assert list(comparison["task"].to_numpy()) == [0, 0, 1]
    assert list(comparison["is_reference"].to_numpy()) == [True, False, True]
    assert np.isnan(comparison["top1_difference"].sel(queries="averaged").to_numpy()[2])
    assert "2 different recordings or splits" in comparison_markdown(comparison)


def copy_with_network(run: Path, copy: Path, network: str | None) -> Path:
    """Copy a run as if it had been made where this network is installed, or by a release that knew of none."""
    shutil.copytree(run, copy)
    identity = json.loads((copy / "identity.json").read_text(encoding="utf-8"))
    identity["environment"].pop("trained_network")
    if network is not None:
        identity["environment"]["trained_network"] = network
    (copy / "identity.json").write_text(json.dumps(identity), encoding="utf-8")
    write_checksums(copy)
    return copy


def test_runs_with_and_without_the_trained_network_are_compared_only_where_that_is_wanted(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    with_it = copy_with_network(runs["first"], tmp_path / "with", "efficientnet-lite0 0.1.0")
    without = copy_with_network(runs["second"], tmp_path / "without", "not installed")
    older = copy_with_network(runs["second"], tmp_path / "older", None)
    said = r"found efficientnet-lite0 0\.1\.0: with; not installed: without, older\. Repeat .* or give --any-network"

    with pytest.raises(DataError, match=said):
        compare_runs([with_it, without, older])
    text = comparison_markdown(compare_runs([with_it, without, older], n_resamples=100, any_network=True))
    assert "trained network was not the same for all runs (efficientnet-lite0 0.1.0: with; not installed: without, older)" in text
    assert "trained network" not in comparison_markdown(compare_runs([without, older], n_resamples=100))


def test_another_reference_turns_the_difference_round(runs: dict[str, Path]) -> None:
    usual = compare_runs([runs["first"]], n_resamples=100).sel(queries="averaged")
    turned = compare_runs([runs["first"]], "ridge", n_resamples=100).sel(queries="averaged")

    np.testing.assert_allclose(float(usual["mean_log_rank_difference"][1]), -float(turned["mean_log_rank_difference"][0]))
    assert float(usual["mean_log_rank_difference"][1]) != 0


def test_a_reference_that_is_not_in_the_table_is_refused(runs: dict[str, Path]) -> None:
    with pytest.raises(DataError, match=r"got 'ridg'\. Choose from: dina, ridge"):
        compare_runs([runs["first"]], "ridg")


def test_what_is_written_holds_every_number_and_is_readable(runs: dict[str, Path], tmp_path: Path) -> None:
    comparison = compare_runs([runs["first"], runs["second"]], n_resamples=100)

    paths = write_comparison(comparison, tmp_path / "tables")

    table = pd.read_csv(paths[0])
    assert len(table) == comparison.sizes["entry"] * comparison.sizes["queries"]
    np.testing.assert_allclose(table["top1"], comparison["top1"].to_numpy().ravel())
    markdown = paths[1].read_text(encoding="utf-8")
    assert "| dina (second) |" in markdown
    assert "second differs from first in: settings.dina.rank: 256 in first, 4 in second" in markdown
    assert paths[2].read_text(encoding="utf-8").count("<svg") == 1


def test_a_decoder_without_scores_says_why_in_both_files_and_hubs_are_counted(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dina.retrieval.evaluate.HUB_PLACES", 2)  # there are eight candidates, each of which is among ten
    copy = make_right(runs["first"], tmp_path / "perfect")
    reasons = {"averaged": "No program was named.", "single_trial": "No program was named."}
    DecoderScores("ridge", "", "images", {}, reasons).write(copy / "results" / "retrieval_ridge.nc")
    write_checksums(copy)
    comparison = compare_runs([runs["first"], copy], n_resamples=100)

    paths = write_comparison(comparison, tmp_path / "tables")

    table = pd.read_csv(paths[0], keep_default_na=False).set_index(["label", "queries"])
    assert table.loc[("ridge (perfect)", "averaged"), "reason"] == "No program was named."
    assert table.loc[("dina (first)", "averaged"), "reason"] == ""
    assert "- Left empty, ridge regression (perfect): No program was named.\n" in paths[1].read_text(encoding="utf-8")
    scores = DecoderScores.read(runs["first"] / "results" / "retrieval_dina.nc").scored["averaged"].scores
    assert float(table.loc[("dina (first)", "averaged"), "hubness"]) == pytest.approx(measure_hubness(scores, 2))


def test_an_unfinished_run_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    write_dataset(tmp_path / "half" / "results" / "quality.nc", compare_runs([runs["first"]], n_resamples=100))
    with pytest.raises(DataError, match="must be a finished run directory"):
        compare_runs([runs["first"], tmp_path / "half"])
