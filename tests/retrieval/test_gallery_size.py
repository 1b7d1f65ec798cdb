"""Accuracy against gallery size agrees with counting all galleries."""

from itertools import combinations

import numpy as np
import pytest

from dina.checks import DataError
from dina.retrieval.gallery_size import accuracy_by_gallery_size, choose_sizes
from dina.retrieval.ranks import DIRECTIONS, retrieve


def test_it_agrees_with_going_through_every_gallery_ties_included():
    scores = np.random.default_rng(0).integers(0, 4, (6, 6)).astype(float)
    found = retrieve(scores, np.arange(6), DIRECTIONS[0])

    result = accuracy_by_gallery_size(found, np.arange(2, 7), np.random.default_rng(0))

    for size, top1 in zip(result.gallery_size, result.top1, strict=True):
        expected = []
        for query, row in enumerate(scores):
            for others in combinations(np.delete(row, query), size - 1):
                beaten = max(others) > row[query]
                expected.append(0.0 if beaten else 1 / (1 + sum(o == row[query] for o in others)))
        # exact up to the rounding of products
        assert top1 == pytest.approx(np.mean(expected), abs=1e-12)


def test_the_full_gallery_gives_the_accuracy_itself_and_collapsed_scores_give_chance():
    scores = np.random.default_rng(1).standard_normal((50, 50)) + 2 * np.eye(50)
    found = retrieve(scores, np.arange(50), DIRECTIONS[0])
    collapsed = retrieve(np.zeros((50, 50)), np.arange(50), DIRECTIONS[0])
    sizes = choose_sizes(50)

    result = accuracy_by_gallery_size(found, sizes, np.random.default_rng(0))
    nothing = accuracy_by_gallery_size(collapsed, sizes, np.random.default_rng(0))

    assert result.top1[-1] == pytest.approx(found.top(1).mean(), abs=1e-12)
    assert result.top1[0] == pytest.approx(found.two_way().mean(), abs=1e-12)
    np.testing.assert_allclose(nothing.top1, nothing.chance, rtol=1e-9)
    assert (np.diff(result.top1) < 0).all()
    assert (result.top1_low <= result.top1).all()
    assert (result.top1 <= result.top1_high).all()


@pytest.mark.parametrize("size", [1, 7])
def test_an_impossible_size_is_refused(size):
    found = retrieve(np.eye(6), np.arange(6), DIRECTIONS[0])

    with pytest.raises(DataError, match=f"between 2 and the gallery size 6; got {size}"):
        accuracy_by_gallery_size(found, np.array([2, size]), np.random.default_rng(0))
