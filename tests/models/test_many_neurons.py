"""What is computed for some neurons at a time is what is computed for all at once."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dina.models.encoding import calibrate_by_contrast
from dina.models.field_centres import estimate_centres
from dina.models.local_ridge import LocalWeights, fit_local_ridge, learn_prior
from dina.models.noise import LowRankNoise, Residuals, decompose_residuals
from dina.models.stacking import add_predictions, stack_predictions
from dina.statistics.drift import measure_drift
from dina.statistics.mean_variance import fit_mean_variance

N_NEURONS = 50


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def centres() -> Tensor:
    return estimate_centres(drawn(40, 3, 5, 6), drawn(40, N_NEURONS, seed=1))


def prior() -> Tensor:
    weights, explained = drawn(N_NEURONS, 6, 2), drawn(N_NEURONS, seed=1).abs()
    zero = torch.zeros(N_NEURONS)
    return learn_prior(LocalWeights(torch.zeros(N_NEURONS, 2), 1.0, 2, weights, zero, zero[None], explained, zero))


def stack() -> Tensor:
    predicted = drawn(3, 40, N_NEURONS)
    shares = stack_predictions(predicted, predicted[0] + 0.5 * drawn(40, N_NEURONS, seed=1))
    return torch.cat([shares.flatten(), add_predictions(predicted, shares).flatten()])


def likelihood() -> Tensor:
    noise = LowRankNoise(1 + drawn(N_NEURONS).abs(), drawn(N_NEURONS, 4, seed=1))
    return noise.log_likelihood(drawn(6, N_NEURONS, seed=2), drawn(8, N_NEURONS, seed=3))


def noise() -> Tensor:
    return decompose_residuals(drawn(6, N_NEURONS)).noise(20, 0.5).loadings[:, :6]


def residual_noise() -> Tensor:
    """Noise of some images, of which what is expected counts by a factor of each image."""
    apart = 2.0 ** -torch.arange(12.0)[:, None]  # of components that are as strong as each other rounding decides the directions
    residuals = Residuals(
        apart * drawn(12, N_NEURONS), apart * drawn(12, N_NEURONS, seed=1), drawn(12, seed=2), torch.arange(12) % 3 > 0
    )
    return decompose_residuals(residuals, 4).noise(4, 0.5).loadings.abs()


def local_weights() -> Tensor:
    maps, responses = drawn(40, 2, 4, 5), drawn(40, N_NEURONS, seed=1)
    found = fit_local_ridge(maps, responses, drawn(N_NEURONS, 1, 2).abs().round(), 1.0, 1)
    return torch.cat([found.predicted.flatten(), found.weights.flatten(), found.explained])


def gains_of_contrast() -> Tensor:
    noise = LowRankNoise(1 + drawn(N_NEURONS).abs(), drawn(N_NEURONS, 4, seed=1))
    return calibrate_by_contrast(drawn(20, N_NEURONS), drawn(20, N_NEURONS, seed=1), noise, drawn(20, 3).abs())


def drift(n_images: int = 30) -> np.ndarray:
    generator = np.random.default_rng(0)
    image = generator.permutation(np.repeat(np.arange(n_images), 4))
    responses = generator.standard_normal((4 * n_images, N_NEURONS)).astype(np.float32)
    found = measure_drift(responses, image, np.arange(4 * n_images), 4 * n_images, generator)
    return np.array([found.share, found.null_low, found.null_high, *found.weights.ravel()])


def drift_of_few_trials() -> np.ndarray:
    return drift(n_images=8)


def law() -> np.ndarray:
    generator = np.random.default_rng(0)
    rate = np.exp(generator.standard_normal((300, N_NEURONS)) / 2 + 2)
    responses = generator.poisson(np.repeat(rate, 2, axis=0)).astype(np.float32)
    found = fit_mean_variance(responses, np.repeat(np.arange(300), 2), rate.astype(np.float32))
    return np.array([found.exponent, found.low, found.high])


@pytest.mark.parametrize(
    ("compute", "limit"),
    [
        (centres, "dina.models.field_centres.NEURONS_AT_ONCE"),
        (prior, "dina.models.local_ridge.NEURONS_AT_ONCE"),
        (stack, "dina.models.stacking.NEURONS_AT_ONCE"),
        (likelihood, "dina.models.noise.NEURONS_AT_ONCE"),
        (noise, "dina.models.noise.NEURONS_AT_ONCE"),
        (residual_noise, "dina.models.noise.NEURONS_AT_ONCE"),
        (local_weights, "dina.models.local_ridge.NEURONS_AT_ONCE"),
        (gains_of_contrast, "dina.models.encoding.NEURONS_AT_ONCE"),
        (drift, "dina.statistics.drift.NEURONS_AT_ONCE"),
        (drift_of_few_trials, "dina.statistics.drift.NEURONS_AT_ONCE"),
        (law, "dina.statistics.mean_variance.MOST_COUNTS"),
    ],
)
def test_blocks_of_neurons_change_no_number(
    compute: Callable[[], Tensor | np.ndarray], limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.asarray(compute())
    monkeypatch.setattr(limit, 7)
    monkeypatch.setattr("dina.models.encoding.IMAGES_AT_ONCE", 7)
    np.testing.assert_allclose(np.asarray(compute()), whole, rtol=1e-5, atol=1e-6)


def test_the_noise_of_many_neurons_has_no_components_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    components = decompose_residuals(drawn(6, N_NEURONS))
    assert components.noise(20, 0.5).loadings.shape == (N_NEURONS, 20)
    monkeypatch.setattr("dina.models.noise.NEURONS_AT_ONCE", 7)
    assert components.noise(20, 0.5).loadings.shape == (N_NEURONS, 6)
