"""Image components are the principal components of the training images."""

import numpy as np
import pytest

from dina.rivals.image_components import MAX_PIXELS, ImageComponents


def draw(n: int, n_channels: int, height: int, width: int) -> np.ndarray:
    """Draw images whose pixels have unequal variances."""
    generator = np.random.default_rng(n)
    scale = np.linspace(1, 3, n_channels * height * width).reshape(n_channels, height, width)
    return (generator.standard_normal((n, n_channels, height, width)) * scale).astype(np.float32)


@pytest.mark.parametrize("n", [30, 90])  # fewer and more images than pixels
def test_components_agree_with_a_singular_value_decomposition(n):
    images = draw(n, 1, 6, 8)

    learnt = ImageComponents.learn(images, 12)

    flat = images.reshape(n, -1).astype(float)
    flat -= flat.mean(axis=0)
    u, s, vt = np.linalg.svd(flat, full_matrices=False)
    np.testing.assert_allclose(learnt.deviation, s[:12] / np.sqrt(n), rtol=1e-4)  # float32
    # a component's sign is free
    np.testing.assert_allclose(np.abs(learnt.directions @ vt[:12].T), np.eye(12), atol=1e-3)
    np.testing.assert_allclose(np.abs(learnt.encode(images)), np.abs(u[:, :12]) * np.sqrt(n), atol=1e-2)


def test_training_components_are_uncorrelated_with_unit_variance():
    images = draw(60, 3, 10, 12)

    encoded = ImageComponents.learn(images, 20).encode(images)

    np.testing.assert_allclose(encoded.T @ encoded / 60, np.eye(20), atol=1e-4)  # float32


def test_there_are_no_more_components_than_directions_of_variance():
    images = draw(5, 1, 6, 6)
    images[4] = images[3]

    learnt = ImageComponents.learn(images, 50)

    assert len(learnt.deviation) == 3  # four different images about their mean
    assert np.isfinite(learnt.encode(draw(3, 1, 6, 6))).all()


def test_large_images_are_averaged_over_blocks_that_cover_every_pixel():
    images = draw(8, 3, 112, 113)

    learnt = ImageComponents.learn(images, 3)

    assert learnt.block == 3
    assert learnt.directions.shape[1] <= MAX_PIXELS * 1.1  # blocks at the edge are smaller
    last_pixel_changed = images.copy()
    last_pixel_changed[:, :, -1, -1] += 100
    assert not np.array_equal(learnt.encode(last_pixel_changed), learnt.encode(images))
