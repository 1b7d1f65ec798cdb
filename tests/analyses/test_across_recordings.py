"""Several recordings are put together with the mouse as the unit."""

import math

import numpy as np
import pytest

from dina.analyses import RULES
from dina.analyses.across_recordings import RecordingFindings, combine_recordings, explain_guesses, mouse_of
from dina.analyses.verdict import judge
from dina.checks import DataError
from dina.statistics.finding import Finding


def told(name: str, mouse: str, value: float, error: float = 0.0, units: str = "1") -> RecordingFindings:
    reach = 1.96 * error
    finding = Finding("area", value, units, 50, value - reach, value + reach, -0.1, 0.1, "shuffled")
    return RecordingFindings(name, mouse, {"occlusion": {"area": finding}})


def test_every_mouse_counts_the_same() -> None:
    recordings = [told(f"a{i}", "a", 1.0) for i in range(9)] + [told("b", "b", 4.0), told("c", "c", 4.0)]
    across = combine_recordings(recordings)
    assert across.combined[0].value == pytest.approx(3.0)
    assert across.combined[0].n == 3


def test_the_interval_covers_the_mean_of_the_population_of_mice() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for experiment in range(100):
        own = generator.normal(0.5, 0.2, 12)  # 12 mice, two recordings each
        recordings = [
            told(f"{mouse}-{number}", str(mouse), float(own[mouse] + generator.normal(0, 0.05)), 0.05)
            for mouse in range(12)
            for number in range(2)
        ]
        finding = combine_recordings(recordings, seed=experiment, n_resamples=400).combined[0]
        covered += finding.low <= 0.5 <= finding.high
    # percentile intervals of 12 mice cover about 92 %, of 100 experiments 86 to 98
    assert covered >= 86


def test_recordings_of_one_mouse_do_not_narrow_the_interval() -> None:
    values = {"a": 0.0, "b": 0.5, "c": 1.0, "d": 0.2}
    once = [told(mouse, mouse, value) for mouse, value in values.items()]
    often = [told(f"{mouse}{number}", mouse, value) for mouse, value in values.items() for number in range(10)]
    widths = [f.high - f.low for f in (combine_recordings(r).combined[0] for r in (once, often))]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)  # 10,000 resamples know an end to a few per cent


def test_errors_of_recordings_widen_the_interval() -> None:
    widths = []
    for error in (0.0, 0.5):
        finding = combine_recordings([told(mouse, mouse, 1.0, error) for mouse in "abcd"]).combined[0]
        widths.append(finding.high - finding.low)
    assert widths[0] == pytest.approx(0.0)
    assert widths[1] == pytest.approx(2 * 1.96 * 0.5 / 2, rel=0.05)  # four mice halve the error of one


def test_the_null_of_the_mean_is_narrower_than_that_of_one() -> None:
    finding = combine_recordings([told(mouse, mouse, 1.0) for mouse in "abcd"]).combined[0]
    assert (finding.null_low, finding.null_high) == pytest.approx((-0.05, 0.05))


def test_a_finding_that_some_recordings_lack_rests_on_the_others() -> None:
    lacking = RecordingFindings("d", "d", {"occlusion": {"area": Finding("area", math.nan, "1", 0, reason="no fields")}})
    across = combine_recordings([told("a", "a", 1.0), told("b", "b", 2.0), told("c", "c", 3.0), lacking])
    assert (across.combined[0].value, across.combined[0].n) == (2.0, 3)
    dataset = across.to_dataset()
    assert np.isnan(dataset["value"].sel(recording="d")).all()
    assert dataset["mouse"].values.tolist() == ["a", "b", "c", "d"]


def test_verdicts_read_combined_findings() -> None:
    findings = combine_recordings([told(mouse, mouse, 1.0, 0.1) for mouse in "abc"]).by_analysis()
    assert judge(tuple(RULES.values()), findings)[0].verdict == "cannot tell"  # what it needs is not there
    assert findings["occlusion"]["area"].n == 3


@pytest.mark.parametrize(
    ("recordings", "words"),
    [
        ([told("a", "a", 1.0)], "at least two"),
        ([told("a", "a", 1.0), told("a", "b", 1.0)], "different names"),
    ],
)
def test_what_cannot_be_combined_is_refused(recordings: list[RecordingFindings], words: str) -> None:
    with pytest.raises(DataError, match=words):
        combine_recordings(recordings)


def test_a_finding_in_two_units_is_left_open_with_the_reason() -> None:
    finding = combine_recordings([told("a", "a", 1.0), told("b", "b", 1.0, units="degree")]).combined[0]
    assert math.isnan(finding.value)
    assert "units 1 and degree" in finding.reason


def test_a_stated_animal_wins_over_the_name_and_guesses_are_told() -> None:
    names = ("cowley2023_201025", "natimg2800_M170714_MP032_2017-09-14", "MP032_day2")
    assert [mouse_of(name) for name in names] == [names[0], "MP032", "MP032"]
    assert mouse_of(names[1], "another") == "another"
    words = explain_guesses({names[0]: None, names[1]: "MP032", names[2]: None})
    assert words.startswith("Animals taken from names: cowley2023_201025, MP032 (MP032_day2). ")
    assert "set animal = " in words
    assert explain_guesses({names[1]: "MP032"}) == ""
