"""A row of the table has all its keys, honest intervals, and a p-value that is uniform under the null."""

import json

import numpy as np
import pytest
from scipy.stats import kstest

from dina.retrieval.evaluate import DecodingRow, evaluate
from dina.retrieval.ranks import DIRECTIONS

IMAGE, RESPONSE = DIRECTIONS
KEYS = [
    "decoder",
    "preset",
    "queries",
    "direction",
    "n_gallery",
    "n_queries",
    "top1",
    "top1_low",
    "top1_high",
    "top5",
    "top5_low",
    "top5_high",
    "top10",
    "top10_low",
    "top10_high",
    "median_rank",
    "median_rank_low",
    "median_rank_high",
    "mean_reciprocal_rank",
    "two_way",
    "chance_top1",
    "chance_top5",
    "chance_top10",
    "p_value",
    "reason",
    "hubness",
    "reads",
]


def noisy_scores(n: int, repeats: int, signal: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make scores in which the target stands out by ``signal`` standard deviations."""
    scores = np.random.default_rng(seed).standard_normal((n * repeats, n))
    target = np.tile(np.arange(n), repeats)
    scores[np.arange(n * repeats), target] += signal
    return scores, target


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_row_has_every_key_and_is_json(direction):
    scores, target = noisy_scores(30, 2, 2.0)

    row = evaluate("dina", "default", "images", scores, target, "single_trial", direction, seed=0, n_resamples=500).to_json()

    assert list(row) == KEYS
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["n_queries"] == 60
    assert row["n_gallery"] == 30
    assert row["reason"] is None


def test_an_unavailable_row_has_the_same_keys_and_a_reason():
    row = DecodingRow("ridge", "", "averaged", IMAGE, reason="Too few images.").to_json()

    assert sorted(row) == sorted(KEYS)
    assert {key for key, value in row.items() if value is not None} == {"decoder", "queries", "direction", "reason", "reads"}


def test_perfect_scores_are_certain_and_intervals_still_have_width():
    result = evaluate("d", "", "images", np.eye(50), np.arange(50), "averaged", IMAGE, seed=0)

    assert result.top1 == 1
    assert (result.top1_low, result.top1_high) == (
        pytest.approx(50 / (50 + 2.0639**2), abs=1e-4),
        1.0,
    )  # Wilson at p = 1: n / (n + t²), with Student's quantile of two halves of 25
    assert (result.median_rank_low, result.median_rank_high) == (1.0, 1.0)
    assert result.p_value == pytest.approx(1 / 10_001)


def test_four_trials_of_an_image_count_as_one_for_the_interval():
    scores, target = noisy_scores(40, 1, 2.0)

    once = evaluate("d", "", "images", scores, target, "averaged", IMAGE, seed=0, n_resamples=500)
    # the same trial four times adds no information
    again = np.tile(np.arange(40), 4)
    four = evaluate("d", "", "images", scores[again], target[again], "single_trial", IMAGE, seed=0, n_resamples=500)

    for name in ("top1", "top5", "top10", "median_rank"):
        assert getattr(four, f"{name}_low") == getattr(once, f"{name}_low")
        assert getattr(four, f"{name}_high") == getattr(once, f"{name}_high")
    assert four.p_value == once.p_value


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_p_values_are_uniform_when_nothing_is_known(direction):
    p_values = [
        evaluate(
            "d", "", "images", *noisy_scores(15, 2, 0.0, seed), "single_trial", direction, seed=seed, n_resamples=200
        ).p_value
        for seed in range(120)
    ]

    assert min(p_values) > 0
    # a correct implementation fails this once in ten thousand times
    assert kstest(p_values, "uniform").pvalue > 1e-4


def test_repeats_of_an_image_are_permuted_together():
    # two responses to the same image are alike but say nothing about it: treating them as independent would be too bold
    generator = np.random.default_rng(0)
    bold = 0
    for seed in range(100):
        scores = np.tile(generator.standard_normal((12, 12)), (8, 1))
        result = evaluate("d", "", "images", scores, np.tile(np.arange(12), 8), "single_trial", IMAGE, seed, n_resamples=200)
        bold += result.p_value <= 0.05

    # nominally 5; more than 14 happens once in ten thousand times
    assert bold <= 14


def test_a_gallery_too_small_for_top_ten_says_so():
    result = evaluate("d", "", "images", np.eye(6), np.arange(6), "averaged", IMAGE, seed=0, n_resamples=100)
    row = result.to_json()

    assert row["top5"] == 1
    assert row["top10"] is None
    assert row["chance_top10"] is None
    assert row["reason"] == "A gallery of 6 has no top 10."


def test_the_same_seed_gives_the_same_numbers():
    scores, target = noisy_scores(20, 2, 1.0)

    rows = [evaluate("d", "", "images", scores, target, "single_trial", RESPONSE, s, 300).to_json() for s in (1, 1, 2)]

    assert rows[0] == rows[1]
    assert rows[0] != rows[2]
