"""The page of a study says everything that the run holds, safely, for everyone, and the same every time."""

import json
import re
import shutil
from importlib import import_module
from inspect import getsource
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from dina.analyses import ANALYSES
from dina.analyses.feature_maps import page as feature_maps
from dina.artifacts import write_json
from dina.checks import DataError
from dina.report import draw_run, write_report
from dina.report.map_channels import map_channels
from dina.report.training_curves import training
from dina.report.what_is_missing import analyses_not_asked
from dina.signed_folder import verify_checksums, write_checksums
from dina.statistics.finding import Finding
from dina.study.run_directory import read_run
from report.conftest import PAYLOAD
from report.page_reader import Page


def page_of(run: Path) -> Page:
    return Page(run / "report.html")


def test_writing_twice_gives_the_same_bytes(simulated_run: Path, tmp_path: Path) -> None:
    again = shutil.copytree(simulated_run, tmp_path / "elsewhere")
    shutil.rmtree(again / "figures")
    write_report(again)
    names = sorted(path.relative_to(simulated_run) for path in simulated_run.rglob("*") if path.suffix in (".svg", ".html"))
    assert len(names) > 10
    for name in names:
        assert (again / name).read_bytes() == (simulated_run / name).read_bytes(), name


def test_the_figures_of_a_page_can_be_had_one_by_one_without_writing(simulated_run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in simulated_run.rglob("*")}
    figures = draw_run(simulated_run)
    assert set(figures) == {drawing.stem for drawing in (simulated_run / "figures").glob("*.svg")}
    assert figures["accuracy"].axes
    assert {path: path.stat().st_mtime_ns for path in simulated_run.rglob("*")} == before


def test_hostile_words_stay_words(hostile_run: Path) -> None:
    page = page_of(hostile_run)
    assert not page.all("script", "iframe", "object", "embed", "foreignobject", "base", "form")
    assert not [name for element in page.elements for name in element.attributes if name.startswith("on")]
    assert {element.attributes.get("src", "data:")[:5] for element in page.elements} == {"data:"}
    assert page.all("h1")[0].words == " ".join((PAYLOAD + "x" * 10_000).split())
    assert "{{7*7}}" in page.words
    assert "49" not in page.all("h1")[0].words


def test_hostile_words_stay_words_in_figures_on_disk(hostile_run: Path) -> None:
    drawings = [Page(path) for path in sorted((hostile_run / "figures").glob("*.svg"))]
    assert any("alert(1)" in element.words for drawing in drawings for element in drawing.all("text"))
    assert not [drawing for drawing in drawings if drawing.all("script", "img")]


def test_page_leads_to_the_explorer_where_there_is_one(bare_run: Path, simulated_run: Path) -> None:
    linked = [[link.attributes["href"] for link in page_of(run).all("a")] for run in (bare_run, simulated_run)]
    assert ["explorer.html" in links for links in linked] == [True, False]


