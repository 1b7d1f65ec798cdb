"""Rows that see all queries are told apart on the page, and drawn beside nothing."""

import json
from pathlib import Path

from dina.figures.canvas import svg_of
from dina.report import write_report
from dina.report.accuracy import all_decoders
from dina.report.comparisons import differences, directions
from dina.study.run_directory import read_run
from report.fabricated_run import fabricate_run


def corrected_run(folder: Path) -> Path:
    run = fabricate_run(folder)
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    own = [row for row in summary["decoding"] if row["decoder"] == "dina"]
    summary["decoding"] += [row | {"decoder": "dina_csls", "reads": "queries", "hubness": 0.25} for row in own]
    (run / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return run


def test_they_stand_in_the_table_with_a_note_and_in_no_figure(tmp_path: Path) -> None:
    run = read_run(corrected_run(tmp_path))
    section = all_decoders(run)
    assert any("all test queries at once" in words for words in section.paragraphs)
    rows = [row for row in section.figures[0].table.rows if "CSLS" in row[0]]
    assert {row[1] for row in rows} == {"sees all queries"}
    assert {row[-1] for row in rows} == {"0.25"}
    for part in (*section.figures, *differences(run).figures, *directions(run).figures):
        assert "CSLS" not in svg_of(part.figure, part.name)


def test_without_them_nothing_is_said_and_q_values_stand_beside_p(tmp_path: Path) -> None:
    run = fabricate_run(tmp_path)
    write_report(run)
    read = read_run(run)
    assert not any("at once" in words for words in all_decoders(read).paragraphs)
    table = differences(read).figures[0].table
    assert table.columns[-2:] == ("p", "q")
    found = {(row[0], row[1]): row[-1] for row in table.rows}
    assert found["ridge regression", "averaged responses"] != "–"
    assert found["nearest repeat (raw)", "single trials"] == "–"
