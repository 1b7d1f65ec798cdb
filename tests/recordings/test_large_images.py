"""Large images are averaged over blocks of pixels, and that is said; positions stay in pixels of the images given."""

from dataclasses import replace

import numpy as np
import pytest

from dina.recordings.large_images import block_side, length_given, position_given, reduce_images
from dina.recordings.recording import Recording


@pytest.fixture(scope="module")
def large() -> Recording:
    """Give a recording of four images of 401 x 400 pixels, 0.1 degrees each."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (4, 1, 401, 400), dtype=np.uint8)
    responses = generator.random((8, 3), dtype=np.float32)
    return Recording("large", images, np.arange(8) % 4, responses, deg_per_pixel=0.1, notes=("A note.",))


def test_blocks_are_averaged_and_the_notes_say_so(large: Recording) -> None:
    reduced = reduce_images(large)
    assert (reduced.images.shape, reduced.images.dtype, reduced.block_px) == ((4, 1, 201, 200), np.uint8, 2)
    blocks = large.images[:, :, :400].reshape(4, 1, 200, 2, 200, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(reduced.images[:, :, :200], blocks, atol=0.5)
    np.testing.assert_allclose(reduced.images[:, :, 200], large.images[:, :, 400].reshape(4, 1, 200, 2).mean(axis=3), atol=0.5)
    assert reduced.notes[0] == "A note."
    assert "Images of 401 x 400 pixels are larger than towers can use" in reduced.notes[1]
    assert reduced.deg_per_pixel == pytest.approx(0.2)
    assert reduce_images(reduced) is reduced


def test_float_images_keep_their_means(large: Recording) -> None:
    reduced = reduce_images(replace(large, images=large.images[:, :, :400].astype(np.float32)))
    assert reduced.images.dtype == np.float32
    np.testing.assert_allclose(reduced.images.mean(), large.images[:, :, :400].mean(), rtol=1e-6)


def test_ordinary_images_are_left_alone(small_session: Recording) -> None:
    assert reduce_images(small_session) is small_session
    assert [block_side(*size) for size in ((200, 400), (256, 512), (257, 512))] == [1, 1, 2]


def test_positions_are_those_of_the_images_given(large: Recording) -> None:
    reduced = reduce_images(large)
    np.testing.assert_array_equal(position_given(reduced, np.array([0.0, 10.0])), [0.5, 20.5])
    assert length_given(reduced, 3.0) == 6.0
    assert (position_given(large, 7.25), length_given(large, 7.25)) == (7.25, 7.25)


def test_a_written_recording_knows_its_blocks(large: Recording, tmp_path) -> None:
    reduce_images(large).write(tmp_path / "large.nc")
    assert Recording.read(tmp_path / "large.nc").block_px == 2
