"""Tables, figures and methods leave the page as files that a journal and a spreadsheet take."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from dina.artifacts import write_dataset, write_json
from dina.figures.canvas import new_figure
from dina.figures.parts import FigurePart, Section, Table
from dina.report.export import export_page
from dina.report.paper_methods import methods_paragraph
from dina.report.table_files import table_csv
from dina.statistics.finding import Finding
from dina.study.run_directory import read_run

TABLE = Table("Accuracies.", ("decoder", "top-1", "difference"), (("=ridge", "68.8\u202f%\n(chance 2\u202f%)", "−1,500.5"),))
POINTS_PER_MM = 72 / 25.4


def part(name: str, figure: Figure) -> FigurePart:
    return FigurePart(name, figure, f"Caption of {name}.", "A line.", TABLE)


def drawn(width_mm: float, label: str) -> Figure:
    figure = new_figure(width_mm, 60)
    axes = figure.add_subplot(xlabel=label)
    axes.plot([0, 1], [0, 1])
    return figure


def crowded_figure() -> Figure:
    """Return a figure whose labels would lie on each other in one column, so that it cannot be laid out anew."""
    figure = drawn(180, "k")
    figure.axes[0].set_xticks(np.linspace(0, 1, 7), ["a long category"] * 7)
    return figure


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    crowded = crowded_figure()
    section = Section(
        "some-part", "Some part", figures=[part("plain", drawn(130, "k")), part("crowded", crowded)], tables=[TABLE]
    )
    export_page([section], ("What was done [1].", "1. A source."), folder)
    return folder


def test_every_table_and_figure_is_written_for_both_widths(exported: Path) -> None:
    names = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    figures = {f"figures/{name}-{c}.{e}" for name in ("plain", "crowded") for c in ("single", "double") for e in ("svg", "pdf")}
    tables = {f"tables/{name}.csv" for name in ("plain", "crowded", "some_part")}
    assert names == figures | tables | {"figures/README.txt", "tables/README.txt", "methods.txt"}
    assert "some_part.csv\nSome part. Accuracies." in (exported / "tables/README.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["plain", "crowded"])
@pytest.mark.parametrize(("column", "width_mm"), [("single", 88), ("double", 180)])
def test_a_figure_is_as_wide_as_its_column(exported: Path, name: str, column: str, width_mm: float) -> None:
    svg = re.search(r'width="([\d.]+)pt"', (exported / f"figures/{name}-{column}.svg").read_text(encoding="utf-8"))
    pdf = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", (exported / f"figures/{name}-{column}.pdf").read_bytes())
    assert svg is not None
    assert pdf is not None
    # files hold three decimals of a point
    assert float(svg[1]) == pytest.approx(width_mm * POINTS_PER_MM, abs=0.01)
    assert float(pdf[1]) == pytest.approx(width_mm * POINTS_PER_MM, abs=0.01)


def test_letters_keep_their_size_unless_labels_would_be_cut(exported: Path) -> None:
    words = (exported / "figures/README.txt").read_text(encoding="utf-8")
    assert "plain (single column: letters of 6.0 pt; double column: letters of 7.0 pt)\nCaption of plain." in words
    assert "crowded (single column: letters of 3.9 pt" in words  # 8 points times 88 / 180


def test_numbers_are_numbers_and_no_cell_is_a_formula() -> None:
    assert table_csv(TABLE) == 'decoder,top-1 (%),"top-1, chance (%)",difference\n\'=ridge,68.8,2,-1500.5\n'


def test_a_column_of_one_unit_names_it_and_one_of_several_has_a_column_for_it() -> None:
    rows = (
        ("kept", "46.0\u202f%", "34.0 to 60.0\u202f%", "1.4\u202f%\n(0.5 to 2\u202f%)", "< 0.001"),
        ("lost", "+0.1\u202fpoints", "−0.2 to +0.4\u202fpoints", "–", "0.02"),
    )
    lines = table_csv(Table("", ("statistic", "value", "interval", "share", "p"), rows)).splitlines()
    assert lines[0] == (
        'statistic,value,unit of value,"interval, low","interval, high",unit of interval,'
        'share (%),"share, low (%)","share, high (%)",p'
    )
    assert lines[1:] == ["kept,46.0,%,34.0,60.0,%,1.4,0.5,2.0,< 0.001", "lost,0.1,points,-0.2,0.4,points,,,,0.02"]


def test_headings_that_come_twice_are_told_apart() -> None:
    table = Table("", ("kept", "share", "95\u202f% interval", "as query", "95\u202f% interval"), (("a", "1", "2", "3", "4"),))
    assert table_csv(table).splitlines()[0] == 'kept,share,95 % interval,as query,"95 % interval, as query"'


def test_a_pdf_that_is_made_smaller_keeps_every_mark_and_line(tmp_path: Path) -> None:
    figure = crowded_figure()
    figure.axes[0].plot([0.1, 0.5, 0.9], [0.1, 0.5, 0.9], "o")
    with mpl.rc_context({"pdf.compression": 0}):
        export_page([Section("some-part", "Some part", figures=[part("marked", figure)])], (), tmp_path)
    single, double = ((tmp_path / f"figures/marked-{column}.pdf").read_bytes() for column in ("single", "double"))
    n_marks = [len(re.findall(rb"/M\d+ Do", content)) for content in (single, double)]
    assert n_marks[0] == n_marks[1] >= 3
    n_strokes = [len(re.findall(rb" l\nS\n| l S\n|\nS\n", content)) for content in (single, double)]
    assert n_strokes[0] == n_strokes[1] > 0


def test_drawings_can_be_put_into_one_file_without_sharing_a_clip_path(exported: Path) -> None:
    ids = [
        re.findall(r'<clipPath id="([^"]+)"', path.read_text(encoding="utf-8")) for path in (exported / "figures").glob("*.svg")
    ]
    named = [name for of_file in ids for name in of_file]
    assert named
    assert len(set(named)) == len(named)


def test_a_heading_keeps_its_name_beside_one_that_begins_alike() -> None:
    table = Table("", ("fit", "gain, lower half", "gain"), (("a", "0.1", "0.2"),))
    assert table_csv(table).splitlines()[0] == 'fit,"gain, lower half",gain'


@pytest.mark.parametrize("word", ["chance", "null"])
def test_value_interval_and_null_of_one_cell_get_a_column_each(word: str) -> None:
    cell = f"+16.7\u202fpoints\n(+9.1 to +26.7\u202fpoints)\n({word} −10.0 to +10.0\u202fpoints)"
    heading, row = table_csv(Table("", ("condition", "loss"), (("8D", cell),))).splitlines()
    assert heading.replace('"', "") == ",".join(
        ["condition", *(f"loss{part} (points)" for part in ("", ", low", ", high", f", {word}, low", f", {word}, high"))]
    )
    assert row == "8D,16.7,9.1,26.7,-10.0,10.0"


def test_methods_name_the_analyses_that_have_no_null(simulated_run: Path, tmp_path: Path) -> None:
    def found(low: float) -> dict:
        return {"findings": [Finding("size", 0.5, "1", 9, null_low=low, null_high=low + 0.1).to_json()], "reason": None}

    interpreted = {"occlusion": found(0.1), "variance_spectra": found(np.nan)}
    write_json(tmp_path / "summary.json", {**read_run(simulated_run).summary, "interpretation": interpreted})
    for name in interpreted:
        write_dataset(tmp_path / f"results/interpretation/{name}.nc", xr.Dataset())
    text = methods_paragraph(read_run(tmp_path))[0]
    assert (
        "with a null of their own, by “Where in the image the decoding comes from”; without a null, which describe and test nothing, by “Variance spectra”."
        in text
    )


def test_methods_say_what_was_done_and_list_each_source_once(simulated_run: Path) -> None:
    text, *sources = methods_paragraph(read_run(simulated_run))
    for words in (
        "400 neurons",
        "600 images",
        "480 for training, 60 for validation and 60 for testing (seed 0)",
        "power 0.5",
        "1.7\u202f%",
    ):
        assert words in text
    assert "ridge regression" in text
    cited = {int(number) for group in re.findall(r"\[([\d, ]+)\]", text) for number in group.split(", ")}
    assert cited == set(range(1, len(sources) + 1))
    assert "not recorded" not in text.replace("shrinkage not recorded", "")


def test_a_transform_that_the_study_named_is_not_called_the_best(simulated_run: Path, tmp_path: Path) -> None:
    summary = read_run(simulated_run).summary
    for tried in ({"identity": 1.5}, {}):
        named = {"name": "identity", "mean_log_rank": tried}
        write_json(tmp_path / "summary.json", {**summary, "response_transform": named})
        text = methods_paragraph(read_run(tmp_path))[0]
        assert "Responses were decoded as recorded" in text
        assert ("told training images apart as well as the best" in text) == bool(tried)


def test_a_run_without_dina_has_methods_of_the_others(bare_run: Path) -> None:
    text = methods_paragraph(read_run(bare_run))[0]
    assert "two towers" not in text
    assert "ridge regression" in text


@pytest.mark.parametrize(("condition", "said"), [("clouds", "images (condition: clouds) in"), (None, "images in")])
def test_a_condition_is_named_in_the_methods_only_where_it_was_stated(
    simulated_run: Path, tmp_path: Path, condition: str | None, said: str
) -> None:
    summary = read_run(simulated_run).summary
    write_json(tmp_path / "summary.json", {**summary, "recording": {**summary["recording"], "condition": condition}})
    assert said in methods_paragraph(read_run(tmp_path))[0]
