"""The likelihood comparison is the Gaussian log likelihood up to a term of the response alone."""

import numpy as np
import torch
from scipy.stats import multivariate_normal

from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.training.comparison import LikelihoodComparison

MAP_SHAPE = (2, 4, 5)
N_NEURONS = 7


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawn_tower():
    tower = ProjectiveFields(N_NEURONS, MAP_SHAPE, order=1, n_components=3)
    with torch.no_grad():
        tower.weights.copy_(drawn(*tower.weights.shape, seed=0))
        tower.centre.copy_(torch.tensor([[1.0, 2.0], [2.0, 3.0]]).repeat(4, 1)[:N_NEURONS])
        tower.private.copy_(drawn(N_NEURONS, seed=1).square() + 0.5)
        tower.loadings.copy_(drawn(N_NEURONS, 3, seed=2))
    return tower.eval()


def compared(tower, responses, maps, comparison=None):
    with torch.no_grad():
        comparison = LikelihoodComparison(tower) if comparison is None else comparison
        return comparison(tower(responses), maps, torch.ones(len(responses)))


def test_differences_between_images_are_those_of_the_gaussian_log_likelihood():
    tower = drawn_tower()
    responses, maps = drawn(5, N_NEURONS, seed=3), drawn(6, *MAP_SHAPE, seed=4)
    scores = compared(tower, responses, maps).numpy()
    with torch.no_grad():
        mean = tower.predict(maps).double().numpy()
    covariance = (torch.diag(tower.private) + tower.loadings @ tower.loadings.T).double().numpy()
    likelihood = np.stack([multivariate_normal(m, covariance).logpdf(responses.double().numpy()) for m in mean], axis=1)

    # one number per response is free; single precision, values of about 10
    np.testing.assert_allclose(scores - scores[:, :1], likelihood - likelihood[:, :1], atol=2e-4)


def test_the_response_that_an_image_evokes_finds_this_image():
    tower = drawn_tower()
    maps = drawn(6, *MAP_SHAPE, seed=4) * torch.linspace(0.3, 3, 6)[:, None, None, None]
    with torch.no_grad():
        evoked = tower.predict(maps)
    assert compared(tower, evoked, maps).argmax(1).tolist() == list(range(6))


def test_a_faint_image_does_not_lose_to_a_strong_one_of_the_same_pattern():
    tower = drawn_tower()
    map_ = drawn(1, *MAP_SHAPE, seed=4)
    maps = torch.cat([map_, 3 * map_])  # the inner product alone would always take the stronger one
    with torch.no_grad():
        evoked = tower.predict(map_)
    scores = compared(tower, evoked, maps)
    assert float(scores[0, 0]) > float(scores[0, 1])


def test_the_scale_multiplies_scores_and_is_the_only_weight():
    tower = drawn_tower()
    comparison = LikelihoodComparison(tower)
    responses, maps = drawn(5, N_NEURONS, seed=3), drawn(6, *MAP_SHAPE, seed=4)
    before = compared(tower, responses, maps, comparison)
    with torch.no_grad():
        comparison.log_scale.fill_(float(np.log(3.0)))
    torch.testing.assert_close(compared(tower, responses, maps, comparison), 3 * before)
    assert [name for name, _ in comparison.named_parameters()] == ["log_scale"]
    assert list(comparison.state_dict()) == ["log_scale"]


def test_gradients_reach_the_gains_of_the_neurons_through_both_terms():
    tower = drawn_tower()
    maps = drawn(3, *MAP_SHAPE, seed=4)
    LikelihoodComparison(tower)(torch.zeros(1, *MAP_SHAPE), maps, torch.ones(1)).sum().backward()
    assert bool((tower.log_gain.grad != 0).all())


def test_what_a_response_scores_whatever_the_image_is_the_logarithm_of_its_average_likelihood():
    tower, typical = drawn_tower(), drawn(9, N_NEURONS, seed=5)
    responses, presentations = drawn(4, N_NEURONS, seed=6), torch.tensor([1.0, 2.0, 2.0, 4.0])
    with torch.no_grad():
        tower.keep_typical(typical, 2.0)
        found = LikelihoodComparison(tower).evidence(responses, presentations).numpy()
    covariance = (torch.diag(tower.private) + tower.loadings @ tower.loadings.T).double().numpy()
    zero = np.zeros(N_NEURONS)
    kept = typical.half().double().numpy()  # expected responses are kept in half precision
    relative = presentations.numpy() / 2.0
    densities = [
        [
            np.exp(a * (multivariate_normal(m, covariance).logpdf(r) - multivariate_normal(zero, covariance).logpdf(r)))
            for m in kept
        ]
        for r, a in zip(responses.double().numpy(), relative, strict=True)
    ]
    expected = np.log(np.mean(densities, axis=1)) / relative
    np.testing.assert_allclose(found, expected, atol=2e-4)  # single precision, values of about 10


def test_nothing_is_subtracted_before_expected_responses_are_known():
    evidence = LikelihoodComparison(drawn_tower()).evidence(drawn(4, N_NEURONS, seed=6), torch.ones(4))
    assert evidence.tolist() == [0.0] * 4


def test_whitened_and_evoked_responses_give_the_scores_of_maps():
    tower = drawn_tower()
    comparison = LikelihoodComparison(tower)
    responses, maps = drawn(5, N_NEURONS, seed=3), drawn(6, *MAP_SHAPE, seed=4)
    with torch.no_grad():
        tower.log_gain.copy_(0.3 * drawn(N_NEURONS, seed=5))
        comparison.log_scale.fill_(0.4)
        read = comparison.read_responses(tower, responses), comparison.read_images(maps)
        scores = comparison.compare(*read, torch.ones(5))
    torch.testing.assert_close(scores, compared(tower, responses, maps, comparison), atol=1e-4, rtol=1e-5)
