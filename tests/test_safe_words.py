"""Words of other people steer neither a terminal nor a spreadsheet."""

import io
import logging

import pandas as pd
import pytest

from dina.cli.tables import print_report_table
from dina.figures.parts import Table
from dina.safe_words import PrintableFormatter, one_line, printable, say, table_text


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07mouse", "mouse"),
        ("\x1b]8;;https://example.org\x1b\\day", "day"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1bPq#0\x1b\\mouse", "mouse"),
        ("\x1b]0;no end", "]0;no end"),
        ("over\rwritten\b\x00", "overwritten"),
        ("exe\u202egnp\u2066.", "exegnp."),
        ("two\nlines\tof Größe, μ, 鼠", "two\nlines\tof Größe, μ, 鼠"),
        ("half \ud800 sign", "half  sign"),
    ],
)
def test_what_steers_a_terminal_is_left_out(words: str, shown: str) -> None:
    assert printable(words) == shown


@pytest.mark.parametrize("sign", ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_break_within_a_name_begins_no_line(sign: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert one_line(f"M1.mat{sign}All is well.") == r"M1.mat\nAll is well."
    say("first", f"M1.mat{sign}All is well.")
    assert capsys.readouterr().out.splitlines() == ["first", r"M1.mat\nAll is well."]


def test_a_table_in_the_terminal_has_a_row_for_each_of_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    name = "[red]m1[/] \nAll is well."
    print_report_table(Table(name, ("fact", name), (("name", name),), n_words=2), [name])
    lines = capsys.readouterr().out.splitlines()
    assert [line.count(r"[red]m1[/] \nAll is well.") for line in lines] == [1, 0, 1, 0, 1, 0, 1]


def test_log_lines_go_through_the_same_door() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    handler.handle(logging.LogRecord("dina", logging.INFO, "", 0, "Reading %s", ("\x1b[2J\u202ename\nDone.",), None))
    assert stream.getvalue() == "Reading name\\nDone.\n"


@pytest.mark.parametrize("cell", ["=1+2", "+1", "-cmd|' /C calc'!A0", "@sum(1)", "\t=1", "\r=1"])
def test_no_cell_of_words_is_a_formula(cell: str) -> None:
    frame = pd.DataFrame({"label": [cell], cell: [-1.5]}, index=pd.Index([cell], name="neuron"))
    for column in (frame, frame.assign(label=frame["label"].astype("category"))):
        read = pd.read_csv(io.StringIO(table_text(column, with_index=True)), dtype=str)
        words = [*read.columns, *read.iloc[0]]
        assert [word for word in words if word.startswith(tuple("=+-@\t\r"))] == ["-1.5"]


def test_numbers_and_harmless_words_stay_as_they_are() -> None:
    frame = pd.DataFrame({"label": ["cat", "a-b", None], "value": [-1.0, 2.0, float("nan")]})
    assert table_text(frame) == frame.to_csv(index=False, lineterminator="\n")
