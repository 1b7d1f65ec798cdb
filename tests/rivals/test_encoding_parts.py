"""The parts that encoding rivals are made of: descriptions of images, front ends, and the noise they choose from."""

import numpy as np
import pytest
import torch

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.data.standardise import Standardiser
from dina.retrieval.noise_choice import Predictions
from dina.rivals.encoding_identification import judge_by_validation
from dina.rivals.front_ends import FRONT_ENDS, GaborFrontEnd, NetworkFrontEnd, NetworkTraining, find_places, on_off_halves
from dina.rivals.image_components import GaborComponents


def some_pairs(n=60, n_neurons=6, shape=(1, 24, 32), seed=0):
    generator = np.random.default_rng(seed)
    images = generator.standard_normal((n, *shape)).astype(np.float32)
    responses = generator.standard_normal((n, n_neurons)).astype(np.float32)
    unit = Standardiser(np.zeros(n_neurons, np.float32), np.ones(n_neurons, np.float32))
    return Pairs(images, np.arange(n), responses, np.arange(n), np.ones(n, dtype=np.int64), unit)


def test_gabor_components_of_training_images_have_unit_variance_and_do_not_correlate():
    images = some_pairs().images
    learnt = GaborComponents.learn(images, 20)
    encoded = learnt.encode(images)
    # features are kept in half precision while directions are learnt
    np.testing.assert_allclose(encoded.T @ encoded / len(images), np.eye(20), atol=0.02)
    assert (np.diff(learnt.deviation) <= 0).all()


def test_gabor_components_of_new_images_do_not_depend_on_their_company():
    learnt = GaborComponents.learn(some_pairs().images, 20)
    new = some_pairs(seed=1).images
    np.testing.assert_allclose(learnt.encode(new)[3:4], learnt.encode(new[3:4]), atol=1e-4)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] * (name == "network")) for name in FRONT_ENDS])
@pytest.mark.parametrize("n_colours", [1, pytest.param(3, marks=pytest.mark.long)])
def test_front_ends_give_standardised_maps_and_the_same_ones_again(name, n_colours):
    pairs = some_pairs(n=70, shape=(n_colours, 24, 32))
    front = FRONT_ENDS[name]()
    learnt = front.learn(pairs, pairs, seed=0).float()
    assert float(learnt.mean(0).abs().max()) < 0.01  # half precision
    assert float(learnt.std(0, correction=0).median()) == pytest.approx(1.0, abs=0.01)
    again = torch.cat([maps.detach() for maps in front.encode(pairs.images)])
    torch.testing.assert_close(again, learnt, atol=0.01, rtol=0.01)


def test_the_opponent_front_end_tells_red_from_green_and_light_from_dark():
    red = np.zeros((1, 3, 24, 32), np.float32)
    red[:, 0], red[:, 1] = 1.0, -1.0  # of the same luminance as grey
    halves = on_off_halves(red, (6, 8))[0].mean((1, 2))
    # on and off of luminance, of red–green, of blue–yellow
    np.testing.assert_allclose(halves.numpy(), [0, 0, 2, 0, 0, 0], atol=1e-6)
    assert len(on_off_halves(red[:, :1], (6, 8))[0]) == 2


def test_an_opponent_front_end_adds_channels_to_those_of_the_gabors():
    pairs = some_pairs(shape=(3, 24, 32))
    gabors, opponent = (kind().learn(pairs, pairs, 0) for kind in (GaborFrontEnd, FRONT_ENDS["opponent"]))
    assert opponent.shape[1] == gabors.shape[1] + 6
    torch.testing.assert_close(opponent[:, : gabors.shape[1]], gabors)


