"""The chance to decide a claim is that of new test images whose findings are drawn about those at hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from dina.analyses.verdict import Answer, FindingKey, Found, Rule, place_of
from dina.checks import DataError
from dina.power.verdict_forecast import StudyAtHand, chance_to_decide, foretell_verdicts
from dina.statistics.finding import Finding

SHARE: FindingKey = ("spread", "share")
WIDTH = 1.959964


def _decide(found: Found) -> tuple[Answer, str]:
    place = place_of(found[SHARE], 0.5)
    return ("supported" if place == "above" else "not supported" if place == "below" else "cannot tell"), "By the share."


RULE = Rule("More than half.", "image", "Share.", (SHARE,), _decide)


def study(value: float, error: float = 0.1, n: int = 50, **more: int) -> StudyAtHand:
    found = Finding("share", value, "1", n, low=value - WIDTH * error, high=value + WIDTH * error)
    return StudyAtHand({"spread": {"share": found}}, {}, 50, 120, more)


@pytest.mark.parametrize("times", [1.0, 2.0, 8.0])
def test_the_chance_is_that_of_new_findings_about_the_one_at_hand(times: float) -> None:
    narrowed = times**-0.5
    error, reach = 0.1 * np.sqrt(1 + narrowed**2), WIDTH * 0.1 * narrowed
    found = chance_to_decide(RULE, study(0.6), times, 2000)
    assert found["supported"] == pytest.approx(norm.sf(0.5 + reach, 0.6, error), abs=0.002)
    assert found["not supported"] == pytest.approx(norm.cdf(0.5 - reach, 0.6, error), abs=0.002)
    assert sum(found.values()) == pytest.approx(1.0)


def test_more_test_images_narrow_only_what_rests_on_them() -> None:
    wide, narrow = (chance_to_decide(RULE, study(0.6), times) for times in (1.0, 4.0))
    assert narrow["supported"] > wide["supported"] + 0.1
    assert chance_to_decide(RULE, study(0.6, spread=50), 4.0) == wide  # no more images are read
    assert chance_to_decide(RULE, study(0.6, spread=100), 4.0) == chance_to_decide(RULE, study(0.6), 2.0)
    assert chance_to_decide(RULE, study(0.6, n=120), 4.0) == wide  # neurons
    assert chance_to_decide(RULE, study(0.6, n=540), 4.0) == wide  # training images


def test_what_decides_with_enough_images_is_said_and_so_is_what_limits() -> None:
    (row,) = foretell_verdicts({"half": RULE}, study(0.6))
    assert (row["verdict"], row["times"], row["note"]) == ("cannot tell", 32.0, "")
    assert list(row["chance"]) == ["1", "2", "4", "8"]
    (row,) = foretell_verdicts({"half": RULE}, study(0.6, spread=50))
    assert row["times"] is None
    assert row["note"].startswith("spread reads no more than 50 test images")
    (row,) = foretell_verdicts({"never": replace(RULE, decide=lambda found: ("cannot tell", "No null."))}, study(0.6))
    assert row["note"] == "No null."
    unknown = replace(study(0.6), findings={}, missing={"spread": "Too few images."})
    (row,) = foretell_verdicts({"half": RULE}, unknown)
    assert (row["chance"], row["note"]) == ({}, "The analysis spread could not be done: Too few images.")


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match=r"times the test images; got 64"):
        chance_to_decide(RULE, study(0.6), 64.0)
