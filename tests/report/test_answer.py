"""The headline claims no more than the interval allows; examples follow the rule that the page states, and fit into the page."""

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from dina.artifacts import write_dataset, write_json
from dina.figures.difference_words import points, points_interval
from dina.figures.style import style_of
from dina.report import examples
from dina.report.accuracy import all_decoders
from dina.report.accuracy_curves import gallery_sizes
from dina.report.answer import headline, in_plain_words, tiles
from dina.report.examples import choose_queries, make_examples
from dina.report.methods_section import methods_section
from dina.report.recording_quality import what_was_decoded
from dina.study.decoder_scores import Scored
from dina.study.run_directory import Run, read_run
from dina.study.shown_once import as_shown


def with_difference(run: Run, folder: Path, value: float, low: float, high: float) -> Run:
    comparisons = run.comparisons.copy(deep=True)
    for name, number in (("difference", value), ("low", low), ("high", high)):
        comparisons[f"top1_{name}"][:] = number
    write_json(folder / "summary.json", run.summary)
    write_dataset(folder / "results" / "comparisons.nc", comparisons)
    return read_run(folder)


def test_headline_names_accuracy_gallery_interval_and_chance(simulated_run: Path) -> None:
    run = read_run(simulated_run)
    own = next(row for row in run.select("averaged") if row.decoder == "dina")
    first = headline(run)[0].replace("\u202f", " ")
    assert f"400 neurons, the decoder dina names the right image out of 60 in {100 * own.top1:.1f} % of cases" in first
    assert f"interval {100 * own.top1_low:.1f} to {100 * own.top1_high:.1f} %" in first
    assert first.endswith("guessing would give 1.7 %.")


@pytest.mark.parametrize(
    ("difference", "says"),
    [
        ((0.05, 0.01, 0.09), "Query by query, dina is right more often, by 5.0\u202fpoints (95"),
        ((0.05, 0.01, 0.09), "so dina is better."),
        ((-0.05, -0.09, -0.01), "so the rival is better."),
        ((0.01, -0.02, 0.04), "so these data do not show which is better."),
        ((0.01, 0.0, 0.04), "so these data do not show which is better."),
        ((-0.05, -0.09, -0.01), "Query by query, dina is right less often, by 5.0\u202fpoints (95"),
        ((0.0, 0.0, 0.0), "Query by query, dina is right as often (95"),
    ],
)
def test_a_difference_is_claimed_only_if_its_interval_leaves_out_zero(
    simulated_run: Path, tmp_path: Path, difference: tuple, says: str
) -> None:
    assert says in headline(with_difference(read_run(simulated_run), tmp_path, *difference))[1]


def test_the_page_opens_with_what_was_asked_and_found_how_sure_and_what_not(simulated_run: Path, tmp_path: Path) -> None:
    asked = ["What was asked", "What was found", "How sure", "What it does not mean"]
    run = with_difference(read_run(simulated_run), tmp_path, 0.05, 0.01, 0.09)
    plain = dict(in_plain_words(run))
    assert list(plain) == asked
    assert plain["What was asked"].startswith("Which of 60 images was shown, if only the responses of 400 neurons")
    assert plain["What was found"].startswith(headline(run)[0])
    assert "dina is right more often than the best other decoder (local encoding model)." in plain["What was found"]
    assert "carry the decoding was not asked." in plain["What was found"]
    assert plain["How sure"].startswith("Guessing hardly ever places the right images as far in front (p\u00a0= 0.005).")
    told = [{"claim": f"{name}.", "side": "image", "verdict": verdict, "reason": ""} for name, verdict in (
        ("Coarse", "supported"), ("Many", "cannot tell"), ("Few", "cannot tell"))]  # fmt: skip
    write_json(tmp_path / "summary.json", {**run.summary, "verdicts": dict(enumerate(told))})
    found = dict(in_plain_words(read_run(tmp_path)))["What was found"]
    assert (
        "Of 3 claims about what carries the decoding, these data support 1 (“Coarse”) and do not support none; of 2 they cannot tell."
        in found
    )


def test_plain_words_of_a_study_without_a_result_claim_nothing(bare_run: Path) -> None:
    plain = dict(in_plain_words(read_run(bare_run)))
    assert list(plain) == ["What was asked", "What was found"]
    assert "could not be measured" in plain["What was found"]


