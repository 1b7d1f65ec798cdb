"""Pooled folds give the numbers of all their queries, with intervals that hold the truth although folds share what they learnt."""

import math

import numpy as np
import pytest

from dina.checks import DataError
from dina.retrieval.compare import compare
from dina.retrieval.evaluate import evaluate, evaluate_folds
from dina.retrieval.half_galleries import Spread
from dina.retrieval.pooled_folds import PooledRetrieval, are_paired, pool_spreads, spread_of
from dina.retrieval.ranks import retrieve
from dina.statistics.p_values import permuted_targets_p_value

IMAGE = "image_from_response"


def make_scores(quality: float, seed: int, n: int, repeats: int = 1) -> tuple[np.ndarray, np.ndarray]:
    target = np.tile(np.arange(n), repeats)
    scores = np.random.default_rng(seed).standard_normal((len(target), n))
    scores[np.arange(len(target)), target] += quality
    return scores, target


def test_a_pooled_row_is_the_mean_over_all_queries_and_chance_is_that_of_each_gallery() -> None:
    parts = [make_scores(1.5, seed, n, 2) for seed, n in ((0, 12), (1, 13))]
    pooled = evaluate_folds("d", "", "images", parts, "single_trial", IMAGE, seed=0, n_resamples=200)
    alone = [evaluate("d", "", "images", *part, "single_trial", IMAGE, seed=0, n_resamples=200) for part in parts]
    for name in ("top1", "top10", "two_way", "mean_reciprocal_rank", "chance_top1", "chance_top10"):
        one, other = (getattr(row, name) for row in alone)
        assert getattr(pooled, name) == pytest.approx((24 * one + 26 * other) / 50)
    assert (pooled.n_gallery, pooled.n_queries) == (12, 50)
    assert pooled.chance_top1 == pytest.approx(2 / 25)


def test_one_fold_is_no_fold() -> None:
    part = make_scores(1.0, 0, 20)
    assert evaluate_folds("d", "", "images", [part], "averaged", IMAGE, 3, 200) == evaluate(
        "d", "", "images", *part, "averaged", IMAGE, 3, 200
    )


def test_spreads_that_galleries_explain_add_up_and_what_they_do_not_explain_counts_as_nadeau_and_bengio_say() -> None:
    # means 0.4 … 0.6 of five folds: S² = 0.00625; v = 0.001; τ² = 0.00525; 1/5 + 1/4 = 0.45
    folds = [Spread(mean, 0.001, 1.0, 30, 14) for mean in (0.4, 0.45, 0.5, 0.55, 0.6)]
    pooled = pool_spreads(folds, [30] * 5)
    assert pooled.mean == pytest.approx(0.5)
    assert pooled.variance == pytest.approx(0.001 / 5 + 0.45 * 0.00525)
    assert pooled.inflation == pytest.approx(math.sqrt(pooled.variance / (0.001 / 5)))
    assert 4 <= pooled.freedom < 70
    same = pool_spreads([Spread(0.5, 0.001, 1.0, 30, 14)] * 5, [30] * 5)
    assert (same.variance, same.freedom) == (pytest.approx(0.001 / 5), 70)


def test_intervals_hold_the_truth_although_folds_share_an_effect_of_training() -> None:
    # quality differs from fold to fold and is correlated between folds by 1 / 5, as the correction assumes; the truth is the mean
    # over all such studies. Galleries alone see only their images.
    held, held_by_galleries, truth = [], [], []
    for number in range(300):
        generator = np.random.default_rng(number)
        effect = 0.1 * (math.sqrt(0.2) * generator.standard_normal() + math.sqrt(0.8) * generator.standard_normal(5))
        chance = np.clip(0.6 + effect, 0, 1)
        right = [generator.random(40) < one for one in chance]
        folds = [Spread(float(one.mean()), float(one.var(ddof=1)) / 40, 1.0, 40, 19) for one in right]
        pooled = pool_spreads(folds, [40] * 5)
        alone = Spread(pooled.mean, sum(one.variance for one in folds) / 25, 1.0, 200, 99)
        held.append(np.subtract(pooled.accuracy_interval(), 0.6))
        held_by_galleries.append(np.subtract(alone.accuracy_interval(), 0.6))
        truth.append(pooled.mean)
    assert np.mean(truth) == pytest.approx(0.6, abs=0.01)
    # 93 % less two standard errors of 300 studies
    assert np.mean([low <= 0 <= high for low, high in held]) > 0.93 - 2 * 0.015
    assert np.mean([low <= 0 <= high for low, high in held_by_galleries]) < 0.8


