"""Local ridge weights: leave-one-out against really leaving an image out, planted fields, the learnt prior."""

import pytest
import torch

from dina.models.local_ridge import choose_width, fit_local_ridge, learn_prior
from dina.models.towers.field_basis import hermite_fields

WIDTH, ORDER = 1.2, 1
N_FEATURES = 3 * 2  # patterns x channels


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def planted(n_stimuli=120, n_neurons=6, noise=0.3):
    """Make maps, and responses that read them through local fields around known places."""
    maps = drawn(n_stimuli, 2, 9, 12)
    centre = torch.tensor([[2.0, 3.0], [6.0, 9.0], [4.0, 6.0]]).repeat(2, 1)[:n_neurons]
    fields = hermite_fields((9, 12), centre, WIDTH, ORDER)
    weights = drawn(n_neurons, 3, 2, seed=1)
    signal = torch.einsum("nbhw,schw,nbc->sn", fields, maps, weights)
    return maps, centre, 3 + signal / signal.std(0) + noise * drawn(n_stimuli, n_neurons, seed=2), weights


def refit_without(image, maps, responses, centre, ridge, prior):
    """Solve ridge regression with an intercept that is not penalised on all images but one, and predict that one."""
    features = torch.einsum("bhw,schw->sbc", hermite_fields((9, 12), centre[None], WIDTH, ORDER)[0], maps).flatten(1).double()
    features = torch.cat([features if prior is None else features @ prior.double(), torch.ones(len(maps), 1)], dim=1)
    kept = torch.arange(len(maps)) != image
    penalty = ridge * torch.eye(features.shape[1], dtype=torch.float64)
    penalty[-1, -1] = 0
    gram = features[kept].T @ features[kept] + penalty
    return features[image] @ torch.linalg.solve(gram, features[kept].T @ responses[kept].double())


def absolute_ridge(maps, centre, penalty, prior):
    """Undo the scaling of a penalty by the mean variance of the features of all images."""
    features = torch.einsum("bhw,schw->sbc", hermite_fields((9, 12), centre[None], WIDTH, ORDER)[0], maps).flatten(1)
    features = features - features.mean(0)
    features = features if prior is None else features @ prior
    return float(penalty * features.square().mean() * len(maps))


@pytest.mark.parametrize("has_prior", [False, True])
def test_predictions_are_those_of_weights_fitted_without_the_image(has_prior):
    maps, centre, responses, _ = planted(n_stimuli=40, noise=1.0)
    square_root = drawn(N_FEATURES, N_FEATURES, seed=3)
    prior = square_root @ square_root.T / N_FEATURES if has_prior else None
    fitted = fit_local_ridge(maps, responses, centre[:, None], WIDTH, ORDER, prior)

    for neuron in range(6):
        assert torch.isfinite(fitted.penalty[neuron])
        ridge = absolute_ridge(maps, centre[neuron], float(fitted.penalty[neuron]), prior)
        for image in (0, 17, 39):
            expected = refit_without(image, maps, responses[:, neuron], centre[neuron], ridge, prior)
            # single against double precision, values of about 3
            assert float(fitted.predicted[image, neuron]) == pytest.approx(float(expected), abs=1e-4)


def test_explained_is_the_fraction_of_variance_of_the_left_out_predictions():
    maps, centre, responses, _ = planted()
    fitted = fit_local_ridge(maps, responses, centre[:, None], WIDTH, ORDER)
    error = (responses - fitted.predicted).square().mean(0) / responses.var(0, correction=0)
    torch.testing.assert_close(fitted.explained, 1 - error, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("prior", [None, torch.diag(torch.tensor([0.8, 1.0, 1.2, 1.1, 0.9, 1.3]))])
def test_planted_weights_and_responses_to_new_images_are_found(prior):
    maps, centre, responses, weights = planted(n_stimuli=400, noise=0.1)
    fitted = fit_local_ridge(maps[:300], responses[:300], centre[:, None], WIDTH, ORDER, prior)

    cosine = torch.nn.functional.cosine_similarity(fitted.weights.flatten(1), weights.flatten(1))
    assert float(cosine.min()) > 0.99
    # noise of 0.1 beside a signal of 1 leaves a fraction of 0.01 unexplained
    error = (fitted.predict(maps[300:]) - responses[300:]).square().mean(0) / responses[300:].var(0)
    assert float(error.max()) < 0.02


def test_the_planted_centre_is_chosen_among_candidates():
    maps, centre, responses, _ = planted()
    wrong = torch.tensor([[0.0, 0.0], [8.0, 11.0]]).expand(6, -1, -1)
    fitted = fit_local_ridge(maps, responses, torch.cat([wrong, centre[:, None]], dim=1), WIDTH, ORDER)
    assert torch.equal(fitted.centre, centre)


def test_the_planted_width_is_chosen():
    maps, centre, responses, _ = planted(n_stimuli=300)
    assert choose_width(maps, responses, centre, (0.4, WIDTH, 3.5), ORDER) == WIDTH


def test_a_silent_neuron_keeps_its_mean_and_is_not_explained():
    maps, centre, responses, _ = planted(n_stimuli=12)
    responses[:, 0] = 5.0
    fitted = fit_local_ridge(maps, responses, centre[:, None], WIDTH, ORDER)

    assert float(fitted.explained[0]) == 0
    assert fitted.predicted.isfinite().all()
    nothing = fitted.penalty.isinf()
    assert nothing.tolist()[0]
    assert float(fitted.weights[nothing].abs().max()) == 0
    torch.testing.assert_close(fitted.predict(maps)[:, nothing], responses.mean(0)[nothing].expand(12, -1))


def test_the_prior_of_many_neurons_points_along_what_they_use_and_that_of_few_is_nearly_isotropic():
    maps, _, _, _ = planted(n_stimuli=200)
    centre = torch.tensor([[4.0, 6.0]]).expand(200, -1)
    fields = hermite_fields((9, 12), centre[:1], WIDTH, ORDER)[0]
    # every neuron reads the first channel through the Gaussian: feature 0 of basis x channel
    signal = torch.einsum("hw,shw->s", fields[0], maps[:, 0])[:, None] + 0.1 * drawn(200, 200, seed=5)

    def share_of_first(n_neurons):
        fitted = fit_local_ridge(maps, signal[:, :n_neurons], centre[:n_neurons, None], WIDTH, ORDER)
        prior = learn_prior(fitted)
        covariance = prior @ prior.T
        return float(covariance[0, 0] / covariance.diagonal().sum())

    # trust is n / (n + 2 x 6 features): 200 / 212 and 1 / 13, the rest is 1 / 6 for each feature
    assert share_of_first(200) == pytest.approx(200 / 212 + 12 / 212 / 6, abs=0.02)
    assert share_of_first(1) == pytest.approx(1 / 13 + 12 / 13 / 6, abs=0.02)
