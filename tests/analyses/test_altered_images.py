"""Altered images keep what their name says and lose the rest."""

import numpy as np
import pytest

from dina.analyses.shape_texture.altered_images import (
    ALTERATIONS,
    match_texture,
    mean_amplitude,
    steerable_filters,
    swap_amplitude,
)
from dina.recordings.recording import Recording


@pytest.fixture(scope="module")
def images(small_session: Recording) -> np.ndarray:
    return small_session.contrast(np.arange(12))


def altered(name: str, images: np.ndarray, seed: int = 0) -> np.ndarray:
    return ALTERATIONS[name].alter(images, mean_amplitude(images), np.random.default_rng(seed))


def spectrum(images: np.ndarray) -> np.ndarray:
    return np.fft.fft2(images - images.mean(axis=(2, 3), keepdims=True))


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)])


def test_phase_only_images_keep_phases_and_share_amplitudes(images: np.ndarray) -> None:
    changed = spectrum(altered("phase_only", images))
    # single precision; the zero frequency has no phase
    turn = (spectrum(images) * changed.conj())[:, :, 1:, 1:]
    assert np.abs(np.angle(turn[np.abs(turn) > 1e-2])).max() < 1e-2
    np.testing.assert_allclose(np.abs(changed[0]), np.abs(changed[1]), atol=1e-3)


def test_amplitude_only_images_keep_amplitudes_and_no_place(images: np.ndarray) -> None:
    changed = altered("amplitude_only", images)
    # single precision of a transform of 1,152 pixels
    np.testing.assert_allclose(np.abs(spectrum(changed)), np.abs(spectrum(images)), atol=1e-2)
    # correlated by chance only: standard error of the mean of 12 smooth images is below 0.1
    assert abs(correlation(changed, images).mean()) < 0.3
    assert not np.array_equal(changed, altered("amplitude_only", images, seed=1))


def test_silhouettes_have_two_tones_that_follow_the_image(images: np.ndarray) -> None:
    changed = altered("silhouette", images)
    assert set(np.unique(np.sign(changed))) <= {-1.0, 0.0, 1.0}
    # two tones of a low-passed image; of a Gaussian one they would correlate by 0.8 with it
    assert correlation(changed, images).min() > 0.3


def test_contours_lie_at_an_edge_and_nowhere_else() -> None:
    step = np.where(np.arange(48) < 20, -1.0, 1.0)
    changed = altered("contours", np.broadcast_to(step, (2, 1, 32, 48)).astype(np.float32).copy())
    place = changed[0, 0].mean(axis=0)
    # the edge lies between columns 19 and 20
    assert int(place.argmax()) in (19, 20)
    assert place[:15].max() == place[26:].max() == 0


def test_filters_of_the_steerable_decomposition_rebuild_an_image() -> None:
    plane = np.random.default_rng(0).standard_normal((64, 96))
    filters = steerable_filters(*plane.shape)
    bands = np.fft.irfft2(np.fft.rfft2(plane) * filters, s=plane.shape)
    rebuilt = np.fft.irfft2((np.fft.rfft2(bands) * filters.conj()).sum(axis=0), s=plane.shape)
    # double precision
    np.testing.assert_allclose(rebuilt, plane, atol=1e-12)


def test_a_texture_has_the_pixels_of_its_image_and_nothing_in_its_place(images: np.ndarray) -> None:
    texture = match_texture(images, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(texture[0], axis=None), np.sort(images[0], axis=None), atol=1e-6)
    # correlated by chance only, as above
    assert abs(correlation(texture, images).mean()) < 0.3


def test_a_texture_of_stripes_is_striped_the_same_way() -> None:
    stripes = np.broadcast_to(np.sin(2 * np.pi * np.arange(48) / 6), (1, 1, 32, 48)).astype(np.float32)
    texture = match_texture(stripes, np.random.default_rng(0))[0, 0]
    power = np.abs(np.fft.fft2(texture)) ** 2
    near = power[:, 6:11].sum() + power[:, -10:-5].sum()  # 8 cycles along the width; an octave's band at most
    # of white noise a fifth of the power would lie there
    assert near / power.sum() > 0.5


def test_texture_in_place_keeps_where_contrast_is() -> None:
    image = np.random.default_rng(0).standard_normal((4, 1, 32, 64)).astype(np.float32)
    image[..., 32:] *= 0.01
    changed = altered("local_texture", image)
    # windows of eight pixels: none reaches further than that across the border
    assert changed[..., 40:].std() < 0.05 * changed[..., :24].std()
    assert abs(correlation(changed, image).mean()) < 0.3


def test_texture_in_place_keeps_no_layout_of_luminance() -> None:
    image = 0.1 * np.random.default_rng(0).standard_normal((8, 1, 32, 64)).astype(np.float32)
    image += np.where(np.arange(64) < 32, -1.0, 1.0).astype(np.float32)
    changed = altered("local_texture", image)
    half = changed[..., 36:].mean(axis=(1, 2, 3)) - changed[..., :28].mean(axis=(1, 2, 3))
    # windows of random phases have means of a tenth of their contrast; the halves of the originals are two apart
    assert np.abs(half).max() < 0.1


def test_windows_of_texture_in_place_add_up() -> None:
    even = np.full((1, 1, 30, 50), 0.7, dtype=np.float32)
    # single precision
    np.testing.assert_allclose(altered("local_texture", even), even, atol=1e-5)


def test_amplitudes_and_phases_are_told_apart_by_exchange(images: np.ndarray) -> None:
    own = np.abs(spectrum(images))
    # giving an image its own amplitudes changes nothing but its mean
    back = swap_amplitude(images, own)
    np.testing.assert_allclose(back, images - images.mean(axis=(2, 3), keepdims=True), atol=1e-4)
