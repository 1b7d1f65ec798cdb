"""The ridge decoder agrees with scikit-learn, leaves himalaya as it was, and copes with small recordings."""

from dataclasses import replace

import numpy as np
import pytest
from himalaya.backend import get_backend, set_backend
from sklearn.linear_model import Ridge as ReferenceRidge

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.data.standardise import Standardiser
from dina.rivals import ridge as ridge_file
from dina.rivals.image_components import ImageComponents
from dina.rivals.ridge import ComponentRegression, Ridge


def make_pairs(n: int, seed: int, n_channels: int = 1, n_neurons: int = 25, n_presentations: int = 1) -> Pairs:
    """Make pairs in which each neuron adds up pixels, two trials per image."""
    shared, own = np.random.default_rng(99), np.random.default_rng(seed)
    fields = shared.standard_normal((n_channels * 48, n_neurons))
    images = own.standard_normal((n, n_channels, 6, 8)).astype(np.float32)
    index = np.tile(np.arange(n), 2)
    responses = (images.reshape(n, -1) @ fields)[index] / 7 + 0.7 * own.standard_normal((2 * n, n_neurons))
    unit = Standardiser(np.zeros(n_neurons, dtype=np.float32), np.ones(n_neurons, dtype=np.float32))
    weight = np.full(2 * n, n_presentations)
    return Pairs(images, np.arange(n), responses.astype(np.float32), index, weight, unit)


def test_predictions_agree_with_scikit_learn(monkeypatch):
    train = make_pairs(80, 0)
    monkeypatch.setattr(ridge_file, "PENALTIES", np.array([0.03]))
    components = ImageComponents.learn(train.images, 40)
    found = ComponentRegression.fit(train, components, 0)

    x, y = train.averaged().astype(float), components.encode(train.images)
    centred = x - x.mean(axis=0)
    reference = ReferenceRidge(alpha=0.03 * np.trace(centred @ centred.T) / 80).fit(x, y)
    new = make_pairs(10, 2).averaged()

    # float32 kernel of condition number about 1e2
    np.testing.assert_allclose(found.predict(new), reference.predict(new), atol=2e-3)


def test_many_images_give_the_same_weights_by_neurons(monkeypatch):
    train = make_pairs(80, 0, n_presentations=3)
    components = ImageComponents.learn(train.images, 40)
    by_image = ComponentRegression.fit(train, components, 0)
    monkeypatch.setattr(ridge_file, "MANY_IMAGES", 40)
    monkeypatch.setattr(ridge_file, "solve_kernel_ridge_cv_eigenvalues", None)  # no square of images
    by_neuron = ComponentRegression.fit(train, components, 0)
    np.testing.assert_allclose(by_neuron.weights, by_image.weights, atol=1e-4)  # rounding in single precision
    np.testing.assert_allclose(by_neuron.weightings["accuracy^1"], by_image.weightings["accuracy^1"], atol=1e-4)
    assert by_neuron.notes == by_image.notes


def test_images_with_more_presentations_weigh_more(monkeypatch):
    train = make_pairs(60, 0)
    presentations = np.random.default_rng(3).integers(1, 9, 60)
    train = replace(train, n_presentations=np.tile(presentations, 2))
    monkeypatch.setattr(ridge_file, "PENALTIES", np.array([0.03]))
    components = ImageComponents.learn(train.images, 40)
    found = ComponentRegression.fit(train, components, 0)

    weight = presentations / presentations.mean()
    x, y = train.averaged().astype(float), components.encode(train.images)
    centred = (x - np.average(x, axis=0, weights=weight)) * np.sqrt(weight)[:, None]
    alpha = 0.03 * (centred**2).sum() / 60
    reference = ReferenceRidge(alpha=alpha).fit(x, y, sample_weight=weight)

    np.testing.assert_allclose(found.predict(x.astype(np.float32)), reference.predict(x), atol=2e-3)  # float32


@pytest.mark.parametrize("before", ["numpy", "torch"])
def test_himalaya_keeps_the_array_library_that_the_user_chose(before, monkeypatch):
    original = get_backend().name
    set_backend(before)
    try:
        Ridge().fit(make_pairs(20, 0), make_pairs(5, 1))
        assert get_backend().name == before
        monkeypatch.setattr(ridge_file, "solve_kernel_ridge_cv_eigenvalues", lambda kernel, targets: None)
        with pytest.raises(TypeError, match="unexpected keyword"):
            Ridge().fit(make_pairs(20, 0), make_pairs(5, 1))
        assert get_backend().name == before
    finally:
        set_backend(original)


def test_no_more_than_twenty_settings_are_tried():
    tried = list(Ridge().candidates(make_pairs(40, 0), make_pairs(10, 1)))

    assert len(ridge_file.COMPONENT_COUNTS) * len(tried[0].model.regression.weightings) <= 20
    assert len(ridge_file.PENALTIES) <= 20


def test_validation_chooses_and_does_not_teach():
    train = make_pairs(60, 0)

    one, other = (Ridge().fit(train, make_pairs(15, seed)).fitted.regression for seed in (1, 2))

    assert one.weights.tobytes() == other.weights.tobytes()
    assert one.description.directions.tobytes() == other.description.directions.tobytes()


@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_recording_of_fifty_images_can_be_decoded_in_grey_and_colour(n_channels):
    test = make_pairs(5, 2, n_channels)
    decoder = Ridge().fit(make_pairs(40, 0, n_channels), make_pairs(5, 1, n_channels))

    scores = decoder.score(Queries(test.averaged(), test.total_presentations()), Gallery(test.images, test.stimulus_id))

    assert scores.shape == (5, 5)
    assert (np.abs(scores) <= 1).all()
    assert decoder.chosen["image_components"] <= 39


def test_neurons_that_never_change_and_a_blank_candidate_do_no_harm():
    train = make_pairs(40, 0)
    train.responses[:, 3] = 0
    decoder = Ridge().fit(train, make_pairs(8, 1))
    images = np.concatenate([make_pairs(3, 2).images, decoder.fitted.regression.description.mean.reshape(1, 1, 6, 8)])

    scores = decoder.score(Queries(np.zeros((2, 25)), np.ones(2)), Gallery(images, np.arange(4)))

    assert np.isfinite(scores).all()


def test_misuse_is_refused():
    test = make_pairs(4, 0)
    with pytest.raises(DataError, match="call fit"):
        Ridge().score(Queries(test.averaged(), test.total_presentations()), Gallery(test.images, test.stimulus_id))
    with pytest.raises(DataError, match="at least three training images; got 2"):
        Ridge().fit(make_pairs(2, 0), test)
