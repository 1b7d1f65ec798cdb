"""Hubness is high where one candidate is near everything, and nowhere else."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.retrieval.hubness import count_occurrences, measure_hubness


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
