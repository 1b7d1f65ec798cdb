"""Generic decoding and Gabor pyramid identification against plain references, and on neurons made for them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import Ridge as ReferenceRidge

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.data.standardise import Standardiser
from dina.rivals import generic_decoding
from dina.rivals.generic_decoding import GenericDecoding
from dina.rivals.kay2008 import GaborPyramid, Kay2008


def smooth_images(n, seed=0, side=24):
    images = gaussian_filter(np.random.default_rng(seed).standard_normal((n, 1, side, side)), (0, 0, 1, 1))
    return (images / images.std()).astype(np.float32)


def pairs_of(images, responses):
    n, n_neurons = responses.shape
    unit = Standardiser(np.zeros(n_neurons, np.float32), np.ones(n_neurons, np.float32))
    return Pairs(images, np.arange(n), responses.astype(np.float32), np.arange(n), np.ones(n, dtype=np.int64), unit)


def test_a_grating_drives_the_energies_of_its_own_frequency_and_orientation_whatever_its_phase():
    pyramid = GaborPyramid(64, 64)
    assert pyramid.wavelengths == (64, 32, 16, 8, 4)
    x = np.arange(64)
    # vertical stripes of 8 pixels: horizontal modulation, the first of eight orientations
    gratings = [np.tile(np.cos(2 * np.pi * x / 8 + phase), (64, 1)) for phase in (0.0, 1.0, 2.0)]
    energies = pyramid.encode(np.array(gratings, np.float32)[:, None])[:, 0, :, 0].float()
    counts = [8 * (64 // length) ** 2 for length in pyramid.wavelengths]
    by_scale = torch.split(energies, counts, dim=1)
    strongest = [float(part.amax()) for part in by_scale]
    assert int(np.argmax(strongest)) == 3
    own = by_scale[3].reshape(3, 8, 8, 8)
    assert (own.mean((2, 3)).argmax(1) == 0).all()
    inner = own[:, 0, 2:6, 2:6]
    # a quadrature pair answers alike to all phases, but for a few per cent of the even filter's subtracted mean
    assert float((inner.amax() - inner.amin()) / inner.mean()) < 0.1


def test_phases_turn_sign_with_the_image_and_energies_do_not():
    pyramid, images = GaborPyramid(24, 24), smooth_images(5)
    one, other = pyramid.encode(images), pyramid.encode(-images)
    torch.testing.assert_close(one[:, 0], other[:, 0])
    torch.testing.assert_close(one[:, 1:], -other[:, 1:])


def test_scores_over_training_images_have_mean_zero_and_deviation_one():
    scores = GaborPyramid(24, 24).learn(smooth_images(80)).float()
    # half precision
    assert float(scores.mean(0).abs().max()) < 5e-3
    assert float(scores.std(0, correction=0).median()) == pytest.approx(1.0, abs=5e-3)


def test_colour_adds_opponent_wavelets_and_leaves_those_of_luminance_as_they_were():
    colour = np.random.default_rng(0).standard_normal((3, 3, 24, 24)).astype(np.float32)
    pyramid = GaborPyramid(24, 24)
    grey = pyramid.encode(colour.mean(1, keepdims=True))
    found = pyramid.encode(colour)
    assert found.shape[2] == 3 * grey.shape[2]
    torch.testing.assert_close(found[:, :, : grey.shape[2]], grey)


def test_stripes_of_red_and_green_drive_red_green_energies_and_nothing_of_luminance():
    stripes = np.tile(np.cos(2 * np.pi * np.arange(64) / 8), (64, 1)).astype(np.float32)
    image = np.stack([stripes, -stripes, 0 * stripes])[None]
    luminance, red_green, blue_yellow = GaborPyramid(64, 64).encode(image)[0, 0, :, 0].float().chunk(3)
    assert float(luminance.abs().max()) == float(blue_yellow.abs().max()) == 0
    # vertical stripes of 8 pixels of amplitude 2: twice what a grey grating gives, in the same wavelet
    grey = GaborPyramid(64, 64).encode(stripes[None, None])[0, 0, :, 0].float()
    torch.testing.assert_close(red_green, 2 * grey, rtol=2e-3, atol=2e-3)  # half precision


@pytest.mark.parametrize(("phase_power", "expected"), [(2, "energies"), (1, "energies_and_phases")])
def test_kay_finds_complex_cells_by_energies_and_simple_cells_by_phases(phase_power, expected):
    images = smooth_images(500)
    wavelets = GaborPyramid(24, 24).learn(images).float()
    chosen = np.random.default_rng(0).choice(wavelets.shape[2], 40, replace=False)
    drive = wavelets[:, 0, chosen, 0] if phase_power == 2 else wavelets[:, 1, chosen, 0]
    noise = np.random.default_rng(1).standard_normal((500, 80))
    responses = np.concatenate([drive.numpy(), np.zeros((500, 40))], axis=1) + 0.7 * noise
    train, validation = pairs_of(images[:360], responses[:360]), pairs_of(images[360:440], responses[360:440])
    decoder = Kay2008().fit(train, validation)
    assert decoder.chosen["features"] == expected
    scores = decoder.score(Queries(responses[440:], np.ones(60)), Gallery(images[440:], np.arange(60)))
    # chance is 1/60
    assert (scores.argmax(1) == np.arange(60)).mean() > 0.3
    # the 40 neurons that no image drives are the ones left out
    assert decoder.chosen["neurons"] <= 40
    assert set(decoder.fitted.neurons) <= set(range(40))


def test_generic_regressions_are_those_of_scikit_learn_on_the_most_correlated_neurons():
    generator = np.random.default_rng(0)
    known, units = generator.standard_normal((50, 12)), generator.standard_normal((50, 3))
    units[:, 1] += 2 * known[:, 4]
    known = ((known - known.mean(0)) / known.std(0)).astype(np.float32)
    order = generic_decoding.order_neurons(torch.from_numpy(known), torch.from_numpy(units.astype(np.float32)))
    expected = np.argsort(-np.abs(np.corrcoef(known.T, units.T)[:12, 12:]), axis=0).T
    np.testing.assert_array_equal(order.numpy(), expected)
    assert order[1, 0] == 4
    weights = generic_decoding.fit_units(torch.from_numpy(known), torch.from_numpy(units.astype(np.float32)), order[:, :5])
    for number, penalty in enumerate(generic_decoding.PENALTIES):
        for unit in range(3):
            reference = ReferenceRidge(penalty * 50).fit(known[:, order[unit, :5]], units[:, unit])
            # single precision
            np.testing.assert_allclose(weights[number, unit], reference.coef_, atol=1e-5)


def test_with_more_neurons_than_images_the_dual_form_gives_the_same_regressions():
    generator = np.random.default_rng(0)
    known = generator.standard_normal((20, 40))
    known = ((known - known.mean(0)) / known.std(0)).astype(np.float32)
    units = generator.standard_normal((20, 2)).astype(np.float32)
    order = generic_decoding.order_neurons(torch.from_numpy(known), torch.from_numpy(units))
    weights = generic_decoding.fit_units(torch.from_numpy(known), torch.from_numpy(units), order)
    reference = ReferenceRidge(generic_decoding.PENALTIES[2] * 20).fit(known[:, order[0]], units[:, 0])
    np.testing.assert_allclose(weights[2, 0], reference.coef_, atol=1e-5)


def test_the_seed_draws_the_units_and_nothing_else():
    images = smooth_images(80)
    responses = np.random.default_rng(0).standard_normal((80, 10))
    train, validation = pairs_of(images[:60], responses[:60]), pairs_of(images[60:], responses[60:])
    asked, gallery = Queries(responses[60:], np.ones(20)), Gallery(images[60:], np.arange(20))
    first, again, other = (GenericDecoding(seed).fit(train, validation).score(asked, gallery) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("decoder", [GenericDecoding(), Kay2008()])
def test_two_images_or_no_fit_are_refused(decoder):
    few = pairs_of(smooth_images(2), np.eye(2))
    with pytest.raises(DataError, match="at least three training images; got 2"):
        decoder.fit(few, few)
    with pytest.raises(DataError, match="must be fitted before it scores"):
        decoder.score(Queries(np.zeros((1, 2)), np.ones(1)), Gallery(few.images, few.stimulus_id))
