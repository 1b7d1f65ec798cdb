"""Reduced-rank regression, canonical correlation and partial least squares against scikit-learn and planted truths."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as ReferenceRidge

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.data.standardise import Standardiser
from dina.rivals.canonical_correlation import CanonicalDirections, CanonicalFolds, CanonicalMap
from dina.rivals.partial_least_squares import LeastSquaresMap
from dina.rivals.reduced_rank import PENALTIES, ReducedRankMap, ReducedRankRegression
from dina.rivals.validated_decoder import ResponseComponents


def pairs_with(responses):
    n, n_neurons = responses.shape
    unit = Standardiser(np.zeros(n_neurons, np.float32), np.ones(n_neurons, np.float32))
    ones = np.ones(n, dtype=np.int64)
    return Pairs(np.zeros((n, 1, 4, 4), np.float32), np.arange(n), responses.astype(np.float32), np.arange(n), ones, unit)


@pytest.mark.parametrize("shape", [(30, 80), (80, 30)])
def test_response_components_are_those_of_scikit_learn_whichever_axis_is_longer(shape):
    generator = np.random.default_rng(0)
    responses = generator.standard_normal(shape) * np.linspace(1, 4, shape[1]) + 3
    found, expected = ResponseComponents.learn(pairs_with(responses), 10), PCA(10).fit(responses)
    # scikit-learn divides by n - 1
    np.testing.assert_allclose(found.variance, expected.explained_variance_ * (shape[0] - 1) / shape[0], rtol=1e-4)
    np.testing.assert_allclose(
        np.abs(found.encode(responses.astype(np.float32))), np.abs(expected.transform(responses)), atol=2e-3
    )


def test_responses_that_never_vary_are_refused():
    with pytest.raises(DataError, match="responses that vary over the training images; all are constant"):
        ResponseComponents.learn(pairs_with(np.ones((5, 3))))
    with pytest.raises(DataError, match="at least three training images; got 2"):
        ReducedRankRegression().fit(pairs_with(np.eye(2)), pairs_with(np.eye(2)))


def planted(n=400, n_neurons=30, n_targets=12, rank=3, seed=0):
    generator = np.random.default_rng(seed)
    responses = generator.standard_normal((n, n_neurons)).astype(np.float32)
    signal = responses @ generator.standard_normal((n_neurons, rank)) @ generator.standard_normal((rank, n_targets))
    return responses, (signal + generator.standard_normal((n, n_targets))).astype(np.float32)


def test_reduced_rank_regression_is_ridge_projected_on_its_main_directions():
    responses, targets = planted()
    components = ResponseComponents.learn(pairs_with(responses))
    known = components.encode(responses)
    fitted = ReducedRankMap.fit(known, components.variance, targets, np.ones(12, np.float32))
    ridge = ReferenceRidge(alpha=fitted.penalty * components.variance.mean() * len(responses)).fit(responses, targets)
    expected = ridge.predict(responses)
    centred = expected - targets.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    found = known @ fitted.of_rank(3).weights @ fitted.of_rank(3).directions.T
    np.testing.assert_allclose(found, centred @ directions[:3].T @ directions[:3], atol=2e-3)
    # three directions carry all of the planted signal
    strength = ((known @ fitted.weights) ** 2).sum(0)
    assert strength[:3].sum() > 0.97 * strength.sum()


def test_the_penalty_of_reduced_rank_regression_is_the_best_left_out():
    responses, targets = planted(n=40)
    components = ResponseComponents.learn(pairs_with(responses))
    known = components.encode(responses)
    found = ReducedRankMap.fit(known, components.variance, targets, np.ones(12, np.float32)).penalty
    errors = []
    for penalty in PENALTIES:
        error = 0.0
        for left in range(40):
            keep = np.arange(40) != left
            # the penalty of the closed form is on the mean square, whose number of images is that of all of them
            ridge = ReferenceRidge(alpha=penalty * components.variance.mean() * 40).fit(responses[keep], targets[keep])
            error += ((ridge.predict(responses[left : left + 1]) - targets[left]) ** 2).sum()
        errors.append(error)
    assert found == pytest.approx(PENALTIES[int(np.argmin(errors))])


def test_canonical_correlations_of_left_out_images_are_the_planted_ones_and_not_those_of_overfitting():
    generator = np.random.default_rng(0)
    n, n_neurons = 600, 500
    shared = generator.standard_normal((n, 2))
    images = generator.standard_normal((n, 8))
    images[:, :2] = shared
    responses = generator.standard_normal((n, n_neurons))
    # two directions with correlations of about 0.97 and 0.9 to the image, the rest unrelated
    responses[:, 0] = 12 * (shared[:, 0] + 0.25 * generator.standard_normal(n))
    responses[:, 1] = 12 * (shared[:, 1] + 0.48 * generator.standard_normal(n))
    images /= images.std(0)
    known = ResponseComponents.learn(pairs_with(responses)).encode(responses.astype(np.float32))
    correlation, *_ = CanonicalFolds.learn(known, 0).left_out(images.astype(np.float32), 1.0)
    np.testing.assert_allclose(correlation[:2], [0.97, 0.9], atol=0.03)
    # by chance a correlation over 600 images has a standard deviation of 0.04
    assert (correlation[2:] < 0.16).all()
    inside = CanonicalDirections.solve(known, known.var(0), images.astype(np.float32), 1.0)
    first, second = known @ inside.responses, images @ inside.images
    # the reason for leaving images out: on the images themselves every direction would seem to correlate
    assert min(np.corrcoef(first[:, k], second[:, k])[0, 1] for k in range(8)) > 0.5


def test_the_canonical_score_is_the_log_ratio_of_gaussian_densities():
    correlation = np.array([0.8, 0.3], np.float32)
    ones = np.ones(2, np.float32)
    directions = CanonicalDirections(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    fitted = CanonicalMap(directions, correlation, ones, ones)
    first, second = (np.random.default_rng(seed).standard_normal((4, 2)).astype(np.float32) for seed in (0, 1))
    found = fitted.compare(first, second)
    expected = np.zeros((4, 4))
    for k, rho in enumerate(correlation.astype(float)):
        for i, a in enumerate(first[:, k]):
            for j, b in enumerate(second[:, k]):
                joint = (a**2 - 2 * rho * a * b + b**2) / (2 * (1 - rho**2))
                expected[i, j] += (a**2 + b**2) / 2 - joint  # up to the logarithm of the determinant
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_partial_least_squares_with_all_its_steps_predicts_as_scikit_learn_does():
    responses, targets = planted(n_neurons=20)
    centred = responses - responses.mean(0)
    fitted = LeastSquaresMap.fit(centred, targets, np.full(12, 2.0, np.float32))
    reference = PLSRegression(12, scale=False, tol=1e-4).fit(centred, 2 * targets)
    found = centred @ fitted.rotations @ fitted.loadings.T + fitted.mean
    np.testing.assert_allclose(found, reference.predict(centred), atol=2e-3)
    few = PLSRegression(3, scale=False, tol=1e-4).fit(centred, 2 * targets)
    # the first steps of a long fit are those of a short one
    found = centred @ fitted.of_rank(3).rotations @ fitted.of_rank(3).loadings.T + fitted.mean
    np.testing.assert_allclose(found, few.predict(centred), atol=2e-3)


def some_maps():
    """Return a map of each rival that compares by the cosine, from four response components to four image components."""
    ones, unit = np.ones(4, np.float32), np.eye(4, dtype=np.float32)
    return [ReducedRankMap(ones, 0 * ones, unit, unit, 1.0), LeastSquaresMap(ones, 0 * ones, unit, unit)]


@pytest.mark.parametrize("fitted", some_maps())
def test_the_cosine_does_not_depend_on_length_and_is_zero_for_no_prediction(fitted):
    first, second = np.random.default_rng(0).standard_normal((2, 5, 4)).astype(np.float32)
    expected = [[a @ b / np.sqrt((a @ a) * (b @ b)) for b in second] for a in first]
    np.testing.assert_allclose(fitted.compare(1e-3 * first, 1e3 * second), expected, atol=1e-6)  # single precision
    np.testing.assert_array_equal(fitted.compare(np.zeros((1, 4), np.float32), second), np.zeros((1, 5)))