def test_the_network_reads_each_neuron_where_its_receptive_field_is():
    generator = np.random.default_rng(0)
    images = generator.standard_normal((300, 1, 34, 51)).astype(np.float32)
    rows, columns = np.array([5, 17, 29]), np.array([8, 25, 44])
    responses = np.stack([images[:, 0, r - 2 : r + 3, c - 2 : c + 3].mean((1, 2)) for r, c in zip(rows, columns)], 1)
    place = find_places(torch.from_numpy(images), torch.from_numpy(responses), (17, 26)).numpy()
    np.testing.assert_allclose(place // 26, rows / 2, atol=1.5)
    np.testing.assert_allclose(place % 26, columns / 2, atol=1.5)


@pytest.mark.long
def test_the_network_learns_its_maps_from_the_neurons_and_the_seed():
    pairs = some_pairs()
    one, again, other = (NetworkFrontEnd().learn(pairs, pairs, seed) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    silent = Pairs(**{**vars(pairs), "responses": pairs.responses * 0})
    assert not torch.equal(NetworkFrontEnd().learn(silent, silent, 0), one)


def test_images_too_small_for_the_network_are_refused():
    with pytest.raises(DataError, match="at least 16 x 16 pixels; got 12 x 20"):
        NetworkFrontEnd().learn(some_pairs(shape=(1, 12, 20)), some_pairs(shape=(1, 12, 20)), 0)


def seen_by_neurons(n, seed=0):
    """Return neurons that see the mean of their own place, in noise, so that a network has something to learn."""
    pairs = some_pairs(n, seed=seed)
    places = [pairs.images[:, 0, 4 * i : 4 * i + 4, 5 * i : 5 * i + 4].mean((1, 2)) for i in range(6)]
    return Pairs(**{**vars(pairs), "responses": 4 * np.stack(places, 1) + 0.3 * pairs.responses})


@pytest.mark.long
def test_the_network_keeps_the_epoch_that_predicts_the_validation_images_best():
    train, validation = seen_by_neurons(200), seen_by_neurons(40, seed=1)
    images, responses = (torch.from_numpy(each) for each in (train.images, train.averaged()))
    training = NetworkTraining.start(images, responses, 0)
    training.run((images, responses), (torch.from_numpy(validation.images), torch.from_numpy(validation.averaged())))
    errors = training.errors
    assert training.best_epoch == int(np.argmin(errors)) + 1
    front = NetworkFrontEnd()
    front.learn(train, validation, 0)
    assert front.chosen["chosen_epoch"] == training.best_epoch
    assert front.chosen["epochs_done"] == len(errors) <= front.chosen["epochs_budget"]
    # predicting nothing is wrong by the mean square of the responses
    assert min(errors) < float((validation.averaged() ** 2).mean())


def test_with_nothing_to_learn_the_network_stops_early_and_says_so():
    # on pure noise every epoch is worse than the first few
    front = NetworkFrontEnd()
    front.learn(some_pairs(), some_pairs(seed=1), 0)
    assert front.chosen["epochs_done"] < front.chosen["epochs_budget"]
    assert "did not fall for 4 epochs" in front.chosen["stop_reason"]


@pytest.mark.long
def test_what_the_network_keeps_is_the_epoch_and_not_the_last_weights(monkeypatch):
    train, validation = seen_by_neurons(100), seen_by_neurons(40, seed=1)
    front = NetworkFrontEnd()
    maps = front.learn(train, validation, 0)
    monkeypatch.setattr("dina.rivals.front_ends.N_EPOCHS", front.chosen["chosen_epoch"])
    # the same training, ended at that epoch
    torch.testing.assert_close(NetworkFrontEnd().learn(train, validation, 0), maps, rtol=0, atol=0)


def residuals(n=50, n_neurons=7):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 1, generator=generator) + torch.randn(n, n_neurons, generator=generator) * torch.linspace(
        1, 3, n_neurons
    )


def judged(kind, rows):
    empty = torch.zeros(3, rows.shape[1])
    return [(one.model, one.setting) for one in judge_by_validation(kind, Predictions(rows, 0 * rows, empty, empty), rows)]


@pytest.mark.parametrize("kind", ["independent", "shrinkage"])
def test_every_kind_of_noise_has_ten_settings_for_each_source(kind):
    assert len({tuple(setting.items()) for _, setting in judged(kind, residuals())}) == 10


def test_independent_noise_has_variances_drawn_together_and_nothing_shared():
    variance = residuals().square().mean(0)
    for noise, setting in judged("independent", residuals()):
        assert noise.loadings.shape == (7, 0)
        expected = variance + setting["noise_shrinkage"] * (variance.mean() - variance)
        torch.testing.assert_close(noise.private, expected)


@pytest.mark.parametrize("n", [4, 50])
def test_shrunk_noise_is_the_whole_covariance_with_smaller_correlations(n):
    rows = residuals(n)
    covariance = rows.T @ rows / n
    for noise, setting in judged("shrinkage", rows):
        shrinkage = setting["noise_shrinkage"]
        expected = (1 - shrinkage) * covariance + shrinkage * torch.diag(covariance.diagonal())
        found = noise.divide(torch.eye(7))
        # the condition of the least shrunk covariance costs digits of single precision
        torch.testing.assert_close(found @ expected, torch.eye(7), atol=5e-3, rtol=0)