def test_decoders_of_noise_that_folds_train_on_each_other_are_rarely_called_better_than_chance() -> None:
    # images and responses are unrelated; each fold learns the association of the other folds, to first order exactly as in the notes
    found = {"pooled": 0, "as if folds were independent": 0}
    for number in range(250):
        generator = np.random.default_rng(number)
        images, responses = generator.standard_normal((2, 4, 10, 5))
        costs = []
        for fold in range(4):
            others = [other for other in range(4) if other != fold]
            learnt = np.einsum("fni,fnj->ij", responses[others], images[others])
            costs.append(-responses[fold] @ learnt @ images[fold].T)
        found["pooled"] += permuted_targets_p_value(costs, generator, 300) < 0.05
        itself = np.concatenate([np.diag(cost) for cost in costs]).sum()
        permuted = [sum(cost[np.arange(10), generator.permutation(10)].sum() for cost in costs) for _ in range(300)]
        found["as if folds were independent"] += (np.sum(np.array(permuted) <= itself) + 1) / 301 < 0.05
    # 250 studies: 12.5 expected at 5 %, deviation 3.4
    assert found["pooled"] <= 12.5 + 2 * 3.4
    assert found["as if folds were independent"] > 12.5 + 2 * 3.4


def test_paired_differences_over_folds_are_those_of_all_queries_and_p_follows_the_interval() -> None:
    folds = {
        quality: [retrieve(*make_scores(quality, int(10 * quality) + s, 20 + s), IMAGE) for s in (0, 1)] for quality in (1.0, 3.0)
    }
    first, second = (PooledRetrieval(tuple(folds[quality])) for quality in (3.0, 1.0))
    top1 = next(one for one in compare(first, second, 0, 500) if one.measure == "top1")
    assert top1.difference == pytest.approx(np.mean(first.top(1)) - np.mean(second.top(1)))
    assert top1.low > 0.0
    assert top1.p_value < 0.05


def test_a_difference_of_one_fold_alone_is_not_certain_over_folds() -> None:
    # twenty images each: in three folds decoders are equal, in the fourth one is always right and the other never
    right, wrong = (retrieve(sign * np.eye(20), np.arange(20), IMAGE) for sign in (1, -1))
    equal = retrieve(*make_scores(1.0, 0, 20), IMAGE)
    first, second = (PooledRetrieval((equal, equal, equal, one)) for one in (right, wrong))
    top1 = next(one for one in compare(first, second, 0, 500) if one.measure == "top1")
    assert top1.difference == pytest.approx(0.25)
    assert top1.low < 0 < top1.high
    assert top1.p_value > 0.05


def test_only_the_same_folds_are_compared() -> None:
    one, other, longer = (retrieve(*make_scores(1.0, 0, n), IMAGE) for n in (12, 12, 13))
    assert are_paired(PooledRetrieval((one, longer)), PooledRetrieval((other, longer)))
    for wrong in (PooledRetrieval((longer, one)), PooledRetrieval((one, longer, one)), one):
        assert not are_paired(PooledRetrieval((one, longer)), wrong)
    with pytest.raises(DataError, match="same queries and gallery"):
        compare(PooledRetrieval((one, longer)), one, 0, 100)
    assert spread_of(one, 1).variance == one.spread(1).variance
