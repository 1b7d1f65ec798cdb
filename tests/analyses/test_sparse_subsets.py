"""Subsets of neurons: orders, curves and surrogates on paper, and verdict-making numbers on simulated sessions."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from dina.analyses.decoded import Decoded
from dina.analyses.neuron_strength import compare_with_surrogates, measure_strength, shrink_ratios
from dina.analyses.neuron_subsets.sparse_subsets import (
    SparseSubsetSettings,
    SparseSubsetsResult,
    analyse_sparse_subsets,
    area_under,
    describe_curves,
    fraction_needed,
)
from dina.analyses.neuron_subsets.subset_curves import SubsetCurves, draw_orders, kept_sizes, match_order, subset_sizes
from dina.analyses.query_trials import QueryTrials
from dina.data.pairs import Pairs
from dina.data.standardise import Standardiser
from dina.statistics.finding import Finding
from dina.statistics.sparseness import gini_sparseness

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

    monkeypatch.setattr("dina.analyses.neuron_subsets.sparse_subsets.rank_on_training", at_random)
    found = _by_name(analyse_sparse_subsets(decoded, FAST))
    assert not found["top_minus_random_area"].low > found["top_minus_random_area"].null_high
    assert np.isnan(found["snr_explained_share"].value)
    assert "nothing to explain" in found["snr_explained_share"].reason


def test_without_repeats_there_is_nothing_to_match_by(decoded: Decoded) -> None:
    train = decoded.train.select_trials(decoded.train.repeat_number() == 0)
    found = _by_name(analyse_sparse_subsets(replace(decoded, train=train), FAST))
    assert np.isnan(found["top_minus_snr_matched_area"].value)
    assert "repeats" in found["top_minus_snr_matched_area"].reason
    assert np.isfinite(found["top_minus_rate_matched_area"].value)


def test_the_dataset_holds_every_curve(result: SparseSubsetsResult) -> None:
    dataset = result.to_dataset()
    assert list(dataset["treatment"].values) == ["removed", "silenced"]
    assert list(dataset["n_kept"].values) == list(kept_sizes(80))
    assert {"top", "bottom", "random", "snr_matched", "rate_matched"} <= set(dataset["sequence"].values)
    for one, other in (("accuracy_low", "accuracy"), ("accuracy", "accuracy_high")):
        assert (dataset[one] <= dataset[other] + 1e-12).all()
    random = result.curves["removed"].by_draw["random"]
    band = dataset.sel(treatment="removed", sequence="random")
    inside = (random >= band["accuracy_low"].to_numpy()) & (random <= band["accuracy_high"].to_numpy())
    # a range for one more draw holds nineteen of twenty; curves are correlated from size to size
    assert 0.85 < inside.mean() <= 1
    assert not inside.all()


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
    orders = draw_orders(np.array([1.0, 3.0, 2.0]), {"snr": np.ones(3)}, 4, 2, np.random.default_rng(0))
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
    found = {f.name: f for f in describe_curves({"removed": _curves(200, leads)}, 300, 0, {})}
    share, extra = found["snr_explained_share"], found["top_minus_snr_matched_area"]
    assert (share.high > 0.99) == is_explained
    assert (share.low > 0.5) == is_explained
    assert (extra.low > extra.null_high) == (not is_explained)
    assert np.isnan(found["rate_explained_share"].value)


def test_more_resamples_do_not_take_a_share_away() -> None:
    # an advantage of 2.7 standard errors: one resample in 240 has none
    leads = {"top": 0.15, "bottom": -0.05, "random": 0.0, "snr_matched": 0.03, "snr_matched_bottom": 0.0}
    curves = {"removed": _curves(200, leads)}
    few, many = (
        {f.name: f for f in describe_curves(curves, n_resamples, 0, {})}["snr_explained_share"] for n_resamples in (300, 20_000)
    )
    assert np.isfinite([few.value, few.low, few.high, many.value, many.low, many.high]).all()
    assert many.low < many.value < many.high


def test_a_null_of_few_draws_is_as_wide_as_one_more_draw_needs() -> None:
    leads = {"top": 0.2, "bottom": -0.2, "random": 0.0}
    curves = _curves(200, leads)
    four = replace(curves, by_draw={name: drawn[:4] for name, drawn in curves.by_draw.items()})
    widths = []
    for one in (curves, four):
        found = {f.name: f for f in describe_curves({"removed": one}, 100, 0, {})}
        area, half = found["top_minus_random_area"], found["half_fraction_top"]
        assert half.null_low < found["half_fraction_random"].value < half.null_high
        widths.append((area.null_high - area.null_low) / one.by_draw["random"][:, len(one.sizes) // 2].std(ddof=1))
    # of twenty draws 2 x 2.09 x sqrt(1 + 1/20) deviations, of four 2 x 3.18 x sqrt(1 + 1/4)
    np.testing.assert_allclose(widths[1] / widths[0], 3.182 * np.sqrt(1.25) / (2.093 * np.sqrt(1.05)), rtol=1e-3)


def _contributions(strength: np.ndarray) -> np.ndarray:
    generator = np.random.default_rng(1)
    return strength + 0.3 * generator.standard_normal((200, len(strength)))


def test_equal_contributions_are_no_more_unequal_than_their_errors_make_them() -> None:
    comparison = compare_with_surrogates(_contributions(np.ones(150)), {"equal": np.ones(150)}, 200, np.random.default_rng(2))
    found = {f.name: f for f in comparison}
    assert not found["gini_excess_over_equal"].low > found["gini_excess_over_equal"].null_high
    assert abs(found["gini_excess_over_equal"].value) < 0.02


def test_contributions_that_follow_signal_to_noise_exceed_equal_ones_only() -> None:
    ratio = np.random.default_rng(3).lognormal(sigma=0.9, size=150)
    strengths = {"equal": np.ones(150), "signal_to_noise": ratio}
    comparison = compare_with_surrogates(_contributions(ratio), strengths, 200, np.random.default_rng(2))
    found = {f.name: f for f in comparison}
    assert found["gini_excess_over_equal"].low > found["gini_excess_over_equal"].null_high
    assert abs(found["gini_excess_over_signal_to_noise"].value) < 0.02
    # a log-normal of deviation s has a Gini coefficient of erf(s / 2); 150 draws tell it to some 0.04
    assert abs(found["contribution_gini"].value - 0.475) < 0.1


def test_contributions_that_follow_noisily_known_ratios_are_not_called_more_unequal_nor_less() -> None:
    train, ratio = _trials(np.random.default_rng(5).lognormal(-0.7, 0.9, 300), 80)
    strength = measure_strength(train)
    shrunk, reason = shrink_ratios(train, strength, np.random.default_rng(0))
    assert not reason
    true, estimated, freed = (float(gini_sparseness(values[:, None])[0]) for values in (ratio, strength.signal_to_noise, shrunk))
    assert estimated > true + 0.03
    assert freed < (true + estimated) / 2
    strengths = {"signal_to_noise": shrunk, "estimated": strength.signal_to_noise}
    compared = compare_with_surrogates(_contributions(ratio), strengths, 200, np.random.default_rng(2))
    excess = {f.name: f.value for f in compared}
    assert excess["gini_excess_over_estimated"] < -0.03
    assert abs(excess["gini_excess_over_signal_to_noise"]) < 0.025


def test_ratios_that_differ_by_errors_alone_are_refused_unless_these_are_small() -> None:
    for n_images, is_known in ((60, False), (3000, True)):
        train, _ = _trials(np.full(80, 0.5), n_images)
        shrunk, reason = shrink_ratios(train, measure_strength(train), np.random.default_rng(0))
        assert np.isfinite(shrunk).all() == is_known
        assert ("are needed" in reason) != is_known
    unknown = {"rates": "", "signal_to_noise": "Because."}
    compared = compare_with_surrogates(_contributions(np.ones(50)), {"rates": np.ones(50)}, 20, np.random.default_rng(2), unknown)
    found = {f.name: f for f in compared}
    assert found["gini_excess_over_signal_to_noise"].reason == "Because."
    assert np.isfinite(found["gini_excess_over_rates"].value)


def test_where_responses_lie_below_zero_nothing_is_matched_by_their_mean(decoded: Decoded) -> None:
    standardiser = replace(decoded.train.standardiser, mean=np.zeros_like(decoded.train.standardiser.mean))
    scored = replace(decoded, train=replace(decoded.train, standardiser=standardiser))
    found = _by_name(analyse_sparse_subsets(scored, FAST))
    for name in ("top_minus_rate_matched_area", "rate_explained_share", "gini_excess_over_rates"):
        assert "below zero" in found[name].reason, name
    assert np.isfinite(found["top_minus_snr_matched_area"].value)


def _trials(ratio: np.ndarray, n_images: int) -> tuple[Pairs, np.ndarray]:
    """Give two trials of every image by neurons of known signal-to-noise ratios."""
    generator = np.random.default_rng(4)
    signal = np.sqrt(ratio) * generator.standard_normal((n_images, len(ratio)))
    index = np.repeat(np.arange(n_images), 2)
    responses = (signal[index] + generator.standard_normal((2 * n_images, len(ratio)))).astype(np.float32)
    images = np.zeros((n_images, 1, 1, 1), dtype=np.float32)
    ones = np.ones(len(ratio), dtype=np.float32)
    pairs = Pairs(
        images, np.arange(n_images), responses, index, np.ones(len(index), dtype=np.int64), Standardiser(10 * ones, ones)
    )
    return pairs, ratio


def test_sizes_rise_from_one_to_all() -> None:
    for n in (2, 3, 80, 2000):
        sizes = subset_sizes(n)
        assert sizes[0] == 1
        assert sizes[-1] == n
        assert all(after > before for before, after in pairwise(sizes))
        assert set(sizes) <= set(kept_sizes(n))


def test_candidates_that_tie_share_the_first_place() -> None:
    images, target = np.zeros((2, 1, 1, 1), np.float32), torch.tensor([0, 0, 1, 1])
    trials = QueryTrials(images, torch.zeros(4, 1, dtype=torch.float64), target, "single_trial")
    scores = torch.tensor([[2.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    np.testing.assert_array_equal(trials.accuracy(scores), [(1 + 1 / 2) / 2, (0 + 1 / 2) / 2])


def test_images_that_no_query_asks_for_are_left_out() -> None:
    """Trained towers are asked about some images only; the others must not make accuracies unknown."""
    images, responses = np.zeros((3, 1, 2, 2), np.float32), torch.zeros(4, 2, dtype=torch.float64)
    trials = QueryTrials(images, responses, torch.tensor([0, 0, 1, 2]), "single_trial").first_images(2)
    scores = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 1.0, 0.0]])
    assert trials.accuracy(scores).tolist() == [0.5, 1.0]
