"""Subsets of neurons: orders, curves and surrogates on paper, and verdict-making numbers on simulated sessions."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dina.interpretation.decoded import Decoded
from dina.interpretation.neural_side.contribution_surrogates import compare_with_surrogates, describe_inequality
from dina.interpretation.neural_side.sparse_subsets import (
    SparseSubsetSettings,
    SparseSubsetsResult,
    analyse_sparse_subsets,
    kept_sizes,
)
from dina.interpretation.neural_side.subset_curves import SubsetCurves, area_under, fraction_needed
from dina.interpretation.neural_side.subset_findings import describe_curves
from dina.interpretation.neural_side.subset_orders import draw_orders, match_order, subset_sizes
from dina.measures.finding import Finding

FAST = SparseSubsetSettings(n_ranking_images=60, n_random=20, n_matched=8)


@pytest.fixture(scope="module")
def result(decoded: Decoded) -> SparseSubsetsResult:
    return analyse_sparse_subsets(decoded, FAST)


def _by_name(result: SparseSubsetsResult) -> dict[str, Finding]:
    return {finding.name: finding for finding in result.findings()}


def test_the_best_neurons_decode_better_than_random_ones_and_the_worst_worse(result: SparseSubsetsResult) -> None:
    curves = result.curves["removed"]
    area = {name: area_under(drawn.mean(0), curves.sizes) for name, drawn in curves.by_draw.items()}
    assert area["top"] > area["random"] > area["bottom"]
    found = _by_name(result)
    assert found["top_minus_random_area"].beats_null
    assert found["half_fraction_top"].value < found["half_fraction_random"].value


def test_all_neurons_together_give_the_same_whatever_the_order(result: SparseSubsetsResult) -> None:
    full = _by_name(result)["accuracy_full"]
    for curves in result.curves.values():
        for drawn in curves.by_draw.values():
            np.testing.assert_allclose(drawn[:, -1], full.value, atol=1e-12)
    assert full.beats_null


def test_ranking_by_nothing_is_worth_nothing(decoded: Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    def at_random(decoded: Decoded, n_images: int) -> np.ndarray:
        return np.random.default_rng(0).standard_normal(decoded.train.n_neurons)

    monkeypatch.setattr("dina.interpretation.neural_side.sparse_subsets.rank_on_training", at_random)
    found = _by_name(analyse_sparse_subsets(decoded, FAST))
    assert not found["top_minus_random_area"].low > found["top_minus_random_area"].null_high
    assert np.isnan(found["snr_explained_share"].value)
    assert "nothing to explain" in found["snr_explained_share"].reason


def test_without_repeats_there_is_nothing_to_match_by(decoded: Decoded) -> None:
    first = decoded.train.repeat_number() == 0
    train = replace(
        decoded.train,
        responses=decoded.train.responses[first],
        stimulus_index=decoded.train.stimulus_index[first],
        n_presentations=decoded.train.n_presentations[first],
    )
    found = _by_name(analyse_sparse_subsets(replace(decoded, train=train), FAST))
    assert np.isnan(found["top_minus_snr_matched_area"].value)
    assert "repeats" in found["top_minus_snr_matched_area"].reason
    assert np.isfinite(found["top_minus_rate_matched_area"].value)


def test_the_dataset_holds_every_curve(result: SparseSubsetsResult) -> None:
    dataset = result.to_dataset()
    assert list(dataset["treatment"].values) == ["removed", "silenced"]
    assert list(dataset["n_kept"].values) == list(kept_sizes(80))
    assert {"top", "bottom", "random", "snr_matched", "rate_matched"} <= set(dataset["sequence"].values)
    assert ((dataset["accuracy"] >= dataset["accuracy_low"] - 1e-12) | (dataset["accuracy"] <= 1)).all()


def test_matched_sequences_keep_the_property_and_nothing_else() -> None:
    generator = np.random.default_rng(0)
    strength = generator.lognormal(size=400)
    order = np.argsort(-strength)
    matched = match_order(order, strength, generator)
    assert sorted(matched) == list(range(400))
    # strata of ten neurons: the mean of the first fifty can differ by no more than half a stratum's range
    assert abs(strength[matched[:50]].mean() / strength[order[:50]].mean() - 1) < 0.1
    assert (matched != order).mean() > 0.8  # one in ten stays in place by chance


def test_orders_have_their_reverse() -> None:
    orders = draw_orders(np.array([1.0, 3.0, 2.0]), {"snr": np.ones(3)}, 4, 2, np.random.default_rng(0)).by_name
    assert orders["top"].tolist() == [[1, 2, 0]]
    assert orders["bottom"].tolist() == [[0, 2, 1]]
    np.testing.assert_array_equal(orders["snr_matched_bottom"], orders["snr_matched"][:, ::-1])
    assert orders["random"].shape == (4, 3)


def test_fraction_needed_interpolates_in_the_logarithm_of_size() -> None:
    # 25 % at two, 75 % at eight: half of the full accuracy lies half way between their logarithms, at four
    np.testing.assert_allclose(fraction_needed(np.array([0.25, 0.75, 1.0]), (2, 8, 16), 0.5), 4 / 16)
    np.testing.assert_allclose(fraction_needed(np.array([0.9, 1.0]), (1, 10), 0.5), 0.1)


def _curves(n_neurons: int, advantage: dict[str, float]) -> SubsetCurves:
    """Curves whose accuracy rises with the logarithm of size, sooner by a given part of the way."""
    sizes = kept_sizes(n_neurons)
    generator = np.random.default_rng(0)
    rise = np.log(sizes) / np.log(n_neurons)
    by_image, by_draw = {}, {}
    for name, lead in advantage.items():
        curve = np.clip(rise + lead * rise * (1 - rise) * 4, 0, 1)
        by_image[name] = (generator.random((1, 300)) < curve[:, None]).astype(float)
        by_draw[name] = curve[None] + 0.005 * generator.standard_normal((20, 1)) * rise * (1 - rise)
    return SubsetCurves(sizes, by_image, by_draw)


@pytest.mark.parametrize(("lead", "is_explained"), [(0.2, True), (0.0, False)])
def test_matched_subsets_that_do_as_well_explain_the_advantage(lead: float, is_explained: bool) -> None:
    leads = {"top": 0.2, "bottom": -0.2, "random": 0.0, "snr_matched": lead, "snr_matched_bottom": 0.0}
    found = {f.name: f for f in describe_curves({"removed": _curves(200, leads)}, 300, 0, "")}
    share, extra = found["snr_explained_share"], found["top_minus_snr_matched_area"]
    assert (share.high > 0.99) == is_explained
    assert (share.low > 0.5) == is_explained
    assert (extra.low > extra.null_high) == (not is_explained)
    assert np.isnan(found["rate_explained_share"].value)


def _contributions(strength: np.ndarray) -> np.ndarray:
    generator = np.random.default_rng(1)
    return strength + 0.3 * generator.standard_normal((200, len(strength)))


def test_equal_contributions_are_no_more_unequal_than_their_errors_make_them() -> None:
    comparison = compare_with_surrogates(_contributions(np.ones(150)), {"equal": np.ones(150)}, 200, np.random.default_rng(2))
    found = {f.name: f for f in describe_inequality(comparison, 200)}
    assert not found["gini_excess_over_equal"].low > found["gini_excess_over_equal"].null_high
    assert abs(found["gini_excess_over_equal"].value) < 0.02


def test_contributions_that_follow_signal_to_noise_exceed_equal_ones_only() -> None:
    ratio = np.random.default_rng(3).lognormal(sigma=0.9, size=150)
    strengths = {"equal": np.ones(150), "signal_to_noise": ratio}
    comparison = compare_with_surrogates(_contributions(ratio), strengths, 200, np.random.default_rng(2))
    found = {f.name: f for f in describe_inequality(comparison, 200)}
    assert found["gini_excess_over_equal"].low > found["gini_excess_over_equal"].null_high
    assert abs(found["gini_excess_over_signal_to_noise"].value) < 0.02
    # a log-normal of deviation s has a Gini coefficient of erf(s / 2); 150 draws tell it to some 0.04
    assert abs(found["contribution_gini"].value - 0.475) < 0.1


def test_sizes_rise_from_one_to_all() -> None:
    for n in (2, 3, 80, 2000):
        sizes = subset_sizes(n)
        assert sizes[0] == 1
        assert sizes[-1] == n
        assert all(after > before for before, after in pairwise(sizes))
        assert set(sizes) <= set(kept_sizes(n))
