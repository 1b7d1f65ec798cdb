"""A split is a partition of the shown images that keeps groups whole and looks at no response."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from dina.checks import DataError
from dina.data.pairs import learn_standardiser
from dina.data.splits import group_near_identical, split_by_stimulus, split_into_folds
from dina.recordings.recording import Recording


def record(stimulus_id: np.ndarray, n_stimuli: int, condition: str = "natural", image_set: str = "shared") -> Recording:
    """Make a recording of five noisy neurons."""
    generator = np.random.default_rng(len(stimulus_id))
    return Recording(
        name=f"{condition} session",
        images=generator.integers(0, 255, (n_stimuli, 1, 6, 8), dtype=np.uint8),
        stimulus_id=stimulus_id,
        responses=generator.standard_normal((len(stimulus_id), 5)).astype(np.float32),
        condition=condition,
        image_set=image_set,
    )


@pytest.fixture
def recording():
    return record(np.repeat(np.arange(200), 2), 200)


@pytest.mark.parametrize("seed", range(5))
def test_train_validation_and_test_are_a_partition_of_the_asked_sizes(recording, seed):
    split = split_by_stimulus([recording], np.arange(200), seed)

    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.validation, split.test])), np.arange(200))
    assert (len(split.train), len(split.validation), len(split.test)) == (160, 20, 20)
    for ids in (split.train, split.validation, split.test):
        assert (np.diff(ids) > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_group_crosses_a_boundary(recording, seed):
    group = np.random.default_rng(seed).integers(0, 60, 200)

    split = split_by_stimulus([recording], group, seed)

    sets = [set(group[ids]) for ids in (split.train, split.validation, split.test)]
    assert all(one.isdisjoint(other) for one, other in combinations(sets, 2))
    assert len(split.train) + len(split.validation) + len(split.test) == 200


def test_a_group_larger_than_the_test_set_goes_to_training(recording):
    group = np.where(np.arange(200) < 50, 0, np.arange(200))

    for seed in range(5):
        split = split_by_stimulus([recording], group, seed)
        assert set(range(50)) <= set(split.train)
        assert len(split.test) == len(split.validation) == 20


def test_equal_seeds_give_equal_splits_and_other_seeds_other_ones(recording):
    one, same, other = (split_by_stimulus([recording], np.arange(200), seed) for seed in (3, 3, 4))

    assert one.sha256() == same.sha256() != other.sha256()


def test_every_image_is_tested_about_equally_often(recording):
    tested = sum(np.isin(np.arange(200), split_by_stimulus([recording], np.arange(200), s).test) for s in range(300))

    # binomial with n = 300, p = 0.1: deviation 5.2; five deviations over 200 images
    assert tested.min() > 30 - 26
    assert tested.max() < 30 + 26


def test_one_split_holds_for_all_conditions_and_images_never_shown_take_no_part():
    natural = record(np.repeat(np.arange(0, 80), 2), 120)
    white = record(np.repeat(np.arange(40, 110), 2), 120, condition="white")

    split = split_by_stimulus([natural, white], np.arange(120), seed=0)

    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.validation, split.test])), np.arange(110))


def test_responses_do_not_move_the_split_and_test_responses_do_not_move_the_standardiser(recording):
    split = split_by_stimulus([recording], np.arange(200), seed=0)
    learnt = learn_standardiser(recording, split.train)
    for poison in (1e6, np.nan):
        responses = recording.responses.copy()
        responses[~np.isin(recording.stimulus_id, split.train)] = poison
        poisoned = object.__new__(Recording)  # a Recording with NaN cannot be made; here it must not even be noticed
        vars(poisoned).update(vars(recording) | {"responses": responses})

        again = split_by_stimulus([poisoned], np.arange(200), seed=0)
        relearnt = learn_standardiser(poisoned, again.train)

        assert again.sha256() == split.sha256()
        assert relearnt.mean.tobytes() == learnt.mean.tobytes()
        assert relearnt.deviation.tobytes() == learnt.deviation.tobytes()


def test_recordings_that_cannot_be_split_together_are_refused(recording):
    with pytest.raises(DataError, match="one image set; got other, shared"):
        split_by_stimulus([recording, record(np.arange(200), 200, image_set="other")], np.arange(200), 0)
    with pytest.raises(DataError, match="got 150 and 200 images"):
        split_by_stimulus([recording], np.arange(150), 0)
    with pytest.raises(DataError, match=r"together below 1; got 0\.5 and 0\.5"):
        split_by_stimulus([recording], np.arange(200), 0, 0.5, 0.5)
    with pytest.raises(DataError, match="test, validation would be empty with 3 images"):
        split_by_stimulus([record(np.array([0, 1, 2, 0, 1, 2]), 3)], np.arange(3), 0)


@pytest.mark.parametrize("n_folds", [2, 3, 7])
def test_every_shown_image_is_tested_in_exactly_one_fold_and_groups_stay_whole(n_folds):
    recording = record(np.repeat(np.arange(0, 190), 2), 200)  # ten images were never shown
    group = np.where(np.arange(200) < 60, np.arange(200) // 3, np.arange(200))

    splits = split_into_folds([recording], group, 3, n_folds)

    np.testing.assert_array_equal(np.sort(np.concatenate([split.test for split in splits])), np.arange(190))
    for split in splits:
        np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.validation, split.test])), np.arange(190))
        assert len(split.validation) == 19
        sets = [set(group[ids]) for ids in (split.train, split.validation, split.test)]
        assert all(one.isdisjoint(other) for one, other in combinations(sets, 2))
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    assert [split.sha256() for split in splits] == [one.sha256() for one in split_into_folds([recording], group, 3, n_folds)]
    assert splits[0].sha256() != split_into_folds([recording], group, 4, n_folds)[0].sha256()


def test_two_images_share_a_fold_as_often_as_chance_has_it(recording):
    together = sum(
        np.isin([0, 1], split.test).all()
        for seed in range(300)
        for split in split_into_folds([recording], np.arange(200), seed, 4)
    )
    # 49 of 199 others are in the fold of an image: 74 of 300, deviation 7.5
    assert abs(together - 300 * 49 / 199) < 4 * 7.5


def test_folds_that_cannot_be_are_refused(recording):
    with pytest.raises(DataError, match=r"n_folds must be .* 2"):
        split_into_folds([recording], np.arange(200), 0, 1)
    with pytest.raises(DataError, match=r"Each of 3 folds needs .* fold 1 would have 100, 0 and 100 of 200 images in 2 groups"):
        split_into_folds([recording], np.arange(200) % 2, 0, 3)


@pytest.mark.parametrize("seed", range(3))
def test_blocks_are_runs_of_images_in_the_order_of_presentation(seed):
    shown = np.random.default_rng(1).permutation(60)
    recording = record(np.repeat(shown, 2), 60)

    split = split_by_stimulus([recording], np.arange(60), seed, in_blocks=True)

    place = np.argsort(shown)
    for ids in (split.test, split.validation):
        gaps = np.diff(np.sort(place[ids]))
        assert len(ids) == 6
        assert sorted(gaps)[:-1] == [1] * 4  # at the end of the recording a run goes on at its beginning
        assert gaps.max() in (1, 60 - 5)
    assert not np.array_equal(split.test, split_by_stimulus([recording], np.arange(60), seed).test)


def test_a_chain_of_images_names_what_can_be_changed(recording):
    with pytest.raises(DataError, match=r"The largest group holds 200, .*split.near_identical \(0.999\).*split.in_blocks=true"):
        split_by_stimulus([recording], np.zeros(200, dtype=int), 0)


def test_of_very_many_images_fractions_count_only_some(recording, monkeypatch):
    monkeypatch.setattr("dina.data.splits.MOST_COUNTED", 40)
    split = split_by_stimulus([recording], group_near_identical(recording.images), 0)
    assert (len(split.validation), len(split.test)) == (4, 4)
    assert len(split.train) == len(np.unique(recording.stimulus_id)) - 8


def test_pairs_of_images_are_the_same_however_many_are_compared_at_a_time(recording, monkeypatch):
    images = np.concatenate([recording.images, recording.images[::3]])
    whole = group_near_identical(images)
    monkeypatch.setattr("dina.data.splits.MOST_DISTANCES", 7 * len(images))
    np.testing.assert_array_equal(group_near_identical(images), whole)


def test_other_pictures_under_the_same_ids_are_refused(recording):
    brighter = replace(recording, images=recording.images // 2 + 60)
    split_by_stimulus([recording, brighter], np.arange(200), 0)
    swapped = recording.images.copy()
    swapped[[3, 7]] = swapped[[7, 3]]
    for condition in ("natural", None):  # where it is not stated, pictures count as they are
        with pytest.raises(
            DataError,
            match=r"must show the same images under the same ids.*2 of the 200 that both showed differ \(first: image 3, counted from 0\)",
        ):
            split_by_stimulus([recording, replace(recording, images=swapped, condition=condition)], np.arange(200), 0)
    derived = replace(recording, images=swapped, condition="8D")  # other pictures of the same identities
    split_by_stimulus([recording, derived], np.arange(200), 0)
