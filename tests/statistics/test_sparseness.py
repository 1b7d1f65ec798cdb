"""Sparseness and participation agree with algebra and recover what was planted."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.statistics.sparseness import (
    estimate_participation,
    gini_sparseness,
    mean_squares,
    resample_participation,
    treves_rolls_sparseness,
)

EVEN = np.ones(64)


def test_exponential_responses_have_sparseness_one_half():
    responses = np.random.default_rng(0).exponential(size=(200_000, 1))

    # ⟨r²⟩ = 2⟨r⟩², and a Gini coefficient of ½; standard errors below 0.003
    assert treves_rolls_sparseness(responses)[0] == pytest.approx(0.5, abs=0.01)
    assert gini_sparseness(responses)[0] == pytest.approx(0.5, abs=0.01)


def test_gini_agrees_with_the_mean_absolute_difference():
    responses = np.random.default_rng(1).exponential(size=(40, 3))

    expected = [np.abs(r[:, None] - r).mean() / (2 * r.mean()) for r in responses.T]
    np.testing.assert_allclose(gini_sparseness(responses), expected, rtol=1e-10)


def test_scale_does_not_matter_and_silence_is_unknown():
    responses = np.random.default_rng(2).exponential(size=(30, 2)) * np.array([1.0, 0.0])

    for measure in (treves_rolls_sparseness, gini_sparseness):
        np.testing.assert_allclose(measure(1000 * responses), measure(responses), rtol=1e-10)
        assert np.isnan(measure(responses)).tolist() == [False, True]


def test_negative_responses_are_refused():
    with pytest.raises(DataError, match="own units, not z-scores"):
        gini_sparseness(np.array([[1.0], [-1.0]]))


def test_it_is_the_fraction_of_places_and_1_in_proportion_to_the_weight() -> None:
    weight = np.linspace(0.2, 3.0, 64)
    alone, quarter = np.eye(64)[5], np.repeat([3.0, 0.0], [16, 48])

    for pattern, places, expected in ((EVEN, EVEN, 1), (alone, EVEN, 1 / 64), (quarter, EVEN, 0.25), (2 * weight, weight, 1)):
        found = estimate_participation(np.tile(pattern, (5, 1)), places)
        assert found.value == pytest.approx(expected)
        # nothing differs between patterns; the root of rounding remains
        assert (found.low, found.high) == (pytest.approx(expected, abs=1e-6), pytest.approx(expected, abs=1e-6))


def test_squares_are_sums_over_pairs_of_different_patterns() -> None:
    patterns = np.random.default_rng(0).standard_normal((6, 4)) + 0.5
    total, places = mean_squares(patterns)
    pairs = [(one, other) for one in range(6) for other in range(6) if one != other]
    assert total == pytest.approx(np.mean([patterns[one].sum() * patterns[other].sum() for one, other in pairs]))
    np.testing.assert_allclose(places, np.mean([patterns[one] * patterns[other] for one, other in pairs], axis=0))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_interval_holds_95_percent_of_the_ratios_that_the_jackknife_allows(seed: int) -> None:
    generator = np.random.default_rng(seed)
    weight = np.arange(1.0, 9.0)
    patterns = weight * np.repeat([3.0, 0.0], 4) + 2 * generator.standard_normal((12, 8))

    def roots(values: np.ndarray) -> np.ndarray:
        total, places = mean_squares(values)
        return np.sqrt([total, weight.sum() * (places / weight).sum()])

    upper, lower = roots(patterns)
    without = np.array([roots(np.delete(patterns, number, axis=0)) for number in range(12)])
    error = 11 * np.cov(without.T, ddof=0)
    ratio = np.linspace(0, 1, 100_001)
    variance = error[0, 0] - 2 * ratio * error[0, 1] + ratio**2 * error[1, 1]
    # of Student's t with 11 degrees of freedom 95 % lie within 2.20099
    allowed = ratio[(upper - ratio * lower) ** 2 <= 2.20099**2 * variance]

    found = estimate_participation(patterns, weight)
    # the grid has steps of 1e-5, and squares twice that
    assert (found.low, found.high) == pytest.approx((allowed.min() ** 2, allowed.max() ** 2), abs=3e-5)
    assert found.value == pytest.approx((upper / lower) ** 2)


def test_a_pattern_of_any_strength_has_an_interval_of_no_width() -> None:
    strength = np.exp(1.5 * np.random.default_rng(2).standard_normal((24, 1)))
    found = estimate_participation(strength * np.repeat([3.0, 0.0], [16, 48]), EVEN)
    assert (found.low, found.value, found.high) == (pytest.approx(0.25, abs=1e-5),) * 3


@pytest.mark.parametrize(("n_places", "deviation"), [(64, 3.0), (16, 1.0), (32, 1.5)])
def test_noise_makes_no_bias_and_intervals_cover(n_places: int, deviation: float) -> None:
    generator = np.random.default_rng(0)
    pattern = np.where(np.arange(64) < n_places, 1.0, 0.0)
    found = [estimate_participation(pattern + deviation * generator.standard_normal((24, 64)), EVEN) for _ in range(300)]

    values = np.array([one.value for one in found])
    # single estimates have a deviation of 0.1 at most; those of an even loss are cut off at 1, which costs half of that
    assert np.nanmedian(values) == pytest.approx(n_places / 64, abs=0.03)
    assert np.isfinite(values).mean() > 0.95
    is_covered = [one.low <= n_places / 64 <= one.high for one in found if np.isfinite(one.value)]
    # 95 %, less three deviations of 300 draws
    assert np.mean(is_covered) > 0.91


def test_what_cannot_be_estimated_is_missing_and_says_why() -> None:
    noise = np.random.default_rng(3).standard_normal((24, 64))
    for patterns, words in (
        (-EVEN + 0.1 * noise, "total is not above 0"),
        (0.2 + 9 * noise, "vary too much"),
        (noise[:3], "At least 4"),
    ):
        found = estimate_participation(patterns, EVEN)
        assert np.isnan([found.value, found.low, found.high]).all()
        assert words in found.reason


def test_a_resampled_pattern_is_never_paired_with_its_own_copy() -> None:
    patterns, weight = np.random.default_rng(4).standard_normal((5, 3)) + 2, np.array([1.0, 2.0, 0.5])
    counts = np.array([[1.0, 1, 1, 1, 1], [3.0, 0, 1, 0, 1]])
    found = resample_participation(patterns, weight, counts)

    assert found[0] == pytest.approx(estimate_participation(patterns, weight).value)
    drawn = [0, 0, 0, 2, 4]
    pairs = [(one, other) for one in drawn for other in drawn if one != other]
    total = sum(patterns[one].sum() * patterns[other].sum() for one, other in pairs)
    square = sum((patterns[one] * patterns[other] / weight).sum() for one, other in pairs)
    assert found[1] == pytest.approx(min(1.0, total / (weight.sum() * square)))
    assert np.isnan(resample_participation(-patterns, weight, counts)).all()
