"""How widely losses are spread, worked out on paper, and beside shifted or permuted coverage."""

import numpy as np
import pytest

from dina.analyses import RULES
from dina.analyses.occlusion.compute import OcclusionSpread
from dina.analyses.verdict import judge
from dina.statistics.finding import Finding

PEAK = np.exp(-0.5 * ((np.arange(8)[:, None] - 3) ** 2 + (np.arange(16)[None] - 5) ** 2) / 4)


def judged(spread: OcclusionSpread, loss: np.ndarray) -> tuple[Finding, str]:
    """Return the normalised participation, and the verdict on many regions where ranks rise as scores fall."""
    means = (spread.mean(name, loss, "nats") for name in ("score_loss", "log_rank_loss"))
    table = {one.name: one for one in (*spread.over_covered_places(loss), spread.of_coverage(len(loss)), *means)}
    return table["participation_normalised"], judge([RULES["distributed_regions"]], {"occlusion": table})[0].verdict


def losses(pattern: np.ndarray, noise: float = 0.0, n: int = 20) -> np.ndarray:
    return pattern + noise * np.random.default_rng(0).standard_normal((n, *pattern.shape))


def test_an_even_loss_is_spread_over_everything_and_a_single_place_over_itself() -> None:
    spread = OcclusionSpread(np.ones((4, 5)), 0, 100)
    alone = np.zeros((4, 5))
    alone[1, 2] = 3.0

    assert spread.participation("all", losses(np.full((4, 5), 2.0))).value == pytest.approx(1.0)
    assert spread.participation("one", losses(alone)).value == pytest.approx(1 / 20)
    # what is gained elsewhere takes from the total: (10 - 5)² / (20 · 12.5)
    half = np.where(np.arange(20).reshape(4, 5) < 10, 1.0, -0.5)
    assert spread.participation("half", losses(half)).value == pytest.approx(0.1)


@pytest.mark.parametrize(("extent", "height", "answer"), [(16, 1.0, "supported"), (4, 4.0, "not supported")])
def test_a_planted_loss_is_judged_rightly_in_noise_of_five_times_its_mean(extent: int, height: float, answer: str) -> None:
    pattern = np.zeros((8, 16))
    pattern[:, :extent] = height
    found, verdicts = [], []
    for seed in range(20):
        loss = pattern + 5.0 * np.random.default_rng(seed).standard_normal((24, 8, 16))
        spread = OcclusionSpread(np.ones((8, 16)), seed, 100)
        one, verdict = judged(spread, loss)
        found.append(one)
        verdicts.append(verdict)

    # 20 draws, each with a deviation of 0.12 at most, cut off at 1
    assert np.mean([one.value for one in found]) == pytest.approx(extent / 16, abs=0.08)
    assert sum(one.low <= extent / 16 <= one.high for one in found) >= 17  # of 95 %, all but one in a thousand
    assert verdicts.count(answer) >= 16
    assert set(verdicts) <= {answer, "cannot tell"}


def test_where_images_differ_too_much_nothing_is_told() -> None:
    loss = 1 + 30 * np.random.default_rng(1).standard_normal((24, 8, 16))
    spread = OcclusionSpread(np.ones((8, 16)), 0, 100)
    found = spread.participation("score", loss)

    assert np.isnan(found.value)
    assert "vary too much" in found.reason
    assert judged(spread, loss)[1] == "cannot tell"


def test_undivided_loss_over_the_same_places_is_as_uneven_as_coverage() -> None:
    spread = OcclusionSpread(PEAK, 0, 200)
    covered = PEAK[spread.covered]

    found, normalised = spread.over_covered_places(losses(2 * PEAK))

    assert found.value == pytest.approx(covered.sum() ** 2 / (len(covered) * np.square(covered).sum()))
    assert normalised.value > 1.2 * found.value


def test_the_null_of_untrained_towers_holds_what_differs_between_draws() -> None:
    spread = OcclusionSpread(PEAK, 0, 200)
    draws = np.stack([losses(np.where(np.arange(16) < extent, 1.0, 0.0) * np.ones((8, 1))) for extent in (4, 12)])

    found = spread.participation("score", losses(PEAK), draws)
    assert (found.null_low, found.null_high) == (pytest.approx(0.25), pytest.approx(0.75))
    none = spread.participation("score", losses(PEAK), np.concatenate([draws[:1], -draws]))  # two of three lose nothing
    assert np.isnan(none.null_low)
    assert "too few draws of its null" in none.reason
    told = spread.participation("score", losses(PEAK), draws, "No null: no control.")
    assert np.isnan(told.null_low)
    assert told.reason == "No null: no control."


def test_a_loss_that_is_all_coverage_is_even_after_division() -> None:
    spread = OcclusionSpread(PEAK, 0, 200)
    found = spread.over_covered_places(losses(2 * PEAK))[1]

    assert found.value == pytest.approx(1.0)
    assert found.value > found.null_high
    assert np.isnan(spread.divided(PEAK)[-1, -1])  # far out there is nothing to divide by


def test_coverage_elsewhere_does_not_explain_a_loss() -> None:
    elsewhere = np.roll(PEAK, 8, axis=1)
    own, other = (OcclusionSpread(coverage, 0, 200).correlation(losses(PEAK, 0.02)) for coverage in (PEAK, elsewhere))

    assert own.value > own.null_high
    assert not other.value > other.null_high


def test_no_loss_anywhere_is_not_spread_and_says_so() -> None:
    found = OcclusionSpread(PEAK, 0, 100).participation("score", losses(-PEAK))

    assert np.isnan(found.value)
    assert "lowers no score" in found.reason


def test_intervals_come_from_images() -> None:
    spread = OcclusionSpread(PEAK, 0, 500)
    narrow, wide = (spread.mean("loss", losses(PEAK, 0.5, n), "1") for n in (200, 8))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert narrow.low < PEAK.mean() < narrow.high


def test_without_fields_nothing_can_be_divided() -> None:
    found = OcclusionSpread(np.zeros((8, 16)), 0, 100)
    assert "Fewer than three places" in found.over_covered_places(losses(PEAK))[1].reason
    assert "No field" in found.of_coverage(20).reason
