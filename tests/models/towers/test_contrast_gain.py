"""Knots of contrast: their weights, what is subtracted, and the gain of the rest."""

import math

import pytest
import torch

from dina.models.towers.image.contrast_gain import CLOSEST_KNOTS, ContrastGain, keep_components, log_contrast, solve_knots


def images_of(contrasts, seed=0):
    """Make images whose root-mean-square contrasts are those asked for."""
    noise = torch.randn(len(contrasts), 1, 8, 10, generator=torch.Generator().manual_seed(seed))
    noise = noise - noise.mean((1, 2, 3), keepdim=True)
    noise = noise / noise.square().mean((1, 2, 3), keepdim=True).sqrt()
    return noise * torch.tensor(contrasts)[:, None, None, None]


def placed(n_knots=4):
    gain = ContrastGain((2, 3, 3), n_knots)
    gain.place_knots(images_of([0.1 * k for k in range(1, 21)]))
    return gain


def test_contrast_is_the_standard_deviation_of_luminance_and_a_blank_image_has_a_floor():
    images = images_of([0.25, 1.0])
    torch.testing.assert_close(log_contrast(images), torch.tensor([math.log(0.25), 0.0]), atol=1e-5, rtol=1e-5)
    assert float(log_contrast(torch.full((1, 3, 8, 8), 0.4))) == pytest.approx(math.log(1e-3))


def test_weights_of_the_knots_sum_to_1_and_touch_two_neighbours():
    weights = placed().knot_weights(images_of([0.0, 1e-6, 0.1, 0.33, 0.8, 1.7, 2.0, 50.0]))
    torch.testing.assert_close(weights.sum(1), torch.ones(8))
    assert float(weights.min()) >= 0
    for row in weights:
        used = torch.where(row > 0)[0].tolist()
        assert used in ([used[0]], [used[0], used[0] + 1])


def test_weights_give_back_the_contrast_between_the_knots_and_its_end_beyond():
    gain = placed()
    inside = images_of([0.2, 0.5, 1.1])
    torch.testing.assert_close(gain.knot_weights(inside) @ gain.knot, log_contrast(inside), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gain.knot_weights(images_of([1e-3, 90.0])), torch.eye(4)[[0, 3]])


def test_knots_keep_apart_even_where_all_images_have_one_contrast():
    gain = ContrastGain((1, 2, 2), 5)
    gain.place_knots(images_of([0.7] * 9))
    assert bool((gain.knot.diff() > 0.99 * CLOSEST_KNOTS).all())
    assert gain.knot_weights(images_of([0.7])).isfinite().all()


def test_expected_maps_are_subtracted_the_rest_scaled_and_knots_appended():
    gain = placed(2)
    with torch.no_grad():
        gain.expected.copy_(torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(1)))
        gain.gain.copy_(torch.tensor([0.5, 3.0]))
    weights = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    rest = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(2))
    maps = rest + torch.stack([gain.expected[0], 0.25 * gain.expected[0] + 0.75 * gain.expected[1]])

    out = gain(maps, weights)

    # 0.25 x 0.5 + 0.75 x 3 = 2.375
    torch.testing.assert_close(out[:, :2], rest * torch.tensor([0.5, 2.375])[:, None, None, None])
    torch.testing.assert_close(out[:, 2:], weights[:, :, None, None].expand(2, 2, 3, 3))


def test_values_at_the_knots_are_solved_for():
    weights = torch.eye(3).repeat(20, 1)
    planted = torch.tensor([[1.0, -2.0], [0.5, 3.0], [4.0, 0.0]])
    # the pull to 0 is a thousandth of the mean diagonal, here of every diagonal entry
    torch.testing.assert_close(solve_knots(weights, weights @ planted), planted / 1.001)


def test_noise_of_single_neurons_is_taken_out_of_what_follows_contrast() -> None:
    generator = torch.Generator().manual_seed(0)
    level = torch.linspace(0, 1, 8)[:, None]
    true = level * torch.randn(1, 300, generator=generator) + level.sqrt() * torch.randn(1, 300, generator=generator)
    noisy = true + 0.3 * torch.randn(8, 300, generator=generator)
    kept = keep_components(noisy, 2)
    # two of seven directions are kept, and the mean over knots, so about 3/8 of the noise variance
    assert float((kept - true).square().mean()) < 0.6 * float((noisy - true).square().mean())
    torch.testing.assert_close(keep_components(noisy, 7), noisy, atol=1e-5, rtol=0)  # all of them: only rounding
