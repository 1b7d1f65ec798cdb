"""Occlusion computed where a window reaches is occlusion computed by encoding every image anew."""

import numpy as np
import pytest
import torch

from dina.analyses.occlusion.occlusion_windows import GaborOcclusion, Sweep, blur, occlude_image_by_image, place_windows
from dina.training.presets import RecordingShape, build_towers
from dina.training.presets.default import DefaultSettings


def towers_and_images(n_channels: int, size: tuple[int, int], *, has_phases: bool):
    """Build towers with every part in use: random fields, noise, statistics, gains, and dependence on contrast."""
    generator = torch.Generator().manual_seed(0)
    settings = DefaultSettings(spaces=(), stride=2, n_orientations=3, n_contrasts=4, has_phases=has_phases)
    towers = build_towers("default", settings, RecordingShape(n_channels, *size, 30), seed=0).eval()
    contrast = 10 ** (torch.rand(40, 1, 1, 1, generator=generator) - 0.7)
    images = contrast * torch.nn.functional.avg_pool2d(torch.randn(40, n_channels, *size, generator=generator), 3, 1, 1)
    image, neural = towers.image_tower, towers.neural_tower
    image.learn_statistics(images)
    with torch.no_grad():
        image.gain.uniform_(0.5, 1.5, generator=generator)
        image.contrast.gain.uniform_(0.5, 1.5, generator=generator)
        image.contrast.expected.normal_(0.0, 0.3, generator=generator)
        neural.weights.normal_(0.0, 0.1, generator=generator)
        neural.private.uniform_(0.5, 1.5, generator=generator)
        neural.loadings.normal_(0.0, 0.2, generator=generator)
        neural.log_gain.normal_(0.0, 0.2, generator=generator)
        towers.comparison.log_scale.fill_(0.3)
    return towers, images[:5], torch.randn(5, 30, generator=generator)


@pytest.mark.parametrize("fill", ["mean", "blur"])
@pytest.mark.parametrize(("n_channels", "size", "has_phases"), [(1, (20, 37), True), (3, (26, 33), True), (1, (40, 70), False)])
def test_the_fast_form_is_exact(n_channels: int, size: tuple[int, int], has_phases: bool, fill: str) -> None:
    towers, images, responses = towers_and_images(n_channels, size, has_phases=has_phases)
    rows, columns = place_windows(size, 7.0)
    with torch.no_grad():
        neural = towers.neural_tower(responses)

    for deviation in (1.0, 3.0, 9.0):
        sweep = Sweep("any", deviation, fill, rows, columns, is_contrast_held=False)
        fast = GaborOcclusion(towers, images, neural).occlude(sweep)
        plain = occlude_image_by_image(towers, images, neural, torch.ones(5), sweep)

        # both in single precision: relative to the largest score and distance
        for name in ("score", "map_distance"):
            expected = getattr(plain, name)
            np.testing.assert_allclose(getattr(fast, name), expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=name)
        # and the windows do change something
        assert plain.score.std() > 1e-3 * np.abs(plain.score).max()


def test_held_contrast_is_the_gain_and_the_mean_map_of_the_whole_image() -> None:
    towers, images, responses = towers_and_images(1, (20, 37), has_phases=True)
    sweep = Sweep("any", 3.0, "mean", *place_windows((20, 37), 7.0))
    with torch.no_grad():
        neural = towers.neural_tower(responses)
    held = GaborOcclusion(towers, images, neural).occlude(sweep)

    contrast = towers.image_tower.contrast
    whole = contrast.knot_weights(images)
    for number in range(len(images)):
        contrast.knot_weights = lambda given, own=whole[number]: own.expand(len(given), -1)
        one = slice(number, number + 1)
        plain = occlude_image_by_image(towers, images[one], neural[one], torch.ones(1), sweep)
        # single precision, as above
        np.testing.assert_allclose(held.score[one], plain.score, rtol=0, atol=1e-5 * np.abs(plain.score).max())


def test_other_towers_are_not_taken_for_gabor_towers() -> None:
    towers = build_towers("scratch", None, RecordingShape(1, 20, 30, 10), seed=0)
    assert not GaborOcclusion.applies(towers)


def test_a_window_of_full_weight_everywhere_leaves_a_grey_image() -> None:
    towers, images, responses = towers_and_images(1, (20, 37), has_phases=True)
    with torch.no_grad():
        neural = towers.neural_tower(responses)
        grey = towers.comparison(neural, towers.image_tower(torch.zeros_like(images)), torch.ones(5)).diagonal()

    effects = occlude_image_by_image(
        towers, images, neural, torch.ones(5), Sweep("all", 1e4, "mean", (9.5,), (18.0,), is_contrast_held=False)
    )

    # the weight is 1 up to 2e-6
    np.testing.assert_allclose(effects.score[:, 0, 0], grey.numpy(), rtol=1e-3, atol=1e-3)


def test_held_contrast_of_images_one_by_one_is_that_of_the_fast_form() -> None:
    towers, images, responses = towers_and_images(1, (20, 37), has_phases=True)
    sweep = Sweep("any", 3.0, "mean", *place_windows((20, 37), 7.0))
    with torch.no_grad():
        neural = towers.neural_tower(responses)
    fast, plain = (
        GaborOcclusion(towers, images, neural).occlude(sweep),
        occlude_image_by_image(towers, images, neural, torch.ones(5), sweep),
    )
    np.testing.assert_allclose(fast.score, plain.score, rtol=0, atol=1e-5 * np.abs(plain.score).max())


def test_blur_keeps_the_mean_and_a_flat_image() -> None:
    images = torch.randn(2, 3, 12, 20, generator=torch.Generator().manual_seed(0))

    flat = blur(torch.full((1, 1, 12, 20), 3.0), 2.0)

    torch.testing.assert_close(flat, torch.full((1, 1, 12, 20), 3.0))
    blurred = blur(images, 1.5)
    assert blurred.shape == images.shape
    assert blurred.std() < 0.5 * images.std()
    # an impulse in the middle becomes the product of two Gaussians
    impulse = torch.zeros(1, 1, 21, 21)
    impulse[..., 10, 10] = 1.0
    spread = blur(impulse, 1.5)[0, 0]
    place = torch.arange(-4, 5, dtype=torch.float32)  # the kernel ends at three widths, 4.5 pixels, rounded up
    expected = torch.exp(-0.5 * (place / 1.5) ** 2)
    torch.testing.assert_close(spread[10, 6:15] / spread[10, 10], expected, rtol=1e-5, atol=1e-6)
