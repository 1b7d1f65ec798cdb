"""Near-identical images end up in one group, others do not."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.data import splits
from dina.data.splits import group_near_identical, likeness_to_nearest, merge_groups


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(40, 200, (30, 1, 50, 90), dtype=np.uint8)


def test_different_images_have_different_groups_in_order(images):
    np.testing.assert_array_equal(group_near_identical(images), np.arange(30))


def test_copies_brighter_copies_and_copies_of_other_contrast_are_found(images):
    images[3], images[11], images[29] = images[20], images[20] + 40, (0.5 * images[20]).astype(np.uint8)

    group = group_near_identical(images)

    assert set(np.flatnonzero(group == group[20])) == {3, 11, 20, 29}
    assert len(np.unique(group)) == 27


def test_a_copy_with_a_few_changed_pixels_is_found_and_one_with_many_is_not(images):
    images[1], images[2] = images[0], images[0]
    images[1, 0, 10, 10:13] ^= 31
    images[2, 0, :10] = images[5, 0, :10]

    group = group_near_identical(images)

    assert group[1] == group[0]
    assert group[2] != group[0]


def test_a_negative_is_another_image(images):
    images[1] = 255 - images[0]

    assert group_near_identical(images)[1] == 1


def test_all_blank_images_are_one_group_whatever_their_grey(images):
    images[4], images[9], images[17] = 0, 128, 128
    colour = np.repeat(images.astype(np.float32) / 255, 3, axis=1)
    colour[9, 0, 3, 3] += 1e-7  # as after some arithmetic in float32

    for pixels in (images, colour):
        group = group_near_identical(pixels)
        assert set(np.flatnonzero(group == group[4])) == {4, 9, 17}


def test_groups_are_closed_under_chains():
    # three directions, each 1.2 degrees from the next: neighbours correlate at 0.99978, the ends at 0.99912
    generator = np.random.default_rng(1)
    one, other = np.linalg.qr(generator.standard_normal((401, 3)))[0].T[:2]
    one, other = one - one.mean(), other - other.mean()
    other = other - one * (one @ other) / (one @ one)
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    angle = np.deg2rad(1.2) * np.arange(3)
    chain = (np.cos(angle)[:, None] * one + np.sin(angle)[:, None] * other).astype(np.float32).reshape(3, 1, 1, 401)

    assert group_near_identical(chain, threshold=0.9995).tolist() == [0, 0, 0]
    assert group_near_identical(chain[[0, 2]], threshold=0.9995).tolist() == [0, 1]


def test_groups_are_merged_across_conditions_in_any_order():
    groups = [np.array([0, 1, 2, 1, 3, 4]), np.array([0, 1, 2, 3, 0, 4]), np.array([0, 1, 2, 3, 1, 4])]
    # 1 and 3, 0 and 4, 1 and 4
    for some in (groups, groups[::-1]):
        assert merge_groups(some).tolist() == [0, 0, 1, 0, 0, 2]
    np.testing.assert_array_equal(merge_groups(groups[:1]), groups[0])
    with pytest.raises(DataError, match="5 and 6 images"):
        merge_groups([groups[0], groups[1][:5]])


@pytest.mark.parametrize("fine", [False, True])
def test_screening_misses_no_pair_and_adds_none(monkeypatch, fine):
    generator = np.random.default_rng(2)
    # fine stripes average to almost nothing over blocks, so that every pair passes the screen
    stripes = np.where(np.arange(96) % 2, 1.0, -1.0) if fine else 1.0
    parents = generator.uniform(0.5, 1.0, (12, 1, 60, 96)) * stripes
    images = (parents[generator.integers(12, size=80)] + 0.01 * generator.standard_normal((80, 1, 60, 96))).astype(np.float32)
    monkeypatch.setattr(splits, "CHUNK", 17)
    flat = images.reshape(80, -1)
    threshold = 0.998

    group = group_near_identical(images, threshold)

    assert ((np.corrcoef(flat) >= threshold) == (group[:, None] == group)).all()


def test_a_threshold_above_one_is_refused(images):
    with pytest.raises(DataError, match=r"at most 1; got 1\.5"):
        group_near_identical(images, threshold=1.5)


def test_the_nearest_training_image_is_found_whatever_is_held_at_a_time(images, monkeypatch):
    images[4] = np.clip(images[20] + np.random.default_rng(1).normal(0, 20, images[20].shape), 0, 255)
    test, train = np.array([4, 7, 9]), np.setdiff1d(np.arange(30), [4, 7, 9])
    expected = np.corrcoef(images.reshape(30, -1))[np.ix_(test, train)].max(axis=1)
    for most in (splits.MOST_PIXELS, 2 * 50 * 90):
        monkeypatch.setattr(splits, "MOST_PIXELS", most)
        np.testing.assert_allclose(likeness_to_nearest(images, test, train), expected, atol=1e-5)
    assert expected[0] > 0.8 > 0.2 > expected[1]
