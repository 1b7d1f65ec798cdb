"""Progress shows in a terminal only, only when it lasts, and one bar at a time."""

import io
import logging
import sys
import time

import pytest

from dina import progress
from dina.progress import track


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Call it in the test itself: between set-up and test pytest puts back its own standard error."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(progress, "DELAY_S", 0.05)
    monkeypatch.setenv("TERM", "xterm")
    return shown


def test_all_items_pass_in_order_and_a_pipe_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(5), "Counting")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_a_quick_loop_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    assert list(track(iter("abc"), "Counting", total=3)) == ["a", "b", "c"]
    assert "Counting" not in terminal.getvalue()


def test_a_bar_shows_while_the_first_item_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    detail = {"loss": "none"}
    for item in track([1, 2], "Counting", detail=detail):
        detail["loss"] = f"{item}.5"
        wanted = "Counting" if item == 1 else "loss 1.5"
        # the bar comes after DELAY_S and is drawn ten times a second; on a busy machine a thread may wait for its turn
        until = time.monotonic() + 10
        while wanted not in terminal.getvalue():
            assert time.monotonic() < until, f"{wanted} was not shown"
            time.sleep(0.01)
    assert "1/2" in terminal.getvalue()


def test_a_loop_inside_a_loop_and_one_broken_off_leave_the_terminal_free(monkeypatch: pytest.MonkeyPatch) -> None:
    use_terminal(monkeypatch)
    pairs = [(a, b) for a in track(range(2), "Outer") for b in track(range(2), "Inner")]
    assert pairs == [(0, 0), (0, 1), (1, 0), (1, 1)]
    loop = track(range(9), "Broken off")
    next(loop)
    loop.close()  # type: ignore[attr-defined]
    assert progress._TERMINAL.acquire(blocking=False)
    progress._TERMINAL.release()


def test_where_there_is_no_terminal_a_line_is_logged_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with caplog.at_level(logging.INFO, "dina.progress"):
        assert list(track(range(3), "Counting")) == [0, 1, 2]
        assert list(track(iter("ab"), "Reading")) == ["a", "b"]
    assert caplog.messages == [
        "Counting: 1 of 3, about 0 s left",
        "Counting: 2 of 3, about 0 s left",
        "Reading: 1",
    ]
