"""The ideal observer hands the truth responses in their own units."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.data.pairs import Gallery, Queries, learn_standardiser, make_pairs
from dina.recordings.recording import Recording
from dina.recordings.truth import Truth
from dina.rivals.ideal_observer import IdealObserver


@pytest.fixture
def truth():
    generator = np.random.default_rng(0)
    return Truth(
        mean=(10 * generator.exponential(size=(20, 6))).astype(np.float32),
        # the same for all images, so that their pooled covariance is that of each
        private_variance=np.tile(generator.uniform(1, 4, 6), (20, 1)).astype(np.float32),
        shared_gain=np.ones((20, 6), dtype=np.float32),
        shared_loadings=np.zeros((6, 1), dtype=np.float32),
    )


def test_scores_are_gaussian_log_likelihoods_of_the_responses_as_recorded(truth):
    generator = np.random.default_rng(1)
    responses = (truth.mean + generator.standard_normal((20, 6))).astype(np.float32)
    recording = Recording("r", np.arange(320, dtype=np.float32).reshape(20, 1, 4, 4), np.arange(20), responses, truth=truth)
    pairs = make_pairs(recording, np.array([3, 8, 11]), learn_standardiser(recording, np.arange(20)))

    observer = IdealObserver(truth).fit(pairs, pairs)
    scores = observer.score(Queries(pairs.responses, np.array([1.0, 1.0, 4.0])), Gallery(pairs.images, pairs.stimulus_id))

    for query, image, presentations in ((0, 1, 1), (2, 0, 4)):
        ids = (3, 8, 11)
        mean, variance = truth.mean[ids[image]].astype(float), truth.private_variance[ids[image]].astype(float) / presentations
        log_p = -0.5 * (((responses[ids[query]] - mean) ** 2 / variance) + np.log(2 * np.pi * variance)).sum()
        own = -0.5 * np.log(2 * np.pi) * 6
        # up to a constant per response: compare differences between two candidates
        other_mean, other = truth.mean[ids[query]].astype(float), truth.private_variance[ids[query]].astype(float) / presentations
        log_q = -0.5 * (((responses[ids[query]] - other_mean) ** 2 / other) + np.log(other)).sum() + own
        assert scores[query, image] - scores[query, query] == pytest.approx(log_p - log_q, rel=1e-3, abs=1e-2)  # float32


def test_it_finds_responses_from_images_as_well(truth):
    generator = np.random.default_rng(2)
    # every other response is far from all means: unlikely under any image, but least unlikely under its own
    distance = np.where(np.arange(20) % 2, 4.0, 0.3)[:, None]
    responses = (truth.mean + distance * generator.standard_normal((20, 6))).astype(np.float32)
    recording = Recording("r", np.arange(320, dtype=np.float32).reshape(20, 1, 4, 4), np.arange(20), responses, truth=truth)
    pairs = make_pairs(recording, np.arange(20), learn_standardiser(recording, np.arange(20)))

    observer = IdealObserver(truth).fit(pairs, pairs)
    scores = observer.score(Queries(pairs.responses, np.ones(20)), Gallery(pairs.images, pairs.stimulus_id))

    np.testing.assert_array_equal(scores.argmax(axis=0), np.arange(20))


def test_it_must_be_fitted_first(truth):
    with pytest.raises(DataError, match="call fit"):
        IdealObserver(truth).score(
            Queries(np.zeros((1, 6)), np.ones(1)), Gallery(np.zeros((1, 1, 4, 4), dtype=np.float32), np.zeros(1, dtype=np.int64))
        )