def test_a_run_whose_images_were_shown_once_is_shown_without_averages(simulated_run: Path, tmp_path: Path) -> None:
    summary = read_run(simulated_run).summary
    write_json(tmp_path / "summary.json", {**summary, "recording": {**summary["recording"], "n_repeats_range": [1, 1]}})
    shutil.copytree(simulated_run / "results", tmp_path / "results")
    shown = as_shown(read_run(tmp_path))
    assert {row.queries for row in shown.rows} == {"single_trial"} == {shown.main_queries}
    assert "dina, single trials" in [tile.title for tile in tiles(shown)]
    parts = [part for section in (all_decoders(shown), gallery_sizes(shown)) for part in section.figures]
    assert [part.name for part in parts] == ["accuracy", "ranks", "gallery_size_single_trial"]
    said = " ".join(word for part in parts for word in (part.caption, part.table.caption, *sum(part.table.rows, ())))
    assert "single trials" in said
    assert "averaged" not in said.lower()


def test_averages_that_were_recorded_as_trials_are_called_so(simulated_run: Path, tmp_path: Path) -> None:
    summary = read_run(simulated_run).summary
    for n_presentations, is_said in ((10, False), (200, True)):
        recording = {**summary["recording"], "n_trials": 10, "n_presentations": n_presentations}
        write_json(tmp_path / "summary.json", {**summary, "recording": recording})
        run = read_run(tmp_path)
        assert ("single trials (as recorded: each is the average of 20 presentations" in headline(run)[1]) == is_said
        assert any("trials as recorded" in text for text in what_was_decoded(run).paragraphs) == is_said
    averages_only = [row for row in summary["decoding"] if row["queries"] == "averaged"]
    write_json(tmp_path / "summary.json", {**summary, "recording": recording, "decoding": averages_only})
    assert not any("trials as recorded" in text for text in what_was_decoded(read_run(tmp_path)).paragraphs)


def test_single_presentations_are_not_called_averages(simulated_run: Path, tmp_path: Path) -> None:
    summary = read_run(simulated_run).summary
    write_json(tmp_path / "summary.json", {**summary, "recording": {**summary["recording"], "n_repeats_range": [1, 1]}})
    run = as_shown(read_run(tmp_path))
    assert headline(run)[0].startswith("From single trials of 400 neurons (each image was shown once), the decoder dina")
    assert not any("averaged" in tile.title for tile in tiles(run))


def test_reference_levels_and_dina_itself_are_no_rivals(simulated_run: Path, tmp_path: Path) -> None:
    run = read_run(simulated_run)
    best = next(tile for tile in tiles(run) if tile.kind == "rival")
    assert best.beside.startswith(style_of("encoding_local").label)
    rivals = ("ridge", "encoding_global", "encoding_local")
    rows = [row for row in run.summary["decoding"] if row["decoder"] not in rivals]
    write_json(tmp_path / "summary.json", {**run.summary, "decoding": rows})
    assert [tile.kind for tile in tiles(read_run(tmp_path))] == ["dina", "dina", "reference"]


def test_tiles_stand_beside_interval_and_chance(simulated_run: Path) -> None:
    shown = tiles(read_run(simulated_run))
    assert [tile.kind for tile in shown] == ["dina", "dina", "rival", "reference"]
    assert all("interval" in tile.beside and "chance" in tile.beside for tile in shown)


