"""The chance to decide a claim is that of new studies whose findings are drawn about those at hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from dina.analyses.verdict import Answer, FindingKey, Found, Rule, place_of
from dina.checks import DataError
from dina.power.verdict_forecast import StudyAtHand, chance_to_decide, foretell_verdicts
from dina.statistics.finding import Finding

SHARE: FindingKey = ("spread", "share")
LEFT, KNOWING = ("noise_shuffle", "correlations_left"), ("noise_shuffle", "knowing_correlations_log_rank")
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
    found = chance_to_decide(RULE, study(0.6), {"images": times}, 2000)
    assert found["supported"] == pytest.approx(norm.sf(0.5 + reach, 0.6, error), abs=0.002)
    assert found["not supported"] == pytest.approx(norm.cdf(0.5 - reach, 0.6, error), abs=0.002)
    assert sum(found.values()) == pytest.approx(1.0)


def test_images_neurons_and_repeats_narrow_only_what_rests_on_them() -> None:
    wide = chance_to_decide(RULE, study(0.6), {})
    assert chance_to_decide(RULE, study(0.6), {"neurons": 4.0, "repeats": 4.0}) == wide
    assert chance_to_decide(RULE, study(0.6, spread=50), {"images": 4.0}) == wide  # no more images are read
    narrow = chance_to_decide(RULE, study(0.6), {"images": 4.0})
    assert narrow["supported"] > wide["supported"] + 0.1
    assert chance_to_decide(RULE, study(0.6, n=120), {"neurons": 4.0}) == narrow


def test_more_repeats_let_shuffling_remove_more_correlations() -> None:
    seen: list[tuple[float, float]] = []

    def note(found: Found) -> tuple[Answer, str]:
        seen.append((found[LEFT].value, found[KNOWING].value))
        return "cannot tell", ""

    rule = Rule("Interactions.", "neural", "Log rank.", (LEFT, KNOWING), note)
    findings = {"correlations_left": Finding("correlations_left", 0.5, "1", 540)}
    findings["knowing_correlations_log_rank"] = Finding("knowing_correlations_log_rank", 0.2, "nats", 50, low=0.1, high=0.3)
    chance_to_decide(rule, StudyAtHand({"noise_shuffle": findings}, {}, 50, 120, {}), {"repeats": 2.0})
    left, knowing = np.mean(seen, axis=0)
    assert left == pytest.approx(0.25)
    assert 1.5 * 0.2 < knowing < 1.5**2 * 0.2


def test_what_decides_with_enough_images_is_said_and_so_is_what_limits() -> None:
    (row,) = foretell_verdicts({"half": RULE}, study(0.6), ("images", "neurons"))
    assert (row["verdict"], row["times_images"], row["note"]) == ("cannot tell", 32.0, "")
    assert list(row["chance"])[:3] == ["as it is", "2 times the images", "4 times the images"]
    (row,) = foretell_verdicts({"half": RULE}, study(0.6, spread=50), ("images",))
    assert row["times_images"] is None
    assert row["note"].startswith("spread reads no more than 50 test images")
    unknown = replace(study(0.6), findings={}, missing={"spread": "Too few images."})
    (row,) = foretell_verdicts({"half": RULE}, unknown, ("images",))
    assert (row["chance"], row["note"]) == ({}, "The analysis spread could not be done: Too few images.")


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match=r"got 64 times the images"):
        chance_to_decide(RULE, study(0.6), {"images": 64.0})
