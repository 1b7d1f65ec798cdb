"""Ranks, accuracies and chance agree with sorting and with arithmetic, ties included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dina.checks import DataError
from dina.retrieval.ranks import DIRECTIONS, all_ranks, count_better_and_tied, retrieve, target_ranks

IMAGE, RESPONSE = DIRECTIONS


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


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_identity_scores_find_every_target_first(direction):
    found = retrieve(np.eye(8), np.arange(8), direction)

    np.testing.assert_array_equal(found.rank(), 1)
    np.testing.assert_array_equal(found.top(1), 1)
    np.testing.assert_array_equal(found.reciprocal_rank(), 1)
    np.testing.assert_array_equal(found.two_way(), 1)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_collapsed_scores_give_exactly_chance(direction):
    found = retrieve(np.full((100, 100), 0.3), np.arange(100), direction)

    for k in (1, 5, 10, 100):
        np.testing.assert_allclose(found.top(k), k / 100, rtol=1e-12)
    # the hundredth harmonic number over 100
    np.testing.assert_allclose(found.reciprocal_rank(), sum(1 / n for n in range(1, 101)) / 100, rtol=1e-12)
    np.testing.assert_allclose(found.reciprocal_rank(), 0.0519, atol=5e-5)
    np.testing.assert_array_equal(found.rank(), 50.5)
    np.testing.assert_array_equal(found.two_way(), 0.5)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_random_scores_give_chance(direction):
    scores = np.random.default_rng(0).standard_normal((2000, 100))

    found = retrieve(scores, np.tile(np.arange(100), 20), direction)

    # 2,000 queries: standard errors 0.0022 for top-1, 0.0065 for two-way
    assert found.top(1).mean() == pytest.approx(0.01, abs=0.008)
    assert found.two_way().mean() == pytest.approx(0.5, abs=0.025)
    assert found.reciprocal_rank().mean() == pytest.approx(0.0519, abs=0.01)


def test_ties_are_counted_by_expectation():
    # target tied with one other behind one better: places 2 and 3 of four
    found = retrieve(np.array([[1.0, 1.0, 2.0, 0.0]]), np.array([0]), IMAGE)

    assert [float(found.top(k)[0]) for k in (1, 2, 3, 4)] == [0.0, 0.5, 1.0, 1.0]
    assert found.rank()[0] == 2.5
    assert found.reciprocal_rank()[0] == pytest.approx((1 / 2 + 1 / 3) / 2, rel=1e-12)
    assert found.two_way()[0] == 0.5


def test_directions_of_averaged_responses_are_transposes():
    scores = np.random.default_rng(1).standard_normal((30, 30))

    one, other = retrieve(scores, np.arange(30), IMAGE), retrieve(scores.T.copy(), np.arange(30), RESPONSE)

    np.testing.assert_array_equal(one.rank(), other.rank())
    np.testing.assert_array_equal(one.log_rank_sum, other.log_rank_sum)


def test_an_image_is_asked_once_per_repeat_among_the_responses_of_that_repeat():
    # two images, two repeats; the second response to image 0 fits image 1 better than image 1's own response does
    scores = np.array([[3.0, 0.0], [0.0, 3.0], [2.0, 9.0], [0.0, 1.0]])

    found = retrieve(scores, np.array([0, 1, 0, 1]), RESPONSE)

    assert found.n_gallery == 2
    np.testing.assert_array_equal(found.image, [0, 1, 0, 1])
    np.testing.assert_array_equal(found.rank(), [1, 1, 1, 2])


def test_only_repeats_that_every_image_has_take_part_when_repeats_are_unequal():
    # image 2 was shown once, image 5 three times, image 7 twice; image 0 never
    target = np.array([5, 7, 5, 2, 5, 7])
    scores = np.zeros((6, 9))
    scores[np.arange(6), target] = 1

    found = retrieve(scores, target, RESPONSE)

    np.testing.assert_array_equal(found.image, [2, 5, 7])
    assert found.n_gallery == 3
    np.testing.assert_array_equal(found.rank(), 1)


def test_the_null_table_has_the_observed_log_ranks_on_its_diagonal():
    scores = np.random.default_rng(2).standard_normal((9, 6))
    target = np.array([0, 4, 5, 0, 4, 5, 0, 4, 5])

    for direction in DIRECTIONS:
        found = retrieve(scores, target, direction)
        assert found.log_rank_sum.shape == (3, 3)
        assert np.trace(found.log_rank_sum) == pytest.approx(np.log(found.rank()).sum(), rel=1e-12)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_unusable_input_is_refused_in_both_directions(direction):
    scores = np.eye(4)
    with pytest.raises(DataError, match="target between 0 and 3"):
        retrieve(scores, np.array([0, 1, 2, 4]), direction)
    with pytest.raises(DataError, match="1 NaN"):
        retrieve(np.where(np.eye(4) > 0, np.nan, 0.0)[:1], np.array([0]), IMAGE)
    with pytest.raises(DataError, match="gallery of at least two; got 1"):
        retrieve(np.ones((1, 1)), np.array([0]), direction)


@pytest.mark.parametrize("k", [0, -3, 5, 1.0])
def test_an_impossible_k_is_refused(k):
    found = retrieve(np.eye(4), np.arange(4), IMAGE)

    with pytest.raises((DataError, TypeError), match="k"):
        found.top(k)