def test_page_forbids_scripts_and_loads_nothing(simulated_run: Path) -> None:
    page = page_of(simulated_run)
    policy = next(
        e.attributes["content"] for e in page.all("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    links = [e.attributes[name] for e in page.elements for name in ("href", "xlink:href", "src") if name in e.attributes]
    assert links
    assert not [link for link in links if not link.startswith(("#", "data:"))]
    assert "url(http" not in (simulated_run / "report.html").read_text(encoding="utf-8")


def test_page_stays_below_three_megabytes(hostile_run: Path) -> None:
    assert (hostile_run / "report.html").stat().st_size < 3e6


def test_banner_stands_on_simulated_data_only(simulated_run: Path, hostile_run: Path) -> None:
    assert "Simulated data." in page_of(simulated_run).words
    assert "Simulated data." not in page_of(hostile_run).words


def test_headings_go_down_one_step_at_a_time(simulated_run: Path) -> None:
    levels = [int(element.tag[1]) for element in page_of(simulated_run).all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_everything_that_is_seen_can_also_be_read(simulated_run: Path) -> None:
    page = page_of(simulated_run)
    assert page.all("html")[0].attributes["lang"] == "en"
    assert all(len(image.attributes["alt"]) > 5 for image in page.all("img"))
    drawings = [element for element in page.elements if element.attributes.get("role") == "img"]
    assert len(drawings) == len(page.all("figure")) > 8
    assert all(len(drawing.attributes["aria-label"]) > 20 for drawing in drawings)
    assert all("Numbers of this figure" in figure.words and figure.words.count("Numbers") == 1 for figure in page.all("figure"))
    assert len(page.all("caption")) == len(page.all("table"))


def test_ids_are_unique_and_links_lead_to_them(simulated_run: Path) -> None:
    page = page_of(simulated_run)
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    wanted = {
        value[1:]
        for e in page.elements
        for name, value in e.attributes.items()
        if name in ("href", "xlink:href") and value[0] == "#"
    }
    assert len(wanted) > 10
    assert wanted <= set(ids)


def test_every_number_stands_beside_its_chance_interval_and_gallery_size(simulated_run: Path) -> None:
    rows = json.loads((simulated_run / "summary.json").read_text(encoding="utf-8"))["decoding"]
    own = next(row for row in rows if row["decoder"] == "ridge" and row["queries"] == "single_trial")
    line = next(
        e.words for e in page_of(simulated_run).all("tr") if e.words.startswith("ridge regression decoder single trials 60")
    )
    shown = [f"{100 * own[name]:.1f}" for name in ("top1", "top1_low", "top1_high", "top5", "top10")]
    assert all(number in line for number in shown), line
    # chance of top-1, top-5, top-10 and of the median rank among 60: 1 / 60, 5 / 60, 10 / 60 and 61 / 2
    (chance,) = {e.words for e in page_of(simulated_run).all("tr") if e.words.startswith("chance guessing – 60")}
    assert chance == "chance guessing – 60 1.7 % – 8.3 % 16.7 % 30.5 – –"


def test_what_could_not_be_computed_is_said_with_its_reason(bare_run: Path) -> None:
    words = page_of(bare_run).words
    assert "could not be measured: The towers need at least 60 training images; there are 40." in words
    assert "this recording stores averages only." in words
    assert "Reliability needs two trials of an image" in words
    assert "There are no training curves. Nothing was trained in this study." in words
    assert "There are no examples" in words
    # each reason once, and no section of reasons alone
    assert words.count("Reliability needs two trials of an image") == 1
    assert words.count("There are no training curves") == 1


def test_words_that_a_page_does_not_use_are_not_explained(simulated_run: Path, tmp_path: Path) -> None:
    summary = json.loads((simulated_run / "summary.json").read_text(encoding="utf-8"))
    rows = [row for row in summary["decoding"] if "ideal" not in row["decoder"]]
    (tmp_path / "summary.json").write_text(json.dumps({**summary, "decoding": rows}), encoding="utf-8")
    words = Page(write_report(tmp_path)).words
    assert "Ideal observer In a simulation" in page_of(simulated_run).words
    assert "Ideal observer In a simulation" not in words
    assert "Paired difference Comparing" not in words


def test_one_epoch_is_told_once_and_as_one(simulated_run: Path, tmp_path: Path) -> None:
    summary = json.loads((simulated_run / "summary.json").read_text(encoding="utf-8"))
    facts = {"epochs_done": 1, "epochs_budget": 1, "chosen_epoch": 1, "stop_reason": "All 1 epochs of the budget were used."}
    (tmp_path / "summary.json").write_text(json.dumps({**summary, "training": facts}), encoding="utf-8")
    (tmp_path / "history.csv").write_text("epoch,train_loss,validation_top1\n0,,0.1\n1,2.0,0.25\n", encoding="utf-8")
    section = training(read_run(tmp_path))
    assert section.paragraphs[0] == (
        "The whole budget of 1 epoch was trained. The towers of epoch 1 were kept: the one with the highest top-1"
        " accuracy of the validation images; among equal ones, that with the lowest validation loss."
    )
    assert section.figures[0].table.rows[-1] == ("1", "2", "25")
    assert "cannot be compared" not in section.figures[0].caption  # there is one loss alone


def test_no_line_of_dashes_tells_of_queries_that_were_not_decoded(simulated_run: Path, tmp_path: Path) -> None:
    summary = json.loads((simulated_run / "summary.json").read_text(encoding="utf-8"))
    rows = [{**row, "top1": None} if row["queries"] == "single_trial" else row for row in summary["decoding"]]
    write_json(tmp_path / "summary.json", {**summary, "decoding": rows})
    (tmp_path / "history.csv").write_text("epoch,train_loss,validation_loss\n0,,1.0\n1,2.0,0.9\n", encoding="utf-8")
    section = training(read_run(tmp_path))
    assert [row[1] for row in section.tables[0].rows] == ["averaged responses"] * 2
    assert "cannot be compared" in section.figures[0].caption


def test_a_run_with_nothing_but_a_summary_still_gets_a_page(simulated_run: Path, tmp_path: Path) -> None:
    summary = json.loads((simulated_run / "summary.json").read_text(encoding="utf-8"))
    (tmp_path / "summary.json").write_text(json.dumps({**summary, "decoding": []}), encoding="utf-8")
    words = Page(write_report(tmp_path)).words
    assert "could not be measured: the study holds no result for it" in words
    assert "results/quality.nc" in words


def test_titles_of_analyses_are_those_of_their_pages() -> None:
    assert len({row.title for row in ANALYSES.values()}) == len(ANALYSES)  # a list of what is missing names sections alone
    for row in ANALYSES.values():
        page = import_module(f"{row.compute.__module__.rpartition('.')[0]}.page")
        assert f'"{row.title}"' in getsource(page)


def test_sections_are_told_what_responses_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in ANALYSES.values():
        page = import_module(f"{row.compute.__module__.rpartition('.')[0]}.page")
        assert not re.search("averaged (measured )?response", getsource(page)), page.__name__
    monkeypatch.setattr(feature_maps, "draw_feature_maps", lambda *given: Figure())
    findings = tuple(Finding(name, 0.5, "1", 9, null_high=0.1) for name in feature_maps.WORDS)
    for called in ("averaged responses", "responses"):
        dataset = xr.Dataset(attrs={"form": "", "reason": "", "responses": called, "channels": "These are known."})
        assert " These are known." in feature_maps.feature_maps_section(dataset, findings).paragraphs[0]
        (part,) = feature_maps.feature_maps_section(dataset, findings).figures
        assert f"the maps of the {called} to them" in part.caption


@pytest.mark.parametrize(
    ("preset", "spaces", "says"),
    [
        (
            "default",
            "local 0.14, trained_network 0.87",
            "(“trained encoder”) is not among them, nor is any network trained on this recording.",
        ),
        ("default", "local 0.9, pixels 0.1", "no trained network is among them."),
        ("scratch", "", "the output of a network that was trained on this recording."),
        ("vna", "", ""),
    ],
)
def test_the_page_says_whether_a_trained_network_is_among_the_channels(
    preset: str, spaces: str, says: str, simulated_run: Path, tmp_path: Path
) -> None:
    summary = json.loads((simulated_run / "summary.json").read_text(encoding="utf-8"))
    rows = [{**row, "preset": preset} if row["decoder"] == "dina" else row for row in summary["decoding"]]
    fits = {"dina": {"feature_spaces": spaces}} if spaces else {}
    write_json(tmp_path / "summary.json", {**summary, "decoding": rows, "fits": fits})
    said = map_channels(read_run(tmp_path))
    assert said.endswith(says)
    assert bool(said) == bool(says)


def test_images_in_colour_stand_beside_their_brightness_as_reconstructions_are_grey() -> None:
    generator, n = np.random.default_rng(0), 4
    pairs = ("method", "first", "second"), generator.random((3, n, n))
    pixels = ("example", "height", "width"), generator.random((2, 6, 6))
    dataset = xr.Dataset(
        {
            "pixels": pixels,
            "rebuilt": (("method", *pixels[0]), generator.random((3, 2, 6, 6))),
            "quantile": ("example", [0.9, 0.1]),
            "correlation": pairs,
            "similarity": pairs,
        }
    )
    photographs = (("example", "row", "column", "colour"), generator.integers(0, 256, (2, 6, 6, 3), dtype=np.uint8))
    for one, n_columns in ((dataset, 4), (dataset.assign_coords(example_thumbnail=photographs), 5)):
        images = [axes for axes in feature_maps.draw_image_reconstruction(one).axes if axes.images]
        assert len(images) == 2 * n_columns
        assert any(axes.get_title(loc="left") == "its brightness" for axes in images) == (n_columns == 5)


def test_checksums_are_brought_up_to_date(bare_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(bare_run, tmp_path / "run")
    (run / "report.html").write_text("old", encoding="utf-8")
    write_checksums(run)
    write_report(run)
    assert not verify_checksums(run)


def test_figures_that_lead_out_of_the_run_are_refused(simulated_run: Path, tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    outside.mkdir()
    shutil.copy(simulated_run / "summary.json", run)
    (run / "figures").symlink_to(outside)
    with pytest.raises(DataError, match="figures is a link or a device, which could lead elsewhere"):
        write_report(run)
    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("summary.json", b"{", "summary.json must be JSON; it is not"),
        ("summary.json", b"[]", "summary.json must hold an object; it holds a list"),
        ("summary.json", b'{"decoding": [{}]}', "Row 0 of decoding in summary.json must be an object with a decoder"),
        ("study.toml", b"\xff", "study.toml must be text in UTF-8; byte 0 is not"),
        ("results/quality.nc", b"not NetCDF", "results/quality.nc cannot be read"),
    ],
)
def test_a_damaged_file_gives_one_sentence(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "summary.json").write_text("{}", encoding="utf-8")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must hold summary\.json"):
        write_report(tmp_path)


def test_analyses_that_nobody_asked_for_are_named_with_their_command(simulated_run: Path, tmp_path: Path) -> None:
    asked = {"couplings": {"findings": [], "reason": "There are no repeats."}}
    write_json(tmp_path / "summary.json", {"interpretation": asked})
    (tmp_path / "model.safetensors").write_bytes(b"towers")
    maps, *others, power = analyses_not_asked(read_run(tmp_path))
    assert power == "What more data would give – dina power RUN"
    assert maps == "Feature maps of images and of responses – dina interpret RUN feature_maps"
    assert not any("couplings" in said for said in others)
    assert "Stimulus conditions – dina interpret RUN conditions --with RECORDING" in others
    asked["attention_received"] = {"findings": [], "reason": "Attention is unknown. Fit towers with attention."}
    write_json(tmp_path / "summary.json", {"interpretation": asked})
    hubs = [said for said in analyses_not_asked(read_run(tmp_path)) if "most attended" in said]
    assert hubs == ["Towers fitted without the most attended neurons – Attention is unknown. Fit towers with attention."]
    assert analyses_not_asked(read_run(simulated_run)) == ()  # it holds no towers


def test_the_page_opens_with_plain_words_and_verdicts_before_any_other_number(simulated_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(simulated_run, tmp_path / "run")
    verdict = {"claim": "Coarse.", "side": "image", "verdict": "supported", "reason": "Kept 0.8 (0.7 to 0.9)."}
    write_json(run / "summary.json", {**read_run(run).summary, "verdicts": {"coarse": verdict}})
    words = Page(write_report(run)).all("main")[0].words
    order = (
        "What was asked.",
        "What was found.",
        "How sure.",
        "What it does not mean.",
        "Kept 0.8",
        "Accuracy of all decoders",
        "Paired differences",
    )
    places = [words.index(one) for one in order]
    assert places == sorted(places)


def test_questions_are_headings_over_the_sections_that_answer_them(simulated_run: Path) -> None:
    headings = [(element.tag, element.words) for element in page_of(simulated_run).all("h2", "h3")]
    assert [words for tag, words in headings if tag == "h2"] == ["How well are images decoded?", "About this study"]
    assert (
        headings.index(("h3", "Paired differences"))
        < headings.index(("h2", "About this study"))
        < headings.index(("h3", "Training"))
    )


def test_sections_stand_under_the_question_that_they_answer(simulated_run: Path) -> None:
    (navigation,) = page_of(simulated_run).all("nav")
    order = ("How well are images decoded?", "Paired differences", "About this study", "Training")
    places = [navigation.words.index(words) for words in order]
    assert places == sorted(places)
    assert "Which neurons" not in navigation.words  # of which this page says nothing
