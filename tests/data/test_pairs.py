"""Pairs average what belongs together; queries carry no answer; templates come from other trials."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.data.pairs import learn_standardiser, make_pairs, make_task, make_template_tasks
from dina.recordings.recording import Recording
from dina.study.decoder_scores import score_test


@pytest.fixture
def recording():
    """Forty images: image i was shown 1 + i % 4 times, in mixed order; image 39 never."""
    generator = np.random.default_rng(0)
    stimulus_id = generator.permutation(np.repeat(np.arange(39), 1 + np.arange(39) % 4))
    return Recording(
        name="ragged",
        images=generator.integers(0, 255, (40, 1, 6, 8), dtype=np.uint8),
        stimulus_id=stimulus_id,
        responses=generator.standard_normal((len(stimulus_id), 7)).astype(np.float32),
    )


@pytest.fixture
def pairs(recording):
    return make_pairs(recording, np.array([0, 3, 6, 7, 39, 21]), learn_standardiser(recording, np.arange(39)))


def test_pairs_hold_the_shown_images_and_all_their_trials(recording, pairs):
    np.testing.assert_array_equal(pairs.stimulus_id, [0, 3, 6, 7, 21])
    np.testing.assert_array_equal(np.bincount(pairs.stimulus_index), [1, 4, 3, 4, 2])
    np.testing.assert_array_equal(pairs.images, recording.contrast(pairs.stimulus_id))
    trials = np.isin(recording.stimulus_id, pairs.stimulus_id)
    np.testing.assert_array_equal(pairs.stimulus_id[pairs.stimulus_index], recording.stimulus_id[trials])
    np.testing.assert_array_equal(pairs.responses, pairs.standardiser.apply(recording.responses[trials]))


def test_averages_are_weighted_by_presentations(recording):
    weights = np.random.default_rng(1).integers(1, 9, recording.n_trials)
    weighted = Recording("w", recording.images, recording.stimulus_id, recording.responses, weights)
    pairs = make_pairs(weighted, np.arange(39), learn_standardiser(weighted, np.arange(39)))

    for image in range(39):
        rows = pairs.stimulus_index == image
        expected = np.average(pairs.responses[rows].astype(float), axis=0, weights=pairs.n_presentations[rows])
        np.testing.assert_allclose(pairs.averaged()[image], expected, atol=1e-5)  # float32
        assert pairs.total_presentations()[image] == weights[recording.stimulus_id == image].sum()


def test_repeats_are_numbered_in_order_of_presentation(pairs):
    for image in range(pairs.n_stimuli):
        numbers = pairs.repeat_number()[pairs.stimulus_index == image]
        np.testing.assert_array_equal(numbers, np.arange(len(numbers)))


def test_averaged_queries_are_one_per_image_and_single_trials_one_per_trial(pairs):
    averaged, single = make_task(pairs, "averaged"), make_task(pairs, "single_trial")

    np.testing.assert_array_equal(averaged.target, np.arange(5))
    np.testing.assert_array_equal(averaged.queries.n_presentations, [1, 4, 3, 4, 2])
    np.testing.assert_array_equal(single.target, pairs.stimulus_index)
    np.testing.assert_array_equal(single.queries.n_presentations, 1)
    assert single.gallery.templates is None


def test_templates_come_from_other_trials_than_the_query(pairs):
    tasks = make_template_tasks(pairs)

    assert len(tasks) == 4
    assert [len(task.target) for task in tasks] == [4, 4, 3, 2]  # image 0 was shown once and takes no part
    number = pairs.repeat_number()
    for repeat, task in enumerate(tasks):
        np.testing.assert_array_equal(task.gallery.stimulus_id, [3, 6, 7, 21])
        for query, place in enumerate(task.target):
            own = pairs.stimulus_index == place + 1
            np.testing.assert_array_equal(task.queries.responses[query], pairs.responses[own & (number == repeat)][0])
            others = pairs.responses[own & (number != repeat)].mean(axis=0)
            np.testing.assert_allclose(task.gallery.templates[place], others, atol=1e-6)  # float32


def test_what_cannot_be_asked_is_refused(recording):
    averages = Recording("a", recording.images, np.arange(40), np.eye(40, 7, dtype=np.float32), np.full(40, 12))
    pairs = make_pairs(averages, np.arange(40), learn_standardiser(averages, np.arange(40)))

    with pytest.raises(DataError, match="stores averages only"):
        make_task(pairs, "single_trial")
    with pytest.raises(DataError, match="two images with two trials each"):
        make_template_tasks(pairs)


class RoundsByPlace:
    """Scores images by their mean, with an error in the last digit that depends on the place in the gallery."""

    name, reads = "rounds by place", "images"

    def fit(self, train, validation):
        return self

    def score(self, queries, gallery):
        scores = np.tile(gallery.images.mean((1, 2, 3)), (len(queries.responses), 1))
        return (scores + 1e-6 * np.arange(scores.shape[1])).astype(np.float32)


def test_images_with_the_same_pixels_share_their_place_whatever_rounding_does(recording):
    images = recording.images.copy()
    images[21] = images[3]  # shown under two names
    twice = Recording("twice", images, recording.stimulus_id, recording.responses)
    pairs = make_pairs(twice, np.array([0, 3, 6, 7, 21]), learn_standardiser(twice, np.arange(39)))
    scored, _ = score_test(RoundsByPlace(), pairs)
    for one in scored.values():
        np.testing.assert_array_equal(one.scores[:, 4], one.scores[:, 1])
        assert len(np.unique(one.scores[0])) == 4
