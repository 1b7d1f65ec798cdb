"""Dividing by a covariance of shared and private noise, against the dense inverse."""

import pytest
import torch

from dina.models.noise import LowRankNoise


def noise_of(n_neurons, n_components, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    private = torch.rand(n_neurons, generator=generator) + 0.1
    return LowRankNoise(private.to(dtype), torch.randn(n_neurons, n_components, generator=generator).to(dtype))


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
    padded = LowRankNoise(noise.private, torch.cat([noise.loadings, torch.zeros(9, 3)], dim=1))
    responses = torch.ones(2, 9)
    torch.testing.assert_close(padded.divide(responses), noise.divide(responses))


def test_division_is_symmetric_and_differentiable():
    noise = noise_of(9, 2, torch.float64)
    inverse = noise.divide(torch.eye(9, dtype=torch.float64))
    torch.testing.assert_close(inverse, inverse.T)
    responses = torch.ones(1, 9, dtype=torch.float64, requires_grad=True)
    noise.divide(responses)[0, 3].backward()
    torch.testing.assert_close(responses.grad[0], inverse[3])


def dense(noise):
    return torch.diag(noise.private) + noise.loadings @ noise.loadings.T


@pytest.mark.parametrize("n_components", [1, 7])
def test_log_density_is_that_of_torchs_own_distribution(n_components):
    noise = noise_of(20, n_components, torch.float64)
    rows = torch.randn(5, 20, generator=torch.Generator().manual_seed(1)).double()
    expected = torch.distributions.LowRankMultivariateNormal(torch.zeros(20).double(), noise.loadings, noise.private)
    torch.testing.assert_close(noise.log_density(rows), expected.log_prob(rows))
    torch.testing.assert_close(noise.variance, expected.variance)


def test_log_density_without_shared_components_is_that_of_independent_neurons():
    noise = noise_of(4, 0, torch.float64)
    rows = torch.ones(2, 4).double()
    expected = torch.distributions.Normal(0.0, noise.private.sqrt()).log_prob(rows).sum(1)
    torch.testing.assert_close(noise.log_density(rows), expected)


def test_removing_a_neuron_by_its_precision_equals_leaving_it_out_of_the_covariance():
    noise = noise_of(6, 2, torch.float64)
    rows = torch.randn(2, 6, generator=torch.Generator().manual_seed(1)).double()
    kept = torch.arange(6) != 3
    divided = noise.divide(rows)
    reduced = rows[0] @ divided[1] - divided[0, 3] * divided[1, 3] / noise.precision()[3]
    expected = rows[0, kept] @ torch.linalg.solve(dense(noise)[kept][:, kept], rows[1, kept])
    torch.testing.assert_close(reduced, expected)


def test_product_of_rows_that_reach_some_neurons_equals_the_dense_one():
    noise = noise_of(6, 2, torch.float64)
    reached = torch.tensor([1, 4])
    first, second = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(1)).double()
    whole = [torch.zeros(3, 6).double().index_copy(1, reached, part) for part in (first, second)]
    expected = (whole[0] * torch.linalg.solve(dense(noise), whole[1].T).T).sum()
    torch.testing.assert_close(noise.total_product(first, second, reached), expected)


def test_likelihood_ranks_images_as_the_dense_density_does():
    noise = noise_of(6, 2, torch.float64)
    responses, expected = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(1)).double()
    density = torch.stack([noise.log_density(responses - mean) for mean in expected], dim=1)
    # they differ by a term of the response alone
    difference = density - noise.log_likelihood(responses, expected)
    torch.testing.assert_close(difference, difference[:, :1].expand(-1, 4))
