"""Intervals hold the mean over galleries of new images as often as they say, and change with nothing but the images."""

import numpy as np
import pytest

from dina.retrieval.half_galleries import HalfGalleries, Spread
from dina.retrieval.ranks import DIRECTIONS, retrieve
from dina.statistics.intervals import wilson_interval

N_IMAGES, N_GALLERIES = 60, 300


def confusable_gallery(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Score images that are easily confused in pairs: whoever is not found often takes the place of another."""
    vectors = generator.standard_normal((N_IMAGES, 8)) * generator.choice([0.5, 1.0, 1.5], size=(N_IMAGES, 1))
    predicted = vectors + 0.45 * generator.standard_normal(vectors.shape)
    return 2 * vectors @ predicted.T - (predicted**2).sum(axis=1), np.arange(N_IMAGES)


def test_intervals_hold_the_mean_over_galleries_where_those_over_queries_alone_do_not():
    generator = np.random.default_rng(0)
    spreads = [retrieve(*confusable_gallery(generator), DIRECTIONS[0]).spread(1) for _ in range(N_GALLERIES)]

    means = np.array([spread.mean for spread in spreads])
    low, high = np.array([spread.accuracy_interval() for spread in spreads]).T
    wilson = np.array([wilson_interval(mean, N_IMAGES) for mean in means]).T
    truth = means.mean()

    assert ((low <= truth) & (truth <= high)).mean() >= 0.93
    assert ((wilson[0] <= truth) & (truth <= wilson[1])).mean() < 0.93
    # the estimate of the standard deviation agrees with that over galleries, known to 4 %, within 10 %
    assert np.sqrt(np.mean([spread.variance for spread in spreads])) == pytest.approx(means.std(ddof=1), rel=0.1)


def test_paired_differences_of_equal_decoders_hold_zero():
    generator, held = np.random.default_rng(1), []
    for _ in range(200):
        vectors = generator.standard_normal((N_IMAGES, 8)) * generator.choice([0.5, 1.0, 1.5], size=(N_IMAGES, 1))
        predicted = [vectors + 0.45 * generator.standard_normal(vectors.shape) for _ in range(2)]
        scores = [2 * vectors @ each.T - (each**2).sum(axis=1) for each in predicted]
        one, other = (retrieve(each, np.arange(N_IMAGES), DIRECTIONS[0]) for each in scores)
        low, high = one.spread(1, other).difference_interval()
        held.append(low <= 0 <= high)

    assert np.mean(held) >= 0.93


def test_counts_within_halves_agree_with_looking():
    scores = np.random.default_rng(0).integers(0, 5, (14, 7)).astype(float)
    target = np.tile(np.arange(7), 2)

    halves = HalfGalleries.count(scores, target)

    assert halves.n_better.shape == (14, 100)
    for split in range(5):
        first = set(target[halves.is_first[:, split]])
        assert len(first) == 3
        for query in range(14):
            own = [j for j in range(7) if (j in first) == halves.is_first[query, split] and j != target[query]]
            assert halves.n_better[query, split] == sum(scores[query, j] > scores[query, target[query]] for j in own)
            assert halves.n_tied[query, split] == sum(scores[query, j] == scores[query, target[query]] for j in own)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_trials_that_say_the_same_are_worth_one(direction):
    scores = np.random.default_rng(0).standard_normal((30, 30)) + 2 * np.eye(30)

    once = retrieve(scores, np.arange(30), direction).spread(1)
    often = retrieve(np.tile(scores, (4, 1)), np.tile(np.arange(30), 4), direction).spread(1)

    assert often.accuracy_interval() == pytest.approx(once.accuracy_interval(), rel=1e-12)
    assert often.n_images == 30


def test_a_few_wrong_trials_of_one_image_each_do_not_make_every_trial_count():
    # two of forty images miss one trial of four: were trials independent, the variance would be a quarter
    spread = Spread(158 / 160, 158 * 2 / 160**2 / 160, 1.0, 40, 19)

    low, _ = spread.accuracy_interval()

    # the ratio 1/4 of half a wrong image is drawn to (0.5 / 4 + 3) / 3.5
    assert low == pytest.approx(wilson_interval(158 / 160, 40 * 3.5 / 3.125, freedom=19)[0])


def test_decoders_that_err_alike_do_not_differ_for_certain():
    low, high = Spread(0.0, 0.0, 1.0, 40, 19).difference_interval()

    assert low == -high
    # two imagined images, one for each: 2.093 * sqrt(2) / 42
    assert high == pytest.approx(0.0705, abs=1e-4)


def test_one_wrong_answer_of_forty_leaves_the_poisson_limit():
    spread = Spread(39 / 40, 39 / 1600 / 40, 1.0, 40, 19)

    # half the 5 % quantile of chi-square with two degrees of freedom, 0.0513, in 40
    assert spread.accuracy_interval()[1] == pytest.approx(1 - 0.0513 / 40, abs=1e-5)
