"""Accuracy against gallery size agrees with counting all galleries."""

from itertools import combinations

import numpy as np
import pytest

from dina.checks import DataError
from dina.retrieval.gallery_size import accuracy_by_gallery_size, accuracy_by_image, choose_sizes
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


def test_accuracy_by_image_leaves_each_image_out_as_query_and_as_distractor():
    generator = np.random.default_rng(3)
    target = generator.permutation(np.repeat(np.arange(8), 2))
    scores = generator.integers(0, 5, (16, 8)).astype(float)

    def accuracy(kept):
        rows = np.isin(target, kept)
        found = retrieve(scores[np.ix_(rows, kept)], np.searchsorted(kept, target[rows]), DIRECTIONS[0])
        return accuracy_by_gallery_size(found, np.array([4]), np.random.default_rng(0)).top1[0]

    whole = accuracy(np.arange(8))
    expected = [8 * whole - 7 * accuracy(np.delete(np.arange(8), image)) for image in range(8)]
    by_image = accuracy_by_image(scores, target, 4)

    # sums of the same products in another order
    np.testing.assert_allclose(by_image, expected, atol=1e-12)
    assert by_image.mean() == pytest.approx(whole, abs=1e-12)


def test_intervals_from_accuracy_by_image_cover_other_queries_and_galleries():
    generator = np.random.default_rng(0)
    found, error = [], []
    for _ in range(300):
        # distractors of unequal pull, as faint and strong images have
        scores = generator.standard_normal((100, 100)) + generator.standard_normal(100) + 2.5 * np.eye(100)
        by_image = accuracy_by_image(scores, np.arange(100), 50)
        found.append(by_image.mean())
        error.append(by_image.std(ddof=1) / 10)
    covered = np.abs(np.array(found) - np.mean(found)) < 1.96 * np.array(error)

    # 300 draws of 95 % have a standard error of 1.3 %; the jackknife is known to err on the wide side
    assert 0.925 < covered.mean() < 0.995


@pytest.mark.parametrize(
    ("target", "size", "words"),
    [([0, 1, 2, 3], 4, "between 2 and 3"), ([0, 1, 2, 3], 1, "between 2 and 3"), ([0, 0, 1, 2], 2, "as many queries")],
)
def test_accuracy_by_image_refuses_what_it_cannot_do(target, size, words):
    with pytest.raises(DataError, match=words):
        accuracy_by_image(np.eye(4), np.array(target), size)
