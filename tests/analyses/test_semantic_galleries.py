"""Galleries of distractors by category and low-level distance agree with explicit loops."""

import numpy as np
import pytest
import torch

from dina.analyses.semantics.category_retrieval import (
    LAPSE,
    LikelihoodDecoder,
    best_distractors,
    compare_galleries,
    exchange_within,
    low_level_distances,
)
from dina.models.noise import LowRankNoise


def loops(scores: np.ndarray, distances: np.ndarray, category: np.ndarray) -> tuple[float, float]:
    """Own-category and low-level cost by explicit loops over queries and distractors."""
    lost, cells = [], {"near": [], "far": []}
    n = len(scores)
    for i in range(n):
        others = sorted((j for j in range(n) if j != i), key=lambda j: distances[i, j])
        for rank, j in enumerate(others):
            rivals = [k for k in others if category[k] != category[i]]
            if category[j] != category[i] or not rivals:
                continue
            k = min(rivals, key=lambda k: (abs(distances[i, k] - distances[i, j]), distances[i, k]))
            wins = [float(scores[i, i] > scores[i, d]) + 0.5 * float(scores[i, i] == scores[i, d]) for d in (j, k)]
            lost.append(wins[1] - wins[0])
            cells["near" if rank < len(others) // 2 else "far"] += wins
    return float(np.mean(lost)), float(np.mean(cells["far"]) - np.mean(cells["near"]))


def test_galleries_are_those_of_explicit_loops() -> None:
    generator = np.random.default_rng(0)
    scores = generator.integers(4, size=(30, 30)).astype(float)  # with ties
    distances = generator.random((30, 30))
    category = generator.integers(3, size=30)

    wins = compare_galleries(scores, distances, category[None])

    expected = loops(scores, distances, category)
    np.testing.assert_allclose([wins.same_class_cost()[0], wins.low_level_cost()[0]], expected, rtol=1e-12)


def test_many_draws_of_categories_are_as_one_after_the_other() -> None:
    generator = np.random.default_rng(1)
    scores, distances = generator.random((2, 20, 20))
    draws = generator.integers(2, size=(5, 20))

    together = compare_galleries(scores, distances, draws).same_class_cost()

    apart = [compare_galleries(scores, distances, draw[None]).same_class_cost()[0] for draw in draws]
    np.testing.assert_array_equal(together, apart)


@pytest.mark.parametrize(("reads", "cost"), [("category", 0.5), ("distance", 0.0)])
def test_only_a_decoder_of_category_pays_for_distractors_of_the_own_category(reads: str, cost: float) -> None:
    generator = np.random.default_rng(2)
    place, category = generator.random(200), generator.integers(2, size=200)
    distances = np.abs(place[:, None] - place)
    scores = {"category": (category[:, None] == category).astype(float), "distance": -distances}[reads]

    wins = compare_galleries(scores, distances, category[None])

    # by category all of its own tie (½) and all others lose; by distance the own image is always nearest
    assert wins.same_class_cost()[0] == pytest.approx(cost)


def test_resampling_every_query_once_gives_the_value() -> None:
    generator = np.random.default_rng(3)
    scores, distances = generator.random((2, 20, 20))
    wins = compare_galleries(scores, distances, generator.integers(2, size=20)[None])
    once = np.ones((1, 20), dtype=np.int64)

    np.testing.assert_allclose(wins.same_class_cost(once), wins.same_class_cost())
    np.testing.assert_allclose(wins.accuracy(once), wins.accuracy())


def test_a_query_whose_category_has_no_other_image_takes_no_part() -> None:
    wins = compare_galleries(np.eye(4), np.ones((4, 4)), np.array([[0, 1, 2, 3]]))

    assert np.isnan(wins.same_class_cost()).all()


def test_the_best_distractor_is_never_the_target() -> None:
    assert best_distractors(np.array([[9.0, 1.0, 2.0], [5.0, 9.0, 1.0], [0.0, 3.0, 9.0]])).tolist() == [2, 0, 1]


def test_low_level_distances_are_in_units_of_noise() -> None:
    expected = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    noise = LowRankNoise(torch.tensor([1.0, 4.0]), torch.zeros(2, 1))

    distances = low_level_distances(expected, noise, torch.zeros(3, 1))

    # squared: 4, 1 and 5 by hand; whole-image statistics are all alike; the mean over all pairs, selves included, is 20/9
    np.testing.assert_allclose(distances**2, np.array([[0, 4, 1], [4, 0, 5], [1, 5, 0]]) * 9 / 20, atol=1e-6)


def test_bits_are_those_of_the_gallery_for_a_sure_decoder_and_none_for_a_flat_one() -> None:
    decoder = LikelihoodDecoder(LowRankNoise(torch.ones(2), torch.zeros(2, 1)), 1.0)

    sure, flat = decoder.information(1000 * np.eye(16)), decoder.information(np.zeros((16, 16)))

    np.testing.assert_allclose(np.diagonal(sure), np.log2(16 * (1 - LAPSE) + LAPSE))
    np.testing.assert_allclose(flat, 0.0, atol=1e-12)


def test_a_decoder_that_cannot_know_learns_not_to_be_sure() -> None:
    generator = torch.Generator().manual_seed(0)
    residuals, responses, evoked = (torch.randn(n, 5, generator=generator) for n in (300, 60, 60))

    decoder = LikelihoodDecoder.fit(residuals, responses, evoked)

    bits = np.diagonal(decoder.information(decoder.score(responses, evoked)))
    assert decoder.sharpness < 0.2
    assert abs(bits.mean()) < 0.1


def test_images_are_exchanged_within_their_category_only() -> None:
    category = np.array([0, 1, 0, 1, 0, 2])

    other = exchange_within(category, np.random.default_rng(0))

    np.testing.assert_array_equal(category[other], category)
    np.testing.assert_array_equal(np.sort(other), np.arange(6))
    assert (other != np.arange(6)).any()
