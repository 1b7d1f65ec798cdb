"""The gain of predictions at each contrast: planted gains, whitening, knots without images."""

import pytest
import torch

from dina.models.encoding import calibrate_by_contrast
from dina.models.noise import LowRankNoise


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def independent(n_neurons):
    return LowRankNoise(torch.ones(n_neurons), torch.zeros(n_neurons, 1))


def weights_of(position, n_knots):
    """Spread each position between its two neighbouring knots."""
    return (1 - (position[:, None] - torch.arange(n_knots)).abs()).clamp_min(0)


def test_planted_gains_are_found():
    knots = weights_of(torch.linspace(0, 3, 200), 4)
    planted = torch.tensor([0.2, 0.6, 1.0, 1.7])
    predicted = drawn(200, 30)
    responses = (knots @ planted)[:, None] * predicted
    # the pull towards 1 has a weight of 1e-4
    torch.testing.assert_close(calibrate_by_contrast(responses, predicted, independent(30), knots), planted, atol=1e-3, rtol=1e-3)


def test_a_single_knot_gives_the_generalised_least_squares_gain():
    responses, predicted = drawn(50, 6), drawn(50, 6, seed=1) + drawn(50, 6)
    noise = LowRankNoise(torch.rand(6, generator=torch.Generator().manual_seed(2)) + 0.2, drawn(6, 2, seed=3))
    inverse = torch.linalg.inv(torch.diag(noise.private) + noise.loadings @ noise.loadings.T)
    agreement = torch.einsum("in,nm,im->", predicted, inverse, responses)
    power = torch.einsum("in,nm,im->", predicted, inverse, predicted)
    found = calibrate_by_contrast(responses, predicted, noise, torch.ones(50, 1))
    assert float(found) == pytest.approx(float(agreement / power), rel=1e-3)


def test_a_knot_that_no_image_is_near_keeps_a_gain_of_1_and_wrong_signs_give_0():
    knots = weights_of(torch.zeros(40), 3)
    predicted = drawn(40, 8)
    gain = calibrate_by_contrast(-predicted, predicted, independent(8), knots)
    torch.testing.assert_close(gain, torch.tensor([0.0, 1.0, 1.0]))
