"""Figures keep one meaning per colour, mark chance, overlap nowhere, and leave matplotlib as it was."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from dina.artifacts import write_dataset, write_json
from dina.figures.canvas import inline_svg, new_figure, svg_of
from dina.figures.finding_parts import finding_table
from dina.figures.line_names import spread
from dina.figures.style import COLOURS, LABELS, style_of
from dina.report import draw_run
from dina.report.accuracy import all_decoders, draw_accuracy, draw_directions
from dina.report.accuracy_curves import draw_gallery_size, draw_ranks
from dina.report.comparisons import differences
from dina.report.glossary import how_to_read
from dina.report.methods_section import methods_section
from dina.report.quality_figures import draw_histogram, draw_repeats, draw_spectrum
from dina.report.recording_quality import data_quality
from dina.report.training_curves import draw_training
from dina.retrieval.evaluate import DecodingRow
from dina.retrieval.ranks import retrieve
from dina.statistics.finding import Finding
from dina.study.run_directory import read_run
from report.figure_faults import faults_of


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.1 (https://www.w3.org/TR/WCAG21/#dfn-relative-luminance)."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def row(decoder: str, queries: str = "averaged", top1: float | None = 0.5, n_gallery: int = 100) -> DecodingRow:
    bounds = (None, None) if top1 is None else (max(top1 - 0.05, 0), min(top1 + 0.05, 1))
    return DecodingRow(
        decoder,
        "",
        queries,
        "image_from_response",
        n_gallery,
        top1=top1,
        top1_low=bounds[0],
        top1_high=bounds[1],
        chance_top1=1 / n_gallery,
    )


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.findobj(mpl.text.Text) if text.get_text()]


@pytest.mark.parametrize("paper", [0, 1])
@pytest.mark.parametrize("meaning", ["ink", "muted", "dina", "rival", "reference", "chance"])
def test_every_text_colour_reaches_contrast_aa(meaning: str, paper: int) -> None:
    light, dark = sorted((luminance(COLOURS[meaning][paper]), luminance(COLOURS["paper"][paper])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_decoders_of_one_kind_share_a_colour_and_differ_in_marker_or_line() -> None:
    styles = [style_of(name) for name in LABELS]
    assert all(style.colour == COLOURS[style.kind][0] for style in styles)
    assert len({(style.kind, style.marker, style.line) for style in styles}) == len(styles)


def test_reference_levels_stand_below_the_decoders() -> None:
    figure = draw_accuracy(
        [row("ideal_observer", top1=0.9), row("ridge"), row("dina", top1=0.4), row("mine", top1=0.6)], {"mine": "templates"}
    )
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["dina", "ridge regression", "ideal observer", "mine"]
    places = figure.axes[0].get_yticks()
    assert places[2] - places[1] > places[1] - places[0]
    assert "reference levels" in texts(figure)


def test_both_directions_have_intervals() -> None:
    rows = [row("ridge"), replace(row("ridge"), direction="response_from_image")]
    lines = draw_directions(rows, "averaged", {"ridge": "images"}).axes[0].lines
    spans = [tuple(np.round(line.get_xdata(), 6)) for line in lines if len(line.get_xdata()) == 2]
    assert spans.count((45.0, 55.0)) == 2


def test_few_values_make_few_bars() -> None:
    assert len(draw_histogram(np.arange(33.0), "response", None).axes[0].patches) == 6


def test_chance_is_marked_on_every_line_where_galleries_differ() -> None:
    figure = draw_accuracy([row("dina", n_gallery=100), row("ridge", n_gallery=50)], {})
    dashed = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_color() == COLOURS["chance"][0]]
    assert sorted(dashed) == [1.0, 2.0]
    assert "chance (dashed)" in texts(figure)


def test_a_decoder_without_a_number_keeps_its_line() -> None:
    assert "–" in texts(draw_accuracy([row("dina"), row("ridge", top1=None)], {}))


def test_names_at_line_ends_are_spread_in_order_without_overlap() -> None:
    values = np.array([50.0, 50.2, 50.1, 3.0, 99.0])
    placed = spread(values, 4.0, 2.0, 102.0)
    np.testing.assert_array_equal(np.argsort(placed), np.argsort(values))
    # spacing is asked for exactly; rounding may take a little
    assert np.diff(np.sort(placed)).min() >= 4.0 - 1e-9
    assert (placed.min(), placed.max()) == (3.0, 99.0)


def test_gallery_size_names_every_line_and_chance() -> None:
    sizes, names = np.array([2, 10, 60]), ["dina", "ridge"]
    values = (("decoder", "queries", "gallery_size"), np.array([[[1, 0.9, 0.8]], [[0.9, np.nan, np.nan]]]))
    dataset = xr.Dataset(
        {"top1": values, "top1_low": values, "top1_high": values, "chance": ("gallery_size", 1 / sizes)},
        coords={"decoder": names, "queries": ["averaged"], "gallery_size": sizes},
    )
    assert {"dina", "ridge regression", "chance"} <= set(texts(draw_gallery_size(dataset, "averaged", {})))


def test_power_law_goes_through_what_it_was_fitted_to() -> None:
    rank = np.arange(1, 101)
    figure = draw_spectrum(3.0 * rank**-1.5, 1.5, 11, 50)
    x, y = figure.axes[0].lines[1].get_data()
    # the spectrum is the power law itself, so only rounding parts them
    np.testing.assert_allclose(y, 3.0 * np.asarray(x) ** -1.5, rtol=1e-12)
    assert list(x) == [11, 50]


def test_ranks_start_at_top_1_and_end_at_the_whole_gallery() -> None:
    figure = draw_ranks({"dina": (np.array([0, 0, 1, 7]), np.array([0, 0, 1, 0]))}, {"dina": 10}, {})
    line = figure.axes[0].lines[0]
    assert (line.get_ydata()[0], line.get_ydata()[-1]) == (50.0, 100.0)


def test_a_tie_counts_among_the_best_k_as_in_top_1() -> None:
    found = retrieve(np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0], [3.0, 1.0, 1.0]]), np.array([0, 0, 0]), "image_from_response")
    line = draw_ranks({"dina": (found.n_better, found.n_tied)}, {"dina": 3}, {}).axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), [100 * found.top(k).mean() for k in (1, 2, 3)])
    assert line.get_ydata()[0] == pytest.approx(50)


def test_the_highest_accuracy_of_training_is_not_at_the_edge() -> None:
    axes = draw_training(np.arange(3.0), {}, {"top-1": np.array([0.5, 0.508, 0.4875])}, None, 1).axes[0]
    assert axes.get_ylim()[1] > 50.8 * 1.05


def test_reference_levels_without_a_number_are_not_drawn_or_explained(simulated_run: Path) -> None:
    run = read_run(simulated_run)
    bare = dict(top1=None, top1_low=None, top1_high=None, reason="There are no repeats.")
    vars(run)["rows"] = tuple(replace(row, **bare) if row.decoder.startswith(("ideal", "nearest")) else row for row in run.rows)
    section = all_decoders(run)
    assert "reference level" not in " ".join((*section.paragraphs, section.figures[0].caption)).lower()
    assert "reference levels" not in texts(section.figures[0].figure)
    assert "Reference levels do not use it" not in " ".join(methods_section(run).paragraphs)
    vars(run)["summary"] = run.summary | {"recording": {"n_trials": 9, "n_presentations": 90, "n_repeats_range": [1, 1]}}
    assert dict(how_to_read(run).tables[0].rows)["Averaged responses and single trials"].startswith(
        "Here each response is already"
    )
    assert not {"Ideal observer", "Nearest repeat"} & {word for word, _ in how_to_read(run).tables[0].rows}


@pytest.mark.parametrize("values", [np.full(5, 0.3), 1 + np.arange(5) * 2e-16, np.array([np.nan, 0.1, 0.2])])
def test_constant_and_missing_values_can_be_drawn(values: np.ndarray) -> None:
    assert draw_histogram(values, "reliability", "none").axes
    assert draw_repeats(np.array([1, 1, 40])).axes
    assert draw_training(np.arange(3.0), {"train loss": np.array([np.nan, 2.0, 1.0])}, {}, None, 1).axes


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    before = dict(mpl.rcParams)
    svg_of(draw_repeats(np.array([2, 2])), "repeats")
    assert dict(mpl.rcParams) == before


def test_inline_drawing_follows_the_paper_and_shares_no_id() -> None:
    figure = new_figure(50, 40)
    figure.add_subplot().plot([0, 1], [0, 1], "o", color=COLOURS["dina"][0])
    svg = svg_of(figure, "one")
    assert "<metadata" not in svg
    drawing = inline_svg(svg, "one")
    assert "var(--dina)" in drawing
    assert COLOURS["dina"][0] not in drawing
    assert "<style" not in drawing
    assert drawing.count(' id="') == drawing.count(' id="one-') > 0


def test_no_figure_of_a_study_has_words_outside_or_labels_longer_than_its_axes(simulated_run: Path) -> None:
    for name, figure in draw_run(simulated_run).items():
        svg_of(figure, name)
        assert faults_of(figure) == [], name


def test_long_labels_are_broken_and_counts_have_whole_ticks() -> None:
    figure = new_figure(100, 60)
    left, right = figure.subplots(1, 2)
    left.set(xlabel="training images (units of the score)", ylabel="margin lost without it (units)")
    right.plot([0, 1], [1, 2.5])
    right.set(ylabel="neurons")
    right.set_xlabel("one-word-that-is-far-too-long")
    svg_of(figure, "long")
    assert faults_of(figure) == []
    assert left.get_xlabel().replace("\n", " ") == "training images (units of the score)"
    assert right.xaxis.label.get_fontsize() < left.xaxis.label.get_fontsize()


def test_dina_before_training_is_seen_where_it_lies_on_dina() -> None:
    rank = (np.array([0, 0, 1, 7]), np.array([0, 0, 1, 0]))
    lines = {
        line.get_label(): line
        for line in draw_ranks({"dina_before_training": rank, "dina": rank}, {"dina": 10, "dina_before_training": 10}, {})
        .axes[0]
        .lines
    }
    before, after = lines["dina before training"], lines["dina"]
    assert before.get_zorder() > after.get_zorder()
    assert before.get_linestyle() != after.get_linestyle()
    assert before.get_path_effects()  # an edge in the colour of the paper, wider than the line below


def test_differences_are_dina_minus_other_for_every_measure(simulated_run: Path) -> None:
    run = read_run(simulated_run)
    parts = {part.name: part for part in differences(run).figures}
    for name, scale, right in (("top1", 100, "dina is better"), ("mean_log_rank", 1, "the other is better")):
        part = parts[f"differences_{name}"]
        row = next(row for row in part.table.rows if row[:2] == ("ridge regression", "averaged responses"))
        stored = float(run.comparisons[f"{name}_difference"].sel(rival="ridge", queries="averaged"))
        # the table has at least one decimal
        assert float(row[2].replace("−", "-")) == pytest.approx(scale * stored, abs=0.05)
        assert any(words.startswith(right) and words.endswith("→") for words in texts(part.figure))
        assert part.figure.axes[0].get_xlabel().startswith("dina − other")


def test_captions_of_differences_explain_only_the_marks_that_are_there(simulated_run: Path) -> None:
    run = read_run(simulated_run)
    both = {part.caption for part in differences(run).figures}
    assert all("filled marks: averaged responses; hollow: single trials" in caption for caption in both)
    vars(run)["comparisons"] = run.comparisons.sel(queries=["single_trial"])
    captions = [part.caption for part in differences(run).figures]
    assert len(captions) == 2
    assert all("single trials; " in caption and "hollow" not in caption for caption in captions)


def test_a_table_sends_to_the_reason_why_a_number_has_no_null() -> None:
    found = {"a": Finding("a", 0.5, "1", 9, reason="No null."), "b": Finding("b", 0.5, "1", 9)}
    said = [row[-1] for row in finding_table("", {"a": "one", "b": "other"}, found).rows]
    assert said == ["none: see what is missing", "none: it describes and tests nothing"]
    said = [row[-1] for row in finding_table("", {"b": "other"}, found, instead={"b": "none: each is tested"}).rows]
    assert said == ["none: each is tested"]


def test_last_digits_of_coordinates_do_not_change_a_drawing():
    """Layout may end one digit elsewhere: names of clip paths must not tell."""
    texts = []
    for shift in (0.0, 1e-14):
        figure = Figure(figsize=(3, 2))
        axes = figure.add_axes((0.1 + shift, 0.1, 0.8, 0.8))
        axes.plot([0, 1], [0, 1])
        texts.append(svg_of(figure, "clips"))
    assert 'clipPath id="clips-clip0"' in texts[0]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("exponent", "says", "has_power"),
    [(1.2, "Noise grows with", True), (0.05, "Noise does not certainly grow with", False), (-0.5, "Noise falls with", False)],
)
def test_noise_is_said_to_grow_only_where_it_does(
    exponent: float, says: str, has_power: bool, simulated_run: Path, tmp_path: Path
) -> None:
    content = read_run(simulated_run)
    assert content.quality is not None
    law = {"exponent": exponent, "low": exponent - 0.1, "high": exponent + 0.1}
    write_json(tmp_path / "summary.json", content.summary)
    changed = content.quality.assign_attrs({f"mean_variance_{name}": value for name, value in law.items()})
    write_dataset(tmp_path / "results" / "quality.nc", changed)
    (part,) = (one for one in data_quality(read_run(tmp_path)).figures if one.name == "mean_variance")
    assert part.caption.startswith(says)
    assert ("would make the noise" in part.caption) == has_power