def scores_with_ranks(ranks: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Make scores in a gallery of 30 whose targets (item 0) get these ranks; later hits are won less clearly."""
    scores = np.tile(np.linspace(0.0, 0.9, 30), (len(ranks), 1))
    for query, rank in enumerate(ranks):
        others = np.sort(scores[query, 1:])[::-1]
        scores[query, 0] = others[0] + 10.0 - query if rank == 1 else (others[rank - 2] + others[rank - 1]) / 2
    return scores, np.zeros(len(ranks), dtype=np.int64)


def test_hits_are_shown_by_how_clearly_they_were_won_and_misses_by_rank() -> None:
    # eleven hits (queries 0 to 10, ever less clear), then misses of rank 2, 3 … 12 in reverse order (queries 11 to 21)
    scores, target = scores_with_ranks([1] * 11 + list(range(12, 1, -1)))
    # places 1, 5 and 9 of 0 … 10: the 10 %, 50 % and 90 % quantiles
    assert choose_queries(scores, target) == [1, 5, 9, 20, 16, 12]


def test_few_queries_are_shown_once_each() -> None:
    scores, target = scores_with_ranks([1, 7])
    assert choose_queries(scores, target) == [0, 1]


def test_a_tie_for_the_first_place_is_not_a_hit() -> None:
    scores = np.ones((1, 4))
    assert choose_queries(scores, np.array([2])) == [0]
    gallery = gallery_of(np.zeros((4, 8, 8), dtype=np.uint8))
    made = make_examples(Scored(scores, np.array([2]), np.arange(4)), gallery)
    assert made[0].outcome == "tie"
    assert made[0].place == "shares ranks 1 to 4 with 3 images of the same score"


def test_ties_stand_apart_from_hits_and_misses_and_hits_say_how_many_there_are() -> None:
    scores, target = scores_with_ranks([1, 1, 3])
    scores[1, 5] = scores[1, 0]  # a copy of the right image
    assert choose_queries(scores, target) == [0, 1, 2]
    made = make_examples(Scored(scores, target, np.arange(30)), gallery_of(np.zeros((30, 8, 8), dtype=np.uint8)))
    assert [example.outcome for example in made] == ["hit", "tie", "miss"]
    assert [example.heading for example in made] == [
        "Hits (1 of 3 queries; 1 more shares the first place)",
        "Ties for the first place (1 of 3 queries)",
        "Misses (1 of 3 queries)",
    ]
    assert made[1].place == "shares ranks 1 and 2 with an image of the same score"


def test_near_identical_test_images_bound_the_accuracy_in_words(simulated_run: Path, tmp_path: Path) -> None:
    run = read_run(simulated_run)
    assert "near-identical" not in str(in_plain_words(run))
    write_json(tmp_path / "summary.json", run.summary)
    # images 1 and 7 are copies; 3 has its copy among the training images, which are no candidates
    write_json(tmp_path / "split.json", {"test": [1, 3, 7, 9], "near_identical_groups": [[1, 7], [3, 20]]})
    copied = read_run(tmp_path)
    said = dict(in_plain_words(copied))["What was found"].replace("\u202f", " ")
    assert "2 of the 4 test images have a near-identical copy" in said
    assert "at most 75.0 % of cases" in said
    of_images = [tile.beside for tile in tiles(copied) if "ideal observer" not in tile.title]
    assert len(of_images) == 3  # dina from averages and from single trials, and the best rival
    assert all(beside.endswith("at most 75.0\u202f% if copies look alike") for beside in of_images)
    assert any("2 groups of near-identical images, 4 images in all" in words for words in what_was_decoded(copied).paragraphs)
    write_json(tmp_path / "split.json", {"test": [1, 3, 7, 9], "near_identical_groups": []})
    assert not any("near-identical images, " in words for words in what_was_decoded(read_run(tmp_path)).paragraphs)


@pytest.mark.parametrize("reads_too", [False, True])
def test_who_reads_a_trained_network_is_said_beside_the_comparison(simulated_run: Path, tmp_path: Path, reads_too: bool) -> None:
    plain = with_difference(read_run(simulated_run), tmp_path, 0.05, 0.01, 0.09)
    assert "network trained on photographs" not in str([*in_plain_words(plain), all_decoders(plain).paragraphs])
    fits = {"dina": {"feature_spaces": "local 0.71, trained_network 0.3"}}
    fits |= {"encoding_local": {"share_trained_network": 0.2}} if reads_too else {}
    write_json(tmp_path / "summary.json", {**plain.summary, "fits": fits})
    run = read_run(tmp_path)
    own = "dina reads a network trained on photographs and this decoder does not"
    found = dict(in_plain_words(run))["What was found"]
    assert ("Both read a network" in found, own in found) == (reads_too, not reads_too)
    who = "dina, dina before training and local encoding model" if reads_too else "dina and dina before training"
    assert any(f"are read by {who} alone:" in words for words in all_decoders(run).paragraphs)


def test_a_pretrained_image_tower_is_said_wherever_the_page_says_what_was_learnt(simulated_run: Path, tmp_path: Path) -> None:
    summary = read_run(simulated_run).summary
    for fit, is_said in (({}, False), ({"pretrained_on": "8 recordings, 1,760 updates"}, True)):
        write_json(tmp_path / "summary.json", {**summary, "fits": {"dina": fit}})
        run = read_run(tmp_path)
        asked, learnt = dict(in_plain_words(run))["What was asked"], str(methods_section(run).paragraphs)
        assert ("its image tower was trained on other recordings" in asked, "other recordings have taught" in learnt) == (
            is_said,
        ) * 2


def test_penalties_at_the_end_of_their_grid_are_named_beside_the_accuracies(simulated_run: Path, tmp_path: Path) -> None:
    summary = read_run(simulated_run).summary
    assert "end of the grid" not in str(all_decoders(read_run(simulated_run)).paragraphs)
    fits = {"ridge": {"penalty_at_the_end_of_its_grid": "the largest tried, 10, is best"}}
    write_json(tmp_path / "summary.json", {**summary, "fits": fits})
    assert "ridge regression (the largest tried, 10, is best)." in str(all_decoders(read_run(tmp_path)).paragraphs)


@pytest.mark.parametrize(
    ("difference", "says"),
    [((0.05, 0.01, 0.09), "training helped."), ((-0.01, -0.04, 0.02), "these data do not show that training helped.")],
)
def test_the_headline_says_what_training_added(simulated_run: Path, tmp_path: Path, difference: tuple, says: str) -> None:
    said = headline(with_difference(read_run(simulated_run), tmp_path, *difference))[1]
    assert "Before contrastive training, dina reached" in said
    assert f"so {says}" in said


def test_the_headline_says_what_each_part_of_the_default_adds(simulated_run: Path) -> None:
    run = read_run(simulated_run)
    said, one = headline(run)[1], run.comparisons.sel(part="locality", queries="averaged")
    top1 = {row.decoder: row.top1 for row in run.select("averaged")}
    value, low, high = (float(one[f"part_top1_{name}"]) for name in ("difference", "low", "high"))
    assert value == pytest.approx(top1["encoding_local"] - top1["encoding_global"])
    assert f"by {points(value)} ({points_interval(low, high)}) with a receptive field" in said
    assert "noise that neurons share" not in said  # no decoder without it was fitted


def gallery_of(thumbnails: np.ndarray) -> xr.Dataset:
    axes = ("gallery", "thumbnail_height", "thumbnail_width", "colour")[: thumbnails.ndim]
    n = len(thumbnails)
    return xr.Dataset(
        {
            "thumbnail": (axes, thumbnails),
            "stimulus_id": ("gallery", np.arange(n) + 100),
            "label": ("gallery", np.array(["cats"] * n, dtype=object)),
        }
    )


@pytest.mark.parametrize("shape", [(34, 135), (31, 31), (20, 20, 3)])
def test_thumbnails_come_back_from_the_page_as_they_were(shape: tuple[int, ...]) -> None:
    thumbnails = np.random.default_rng(0).integers(0, 256, (30, *shape), dtype=np.uint8)
    scores, target = scores_with_ranks([3])
    scored = Scored(scores, target, np.arange(30))
    example = make_examples(scored, gallery_of(thumbnails))[0]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(example.target.uri.partition(",")[2]))))
    np.testing.assert_array_equal(pixels, thumbnails[0])
    assert example.found == 2
    assert [image.words for image in example.best] == [f"image {100 + i}, cats" for i in (29, 28, 0, 27, 26)]


def test_thumbnails_are_halved_until_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    thumbnails = np.random.default_rng(0).integers(0, 256, (30, 64, 64), dtype=np.uint8)
    scores, target = scores_with_ranks([1, 2, 5])
    scored = Scored(scores, target, np.arange(30))
    monkeypatch.setattr(examples, "MAX_THUMBNAIL_BYTES", 30_000)
    made = make_examples(scored, gallery_of(thumbnails))
    assert sum(len(image.uri) for example in made for image in (example.target, *example.best)) <= 30_000
    # noise cannot be compressed: 18 images of 64 × 64 take 98 kB as base64, of 32 × 32 a quarter
    assert made[0].target.width == 32
