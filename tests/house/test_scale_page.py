"""The page on scale says what its script reckons from the measured rows."""

from typing import Any

import pytest

from benchmark_scripts import import_script

scale: Any = import_script("benchmarks.scale", folder=".")


def test_the_page_is_that_of_the_kept_rows() -> None:
    assert scale.PAGE.read_text(encoding="utf-8") == scale.write_page(scale.read_kept()), "run `python -m benchmarks.scale` again"


def test_times_grow_with_the_measured_power_and_with_that_of_the_algorithm() -> None:
    line = {"ours_s": None, "times": {"ours_s": 36.0}, "growth": {"neurons": 0.5}}
    results = {"encoding": {"lines": [line], "threads": 2, "load": 2.5, "machine": "two cores", "versions": "dina 1"}}
    step = next(each for each in scale.STEPS if each.row == "encoding")
    # 2 × 36 s at 10,000 neurons; a hundred times as many take 10 times as long, or 100 times
    assert step.hours_at(1_000_000, results) == pytest.approx((0.2, 2.0))
    page = scale.write_page(results)
    assert "| 1,000,000 neurons | 0.2 to 2 | 0.01 to 0.1 |" in page
    assert f"Measured on two cores; dina 1. The machine was busy, so that times are too long: {step.words}." in page
    assert page.count("| not measured | – |") == sum(len(scale.SIZES[each.grows]) for each in scale.STEPS) - 2
