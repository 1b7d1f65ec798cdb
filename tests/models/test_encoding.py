"""Encoding models: windows, expected responses, the evidence of a response, and the gain of predictions at each contrast."""

import pytest
import torch

from dina.models.encoding import N_TYPICAL, EncodingModel, Windows, calibrate_by_contrast, choose_typical, log_evidence
from dina.models.noise import LowRankNoise
from dina.models.towers.field_basis import hermite_fields


def test_evidence_averages_likelihoods_not_their_logarithms():
    likelihood = torch.tensor([[0.25, 0.75], [1.0, 3.0]])
    found = log_evidence(likelihood.log(), torch.ones(2))
    torch.testing.assert_close(found, torch.tensor([0.5, 2.0]).log())


def test_a_response_of_twice_the_presentations_counts_twice_the_likelihood():
    likelihood = torch.tensor([[0.2, 0.6]]).log()
    found = log_evidence(likelihood, torch.tensor([2.0]))
    torch.testing.assert_close(found, 0.5 * torch.tensor([(0.04 + 0.36) / 2]).log())


def test_very_small_likelihoods_do_not_vanish():
    found = log_evidence(torch.tensor([[-2000.0, -2001.0]]), torch.ones(1))
    assert -2001 < float(found) < -2000


def test_typical_rows_are_spread_over_all_images():
    expected = torch.arange(3.0 * N_TYPICAL)[:, None]
    chosen = choose_typical(expected)[:, 0]
    assert len(chosen) == N_TYPICAL
    assert (float(chosen[0]), float(chosen[-1])) == (0.0, 3.0 * N_TYPICAL - 1)
    assert bool((chosen.diff() > 0).all())
    assert torch.equal(choose_typical(expected[:5]), expected[:5])


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


def planted(n_images=80, noise=0.3):
    """Make two neurons that read one channel through a Gaussian window, and their responses."""
    maps = drawn(n_images, 2, 7, 9)
    centre = torch.tensor([[2.0, 3.0], [4.0, 6.0]])
    fields = hermite_fields((7, 9), centre, 1.0, 0)[:, 0]
    signal = torch.einsum("nhw,shw->sn", fields, maps[:, 0])
    return maps, signal / signal.std(0) + noise * drawn(n_images, 2, seed=1), centre


def test_windows_lie_where_the_neurons_look_and_the_better_width_is_taken():
    maps, responses, centre = planted(300)
    windows = Windows.find(maps, responses, (0.3, 1.0), 0)
    assert torch.equal(windows.centre, centre)
    assert windows.width == 1.0


def test_a_map_of_one_place_has_one_pattern():
    maps = drawn(50, 3, 1, 1)
    windows = Windows.find(maps, maps[:, :2, 0, 0], (0.5, 1.5), 2)
    assert (windows.width, windows.order) == (0.5, 0)


def test_the_likelihood_of_a_fitted_model_finds_images_that_it_has_not_seen():
    maps, responses, _ = planted(300)
    model = EncodingModel.fit(maps[:260], responses[:260], Windows.find(maps[:260], responses[:260], (1.0,), 0))
    scores = model.log_likelihood(responses[260:], model.weights.predict(maps[260:]))
    # two neurons with a signal ten times the noise variance; chance is a rank of 20.5 among 40
    assert float((scores >= scores.diagonal()[:, None]).sum(1).float().mean()) < 8


def test_information_is_the_likelihood_less_its_average_over_the_images_learnt_from():
    maps, responses, _ = planted(60)
    model = EncodingModel.fit_everywhere(maps, responses)
    found = model.information(responses[:3], responses[:5], torch.ones(3))
    typical = model.log_likelihood(responses[:3], model.weights.predicted)
    expected = model.log_likelihood(responses[:3], responses[:5]) - typical.exp().mean(1).log()[:, None]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)  # single precision


def test_before_a_noise_model_is_chosen_each_neuron_has_its_own_noise():
    maps, responses, _ = planted()
    model = EncodingModel.fit_everywhere(maps, responses)
    assert model.noise.loadings.shape == (2, 0)
    torch.testing.assert_close(model.noise.private, (responses - model.weights.predicted).square().mean(0))
