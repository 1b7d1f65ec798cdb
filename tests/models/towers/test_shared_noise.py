"""Dividing by a covariance of shared and private noise, against the dense inverse."""

import pytest
import torch

from dina.models.towers.neural.shared_noise import SharedNoise


def noise_of(n_neurons, n_components, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    private = torch.rand(n_neurons, generator=generator) + 0.1
    return SharedNoise(private.to(dtype), torch.randn(n_neurons, n_components, generator=generator).to(dtype))


@pytest.mark.parametrize("n_components", [0, 1, 7, 40])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_division_equals_the_dense_inverse(n_components, dtype, tolerance):
    noise = noise_of(20, n_components, dtype)
    responses = torch.randn(5, 20, generator=torch.Generator().manual_seed(1)).to(dtype)
    covariance = (torch.diag(noise.private) + noise.loadings @ noise.loadings.T).double()
    expected = torch.linalg.solve(covariance, responses.double().T).T
    # the condition number is about 1,000; values up to 10
    torch.testing.assert_close(noise.divide(responses).double(), expected, atol=tolerance, rtol=tolerance)


def test_columns_of_zeros_change_nothing():
    noise = noise_of(9, 2)
    padded = SharedNoise(noise.private, torch.cat([noise.loadings, torch.zeros(9, 3)], dim=1))
    responses = torch.ones(2, 9)
    torch.testing.assert_close(padded.divide(responses), noise.divide(responses))


def test_division_is_symmetric_and_differentiable():
    noise = noise_of(9, 2, torch.float64)
    inverse = noise.divide(torch.eye(9, dtype=torch.float64))
    torch.testing.assert_close(inverse, inverse.T)
    responses = torch.ones(1, 9, dtype=torch.float64, requires_grad=True)
    noise.divide(responses)[0, 3].backward()
    torch.testing.assert_close(responses.grad[0], inverse[3])
