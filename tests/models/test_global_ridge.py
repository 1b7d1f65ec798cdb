"""Kernel ridge over the whole map: leave-one-out against really leaving an image out, and prediction."""

import pytest
import torch

from dina.models import global_ridge
from dina.models.global_ridge import GLOBAL_PENALTIES, eigenvectors_of, fit_global_ridge, multiply_maps


def planted(n_stimuli=60, n_train=40, noise=0.5):
    """Make maps standardised place by place, and responses linear in them."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(n_stimuli, 2, 3, 4, generator=generator)
    maps = maps - maps[:n_train].mean(0)
    weights = torch.randn(24, 5, generator=generator)
    signal = maps.flatten(1) @ weights
    return maps, 2 + signal / signal.std(0) + noise * torch.randn(n_stimuli, 5, generator=generator)


def test_predictions_are_those_of_weights_fitted_without_the_image():
    maps, responses = planted(40)
    fitted = fit_global_ridge(maps, responses)
    flat = maps.flatten(1).double()
    centred = (responses - responses.mean(0)).double()
    kernel = flat @ flat.T
    ridges = [penalty * float(kernel.diagonal().mean()) for penalty in GLOBAL_PENALTIES]

    for image in (0, 13, 39):
        kept = torch.arange(40) != image
        # the mean of each neuron is that of all images; weights are fitted without the image
        refits = [
            flat[image] @ torch.linalg.solve(flat[kept].T @ flat[kept] + ridge * torch.eye(24), flat[kept].T @ centred[kept])
            for ridge in ridges
        ]
        expected = torch.stack(refits) + responses.mean(0)
        # one of the penalties, the same for all images of a neuron; single against double precision
        distance = (expected - fitted.predicted[image]).abs()
        assert float(distance.min(0).values.max()) < 1e-4


def test_the_penalty_with_the_lowest_leave_one_out_error_is_taken():
    maps, responses = planted(40)
    fitted = fit_global_ridge(maps, responses)
    flat = maps.flatten(1).double()
    centred = (responses - responses.mean(0)).double()
    errors = []
    for penalty in GLOBAL_PENALTIES:
        ridge = penalty * float(flat.square().sum(1).mean())
        left_out = []
        for image in range(40):
            kept = torch.arange(40) != image
            gram = flat[kept].T @ flat[kept] + ridge * torch.eye(24)
            left_out.append(flat[image] @ torch.linalg.solve(gram, flat[kept].T @ centred[kept]))
        errors.append((torch.stack(left_out) - centred).square().mean(0) / centred.square().mean(0))
    torch.testing.assert_close(fitted.explained.double(), 1 - torch.stack(errors).min(0).values, atol=1e-4, rtol=1e-4)


def test_responses_to_new_images_are_predicted():
    maps, responses = planted(400, 300, noise=0.1)
    fitted = fit_global_ridge(maps[:300], responses[:300])
    error = (fitted.predict(maps[300:]) - responses[300:]).square().mean(0) / responses[300:].var(0)
    # noise of 0.1 beside a signal of 1 leaves a fraction of 0.01 unexplained
    assert float(error.max()) < 0.02


def test_neurons_and_channels_that_are_taken_in_parts_have_the_weights_of_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, responses = planted(40)
    expected = fit_global_ridge(maps, responses)
    monkeypatch.setattr(global_ridge, "NEURONS_AT_ONCE", 2)
    monkeypatch.setattr(global_ridge, "VALUES_AT_ONCE", 1)
    fitted = fit_global_ridge(maps, responses)
    for name in ("dual", "predicted", "explained"):
        torch.testing.assert_close(getattr(fitted, name), getattr(expected, name), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_inner_products_of_maps_are_summed_in_single_precision(dtype):
    maps, _ = planted(8)
    stored = maps.to(dtype)
    expected = stored.double().flatten(1) @ stored.double().flatten(1).T
    torch.testing.assert_close(multiply_maps(stored, stored).double(), expected, atol=1e-4, rtol=1e-5)


def test_nothing_of_a_silent_neuron_is_explained():
    maps, responses = planted(40)
    responses[:, 0] = 5.0
    fitted = fit_global_ridge(maps, responses)
    assert float(fitted.explained[0]) == 0
    torch.testing.assert_close(fitted.predict(maps)[:, 0], torch.full((40,), 5.0))


def test_a_solver_that_fails_in_single_precision_is_replaced_by_double(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = torch.linalg.eigh

    def fails_in_single_precision(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if matrix.dtype == torch.float32:
            raise RuntimeError("did not converge")
        return exact(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", fails_in_single_precision)
    features = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    gram = features.T @ features

    values, vectors = eigenvectors_of(gram)

    assert values.dtype == torch.float32
    # single-precision rounding of numbers of order ten
    torch.testing.assert_close(vectors @ torch.diag(values) @ vectors.T, gram, atol=1e-4, rtol=0)
