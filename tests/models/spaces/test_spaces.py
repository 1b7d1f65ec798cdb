"""Every feature space keeps the contract, and finds what is planted in it."""

import pytest
import torch

from dina.models.gabor_pursuit import GaborGrid
from dina.models.global_ridge import fit_global_ridge
from dina.models.spaces import SPACES, SparseWeights
from dina.models.towers.image.gabor_energy import GaborEnergy

SHAPE = (1, 32, 36)
N = 150


def images(n=N, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rough = torch.randn(n, *SHAPE, generator=generator)
    # neighbouring pixels are alike, as in photographs
    return torch.nn.functional.avg_pool2d(rough, 3, stride=1, padding=1)


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    """A few epochs show what holds for any number of them."""
    monkeypatch.setattr("dina.models.spaces.recording_network.N_EPOCHS", 4)


@pytest.fixture(scope="module")
def known():
    shown = images()
    tower = GaborEnergy(SHAPE, n_contrasts=0)
    return shown, tower.learn_statistics(shown), tower


def fitted(name, known, responses):
    shown, maps, tower = known
    space = SPACES[name](SHAPE, tower.map_shape)
    with torch.no_grad():
        return space, space.fit(shown, maps, responses)


def predict(space, fit, shown, maps):
    with torch.no_grad():
        features = space(shown, maps)
    if isinstance(fit.weights, SparseWeights):
        dense = torch.zeros(fit.predicted.shape[1], features.shape[1])
        dense[fit.weights.neuron, fit.weights.feature] = fit.weights.value
        return features @ dense.T
    return features @ fit.weights.T


def responses_to(shown, seed=1, n_neurons=6):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(n_neurons, shown[0].numel(), generator=generator)
    driven = shown.flatten(1) @ weights.T
    return driven / driven.std(0) + 0.3 * torch.randn(len(shown), n_neurons, generator=generator)


EVERY = [
    pytest.param(name, marks=pytest.mark.skipif(bool(why := kind.explain_absence(SHAPE)), reason=why or "it is there"))
    for name, kind in SPACES.items()
]


@pytest.mark.parametrize("name", EVERY)
def test_features_have_mean_zero_over_training_images_and_there_are_none_before_the_fit(name, known):
    shown, maps, tower = known
    assert SPACES[name](SHAPE, tower.map_shape).n_features == 0
    space, fit = fitted(name, known, responses_to(shown))
    features = space(shown, maps)
    assert features.shape == (N, space.n_features)
    assert 0 <= space.n_local <= space.n_features
    torch.testing.assert_close(features.mean(0), torch.zeros(space.n_features), atol=2e-3, rtol=0)
    assert fit.predicted.shape == (N, 6)


@pytest.mark.parametrize("name", EVERY)
def test_left_out_predictions_do_not_know_the_image(name, known):
    """A response that only its own image could explain is not predicted; in-sample predictions would follow it."""
    noise = torch.randn(N, 40, generator=torch.Generator().manual_seed(3))
    _, fit = fitted(name, known, noise)
    agreement = torch.nn.functional.cosine_similarity(fit.predicted, noise - noise.mean(0), dim=0)
    assert agreement.mean() < 0.15  # in the sample it would be above a half


@pytest.mark.parametrize("name", EVERY)
def test_saved_features_come_back(name, known):
    shown, maps, tower = known
    space, _ = fitted(name, known, responses_to(shown))
    other = SPACES[name](SHAPE, tower.map_shape)
    other.load_state_dict(space.state_dict())
    torch.testing.assert_close(other(shown[:5], maps[:5]), space(shown[:5], maps[:5]))
    assert other.n_local == space.n_local


def test_random_projections_of_all_pixels_are_predicted_from_pixels(known):
    shown, _, tower = known
    # fewer directions than images: they can be learnt
    basis = torch.randn(10, shown[0].numel(), generator=torch.Generator().manual_seed(5))
    latent = torch.randn(N + 60, 10, generator=torch.Generator().manual_seed(6))
    both = (latent @ basis).view(-1, *SHAPE)
    driven = latent @ torch.randn(10, 4, generator=torch.Generator().manual_seed(7))
    maps = tower.standard_maps(both)
    space = SPACES["pixels"](SHAPE, tower.map_shape)
    fit = space.fit(both[:N], maps[:N], driven[:N])
    found = predict(space, fit, both[N:], maps[N:]) + driven[:N].mean(0)
    assert ((found - driven[N:]).square().mean(0) < 0.05 * driven.var(0)).all()


def test_left_out_predictions_are_those_of_fits_without_the_image(known, monkeypatch):
    monkeypatch.setattr("dina.models.spaces.components.GLOBAL_PENALTIES", (1.0,))
    shown = known[0][:30]
    responses = responses_to(shown, n_neurons=4)
    space = SPACES["pixels"](SHAPE, known[2].map_shape)
    fit = space.fit(shown, known[1][:30], responses)
    # components with a mean variance of 1, and the penalty relative to the mean eigenvalue of the kernel
    features = fit.features.double()
    eigenvalues = (features**2).sum(0)
    penalty = float(eigenvalues.sum()) / 30
    for image in range(30):
        rest = torch.arange(30) != image
        middle, mean = features[rest].mean(0), responses[rest].double().mean(0)
        centred = features[rest] - middle
        gram = centred.T @ centred + penalty * torch.eye(features.shape[1])
        weights = torch.linalg.solve(gram, centred.T @ (responses[rest].double() - mean))
        expected = mean + (features[image] - middle) @ weights - responses.double().mean(0)
        used = fit.predicted[image] != 0
        torch.testing.assert_close(fit.predicted[image][used].double(), expected[used], atol=1e-4, rtol=1e-3)


def test_components_equal_ridge_on_the_kernel(known):
    """With all components kept, leave-one-out predictions are those of ridge regression on centred maps."""
    shown = known[0]
    responses = responses_to(shown)
    maps = shown - shown.mean(0)
    _, fit = fitted("pixels", known, responses)
    reference = fit_global_ridge(maps, responses)
    expected = reference.predicted - responses.mean(0)
    agreement = torch.nn.functional.cosine_similarity(fit.predicted, expected, dim=0)
    assert (agreement > 0.98).all()


def test_a_neuron_that_is_one_gabor_is_pursued(known):
    """The sum of few Gabors predicts new images better than ridge on the coarse map does."""
    shown, _, tower = known
    new = images(80, seed=11)
    grids = [GaborGrid.of(some.numpy()) for some in (shown, new)]
    at = (1, 0, 3, 10, 16)  # wavelength, phase, orientation, row, column
    driven = [grid.maps[:, at[0], at[1], at[2], at[3], at[4]].float()[:, None].expand(-1, 3) for grid in grids]
    space, fit = fitted("pursued_gabors", known, driven[0].contiguous())
    found = predict(space, fit, new, tower.standard_maps(new))
    assert torch.corrcoef(torch.stack([found[:, 0], driven[1][:, 0]]))[0, 1] > 0.95
    # one Gabor, and its three terms
    assert space.n_features <= 6


def test_images_too_small_for_gabors_say_so():
    assert "16 pixels" in SPACES["pursued_gabors"].explain_absence((1, 12, 40))


@pytest.mark.parametrize(
    "name",
    [pytest.param(*one.values, marks=[*one.marks, *[pytest.mark.long] * (one.values[0] == "trained_network")]) for one in EVERY],
)
def test_of_many_images_some_are_enough(name, known, monkeypatch):
    shown, maps, _ = known
    responses = responses_to(shown)
    _, whole = fitted(name, known, responses)
    monkeypatch.setattr("dina.models.spaces.components.MANY_IMAGES", len(shown) - 20)
    monkeypatch.setattr("dina.models.spaces.pursued_gabors.MOST_IMAGES", len(shown) - 20)
    space, some = fitted(name, known, responses)
    assert len(some.predicted) == len(some.features) == len(shown)
    with torch.no_grad():
        torch.testing.assert_close(space(shown, maps), some.features, atol=2e-3, rtol=1e-3)
    if isinstance(some.weights, torch.Tensor):
        assert float(some.features.mean(0).abs().max()) < 1e-4
    deviation = responses - responses.mean(0)
    errors = [float((deviation - each.predicted).square().mean()) for each in (whole, some)]
    assert errors[1] == pytest.approx(errors[0], rel=0.15)


def test_networks_learn_what_neurons_see(known, monkeypatch):
    """A hundred neurons read the contrast between two pixels, which no weighted sum of pixels holds; new images are predicted, too."""
    monkeypatch.setattr("dina.models.spaces.recording_network.N_EPOCHS", 10)
    shown, new = images(320, seed=7), images(100, seed=8)
    driven = [(some[:, 0, 6:26, 6:26:4] - some[:, 0, 6:26, 9:29:4]).abs().flatten(1) for some in (shown, new)]
    tower = known[2]
    with torch.no_grad():
        maps = [tower.standard_maps(some) for some in (shown, new)]
    agreement = {}
    for name in ("pixels", "recording_network"):
        space, fit = fitted(name, (shown, maps[0], tower), driven[0])
        both = ((fit.predicted, driven[0]), (predict(space, fit, new, maps[1]), driven[1]))
        agreement[name] = [float(torch.nn.functional.cosine_similarity(p, m - m.mean(0), dim=0).mean()) for p, m in both]
    assert min(agreement["recording_network"]) > 0.1 > max(agreement["pixels"]) + 0.05
    assert not space.train().training  # it stays as fitted while towers are trained around it
