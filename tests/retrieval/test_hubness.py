"""Hubs are counted, and corrections for them agree with their definitions."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.retrieval.hubness import CORRECTIONS, balance_by_sinkhorn, count_occurrences, measure_hubness, rescale_by_neighbours
from dina.retrieval.ranks import retrieve


def test_every_query_gives_away_k_places_also_with_ties():
    scores = np.random.default_rng(0).integers(0, 3, (30, 20)).astype(float)

    assert count_occurrences(scores, k=4).sum() == pytest.approx(120, abs=1e-9)


def test_one_hub_makes_the_distribution_skewed():
    scores = np.random.default_rng(0).standard_normal((100, 100))
    without = measure_hubness(scores)
    scores[:, 7] += 10

    # random scores give binomial counts of skewness (1 - 2p)/√(np(1-p)) = 0.27 ± 0.24
    assert abs(without - 0.27) < 0.8
    assert measure_hubness(scores) > 3


def test_collapsed_scores_have_no_hubs():
    assert measure_hubness(np.zeros((9, 12))) == 0.0


def test_more_places_than_candidates_are_refused():
    with pytest.raises(DataError, match="the gallery size 5; got 6"):
        count_occurrences(np.eye(5), k=6)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def hubby_scores(n=60, seed=0):
    """Scores that would find everything, were it not that some candidates score high for every query."""
    return 2.0 * np.eye(n) + 0.6 * random(n, n, seed=seed) + 1.0 * random(1, n, seed=seed + 1)


def top1(scores):
    return retrieve(scores, np.arange(len(scores)), "image_from_response").top(1).mean()


def test_csls_is_the_published_formula():
    scores, k = random(7, 5), 3
    corrected = rescale_by_neighbours(scores, k)
    for query in range(7):
        for candidate in range(5):
            of_query = np.mean(sorted(scores[query])[-k:])
            of_candidate = np.mean(sorted(scores[:, candidate])[-k:])
            assert corrected[query, candidate] == pytest.approx(2 * scores[query, candidate] - of_query - of_candidate)


def test_sinkhorn_gives_every_query_one_answer_and_every_candidate_equally_many():
    plan = np.exp(balance_by_sinkhorn(random(12, 6)))
    np.testing.assert_allclose(plan.sum(axis=1), 1, rtol=1e-9)
    # two queries for each candidate; the iteration stops once logarithms change by less than 1e-6
    np.testing.assert_allclose(plan.sum(axis=0), 2, rtol=1e-5)


def test_sinkhorn_forgets_what_a_candidate_scores_for_every_query():
    scores = random(20, 20)
    shifted = scores + random(1, 20, seed=1)
    # up to the tolerance at which the iteration stops
    np.testing.assert_allclose(balance_by_sinkhorn(scores, 0.5), balance_by_sinkhorn(shifted, 0.5), atol=1e-4)


@pytest.mark.parametrize("name", CORRECTIONS)
def test_hubs_vanish_and_accuracy_rises(name):
    scores = hubby_scores()
    corrected = CORRECTIONS[name](scores)
    assert measure_hubness(corrected, k=1) < measure_hubness(scores, k=1) / 2
    assert top1(corrected) > top1(scores) + 0.1


@pytest.mark.parametrize("name", CORRECTIONS)
def test_scores_that_know_nothing_stay_at_chance(name):
    found = [top1(CORRECTIONS[name](random(50, 50, seed=seed))) for seed in range(40)]
    # chance 1/50; three standard errors over 2,000 queries
    assert abs(np.mean(found) - 0.02) < 3 * np.sqrt(0.02 * 0.98 / 2000)


@pytest.mark.parametrize("name", CORRECTIONS)
def test_the_order_of_queries_and_candidates_does_not_matter(name):
    scores = hubby_scores(15)
    rows, columns = np.random.default_rng(0).permutation(15), np.random.default_rng(1).permutation(15)
    moved = CORRECTIONS[name](scores[np.ix_(rows, columns)])
    # sums in another order: rounding of double precision
    np.testing.assert_allclose(moved, CORRECTIONS[name](scores)[np.ix_(rows, columns)], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", CORRECTIONS)
def test_equal_scores_stay_equal(name):
    corrected = CORRECTIONS[name](np.full((6, 6), 3.0))
    assert np.ptp(corrected) == pytest.approx(0, abs=1e-12)


def test_impossible_settings_are_refused():
    with pytest.raises(DataError, match="k must be"):
        rescale_by_neighbours(random(3, 3), k=0)
    with pytest.raises(DataError, match="temperature must be above 0"):
        balance_by_sinkhorn(random(3, 3), temperature=0.0)
