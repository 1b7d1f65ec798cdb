"""A verdict follows from the findings that its rule names, and from nothing else."""

import math
from dataclasses import replace

import pytest

from dina.analyses.verdict import Rule, Verdict, judge, place_of
from dina.checks import DataError
from dina.statistics.finding import Finding

AREA = ("occlusion", "area")
NOTE = ("occlusion", "note")


def decide(found: dict) -> tuple[str, str]:
    return ("supported" if place_of(found[AREA], 0.5) == "above" else "not supported"), f"read {len(found)}"


RULE = Rule("Many regions.", "image", "Area.", (AREA,), decide, (NOTE,))


def area(value: float, reason: str = "") -> Finding:
    return Finding("area", value, "1", 20, low=value - 0.1, high=value + 0.1, reason=reason)


def test_a_rule_decides_from_the_findings_it_names_and_its_verdict_lists_them() -> None:
    others = {"area": area(0.8), "note": Finding("note", 1.0, "1", 3), "unread": Finding("unread", 0.0, "1", 3)}

    (verdict,) = judge([RULE], {"occlusion": others})

    assert (verdict.verdict, verdict.reason) == ("supported", "read 2")
    assert [(analysis, finding.name) for analysis, finding in verdict.findings] == [AREA, NOTE]


@pytest.mark.parametrize(
    ("findings", "missing", "reason"),
    [
        ({}, {}, "The analysis occlusion was not done."),
        ({}, {"occlusion": "There are no towers."}, "The analysis occlusion could not be done: There are no towers."),
        (
            {"occlusion": {}},
            {},
            "The analysis occlusion did not measure what this claim rests on. Repeat it with `dina interpret RUN occlusion --force`.",
        ),
        (
            {"occlusion": {"area": area(math.nan, "No place is covered.")}},
            {},
            "It is not known: No place is covered.",
        ),
    ],
)
def test_a_missing_finding_makes_the_verdict_cannot_tell_with_its_reason(findings: dict, missing: dict, reason: str) -> None:
    (verdict,) = judge([RULE], findings, missing)

    assert (verdict.verdict, verdict.reason) == ("cannot tell", reason)


def test_an_optional_finding_that_is_nan_is_not_handed_to_the_rule() -> None:
    note = Finding("note", math.nan, "1", 3, reason="unknown")

    (verdict,) = judge([RULE], {"occlusion": {"area": area(0.8), "note": note}})

    assert verdict.reason == "read 1"


@pytest.mark.parametrize(
    ("findings", "reason"),
    [
        ({"occlusion": {"area": area(0.8), "note": Finding("note", math.nan, "1", 3, reason="Unknown.")}}, "Unknown."),
        ({"occlusion": {"area": area(0.8), "note": Finding("note", 1.0, "1", 3)}}, ""),
        ({"occlusion": {"area": area(0.8)}}, "none"),
    ],
)
def test_a_rule_that_asks_why_is_handed_nan_with_its_reason(findings: dict, reason: str) -> None:
    rule = replace(RULE, decide=lambda found: ("cannot tell", found[NOTE].reason if NOTE in found else "none"))
    asking = replace(rule, may_read=(), asks_why=(NOTE,))

    assert judge([asking], findings)[0].reason == reason


def test_a_rule_that_asks_why_is_told_that_an_analysis_is_missing() -> None:
    other = ("refits", "note")
    asking = Rule("Many.", "image", "Area.", (AREA,), lambda found: ("cannot tell", found[other].reason), asks_why=(other,))
    found = {"occlusion": {"area": area(0.8)}}

    assert judge([asking], found)[0].reason == "The analysis refits was not done."
    assert judge([asking], found, {"refits": "Slow."})[0].reason == "The analysis refits could not be done: Slow."


def test_a_verdict_comes_back_from_json_as_it_was() -> None:
    finding = Finding("area", 0.8, "1", 20, low=0.7, high=0.9, null_low=0.1, null_high=0.2, null="shuffled pairs")
    verdict = Verdict("Many regions.", "image", "Area.", "supported", "Because.", (("occlusion", finding),))

    assert Verdict.from_json(verdict.to_json()) == verdict


def test_a_finding_under_another_name_is_refused() -> None:
    with pytest.raises(DataError, match="occlusion has 'area' under 'surface'"):
        judge([RULE], {"occlusion": {"surface": area(0.8)}})


def test_a_finding_without_interval_lies_on_no_side_of_a_bound() -> None:
    assert place_of(Finding("area", 0.9, "1", 20), 0.5) == "undecided"
    assert place_of(area(0.3), 0.5) == "below"
