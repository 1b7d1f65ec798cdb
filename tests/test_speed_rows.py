"""Every row of the speed table works in tiny form, or says why it is not run; a stopped run goes on; ratios are what they are said to be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark_scripts import import_script

speed: Any = import_script("benchmarks.__main__", folder=".")
contest: Any = import_script("benchmarks.speed.contest", folder=".")
page: Any = import_script("benchmarks.speed.results_page", folder=".")


@pytest.mark.parametrize("name", speed.ROWS)
def test_a_row_works_in_tiny_form_or_says_why_it_is_not_run(name: str) -> None:
    row = speed.ROWS[name]
    if row.only_by_name:
        assert f"| {name} | not run: {row.only_by_name} |" in page.write_page({}, {name: row.only_by_name})
        return
    result = speed.measure_row(row, quick=True)
    assert result.lines
    for line in result.lines:
        is_measured = line.ours_s is not None or line.times is not None
        assert is_measured or "is not installed: python -m pip install" in line.note
        assert line.is_reached is not None or not is_measured
    text = page.write_page({name: result}, {name: ""})
    assert all(line.work in text for line in result.lines)
    assert "tiny sizes" in text


def test_a_stopped_run_goes_on_and_a_row_that_failed_says_why(tmp_path: Path) -> None:
    measured = []

    def one(*, quick: bool) -> Iterator[Any]:
        measured.append("one")
        yield contest.Line("work of one", "peer", "≥ 2 ×", contest.Times(1.0, 3.0, (3.0, 2.9, 3.1)), is_reached=True)

    def two(*, quick: bool) -> Iterator[Any]:
        measured.append("two")
        if measured.count("two") == 1:
            raise RuntimeError("no luck")
        yield contest.Line("work of two", "peer", "–", note="peer is not installed")

    rows = {"one": speed.Row(one), "two": speed.Row(two), "three": speed.Row(two, only_by_name="too long")}
    assert speed.run(rows, (), tmp_path, quick=True) == 1
    first = (tmp_path / "RESULTS.md").read_text()
    assert "3 (2.9 to 3.1)" in first
    assert "| two | not run: it failed (RuntimeError: no luck) |" in first
    assert "| three | not run: too long |" in first
    assert speed.run(rows, (), tmp_path, quick=True) == 0
    assert measured == ["one", "two", "two"]
    second = (tmp_path / "RESULTS.md").read_text()
    assert "3 (2.9 to 3.1)" in second
    assert "| work of two | – | peer | not run: peer is not installed |" in second
    speed.run(rows, ["one"], tmp_path, quick=True)
    assert measured[-1] == "one"


def test_shares_and_preparations_count_in_ratios_and_exponents_are_those_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(contest.time, "perf_counter", lambda: clock[0])

    def work(seconds: float) -> Any:
        def spend() -> None:
            clock[0] += seconds

        return spend

    # a quarter of the work in 2 s, of which 1 s is preparation; the peer needs 12 s for all of it
    times = contest.compete(contest.Side(work(2.0), share=0.25, less=work(1.0)), contest.Side(work(12.0)), quick=False)
    assert (times.ours_s, times.other_s, *times.ratio) == pytest.approx((4.0, 12.0, 3.0, 3.0, 3.0))
    assert contest.exponent(lambda n: work(0.01 * n**1.5), (1, 2, 4, 8)) == pytest.approx(1.5)
    assert contest.exponent(lambda n: work(2.0 * n**2), (1, 2, 4, 8)) == pytest.approx(2.0)
