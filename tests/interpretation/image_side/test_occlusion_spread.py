"""How widely losses are spread, worked out on paper, and beside shifted or permuted coverage."""

import numpy as np
import pytest

from dina.interpretation.image_side.occlusion_spread import OcclusionSpread

PEAK = np.exp(-0.5 * ((np.arange(8)[:, None] - 3) ** 2 + (np.arange(16)[None] - 5) ** 2) / 4)


def losses(pattern: np.ndarray, noise: float = 0.0, n: int = 20) -> np.ndarray:
    return pattern + noise * np.random.default_rng(0).standard_normal((n, *pattern.shape))


def test_an_even_loss_is_spread_over_everything_and_a_single_place_over_itself() -> None:
    spread = OcclusionSpread(np.ones((4, 5)), 0, 100)
    alone = np.zeros((4, 5))
    alone[1, 2] = 3.0

    assert spread.participation("all", losses(np.full((4, 5), 2.0))).value == pytest.approx(1.0)
    assert spread.participation("one", losses(alone)).value == pytest.approx(1 / 20)
    # half of the places at 1: (10)² / (20 · 10); what is gained elsewhere does not count
    half = np.where(np.arange(20).reshape(4, 5) < 10, 1.0, -0.5)
    assert spread.participation("half", losses(half)).value == pytest.approx(0.5)


def test_a_loss_that_is_all_coverage_is_even_after_division() -> None:
    spread = OcclusionSpread(PEAK, 0, 200)
    found = spread.normalised(losses(2 * PEAK))

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
    assert "no score worse" in found.reason


def test_intervals_come_from_images() -> None:
    spread = OcclusionSpread(PEAK, 0, 500)
    narrow, wide = (spread.mean("loss", losses(PEAK, 0.5, n), "1") for n in (200, 8))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert narrow.low < PEAK.mean() < narrow.high


def test_without_fields_nothing_can_be_divided() -> None:
    found = OcclusionSpread(np.zeros((8, 16)), 0, 100)
    assert "Fewer than three places" in found.normalised(losses(PEAK)).reason
    assert "No field" in found.of_coverage(20).reason
