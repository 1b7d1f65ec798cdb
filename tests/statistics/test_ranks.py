"""Ranks of targets: ties at mid-rank, impossible input refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dina.checks import DataError
from dina.statistics.ranks import all_ranks, count_better_and_tied, target_ranks


def test_identity_scores_rank_every_target_first():
    np.testing.assert_array_equal(target_ranks(np.eye(7), np.arange(7)), 1.0)


def test_equal_scores_rank_every_target_in_the_middle():
    np.testing.assert_array_equal(target_ranks(np.zeros((4, 9)), np.array([0, 3, 8, 8])), 5.0)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (5, 6), elements=st.integers(0, 3).map(float)))
def test_ranks_agree_with_counting_by_hand(scores):
    target = np.array([0, 5, 2, 2, 4])

    ranks = target_ranks(scores, target)

    for query, row in enumerate(scores):
        own = row[target[query]]
        expected = 1 + sum(s > own for s in row) + (sum(s == own for s in row) - 1) / 2
        assert ranks[query] == expected
    np.testing.assert_array_equal(all_ranks(scores)[np.arange(5), target], ranks)


def test_an_increasing_map_of_the_scores_leaves_the_ranks():
    scores = np.random.default_rng(0).standard_normal((20, 30))

    np.testing.assert_array_equal(all_ranks(scores), all_ranks(np.exp(scores)))


def test_a_score_that_is_not_a_number_is_refused():
    scores = np.eye(3)
    scores[1, 2] = np.nan

    with pytest.raises(DataError, match="query 1, gallery item 2"):
        target_ranks(scores, np.arange(3))


@pytest.mark.parametrize("target", [np.array([0, 1, 3]), np.array([0, 1, -1])])
def test_a_target_that_is_not_in_the_gallery_is_refused(target):
    with pytest.raises(DataError, match="needs a target between 0 and 2"):
        count_better_and_tied(np.eye(3), target)
