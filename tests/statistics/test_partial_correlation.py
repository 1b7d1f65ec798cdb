"""Precisions kept as diagonal plus low rank equal dense inverses, and shrinkage that of scikit-learn."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from dina.checks import DataError
from dina.statistics.partial_correlation import Precision, ledoit_wolf_shrinkage, shrunk_precision


def dense(precision: Precision) -> np.ndarray:
    return np.asarray(np.diag(precision.inverse_private) - precision.shared @ precision.shared.T)


def test_the_precision_is_the_inverse_of_the_covariance() -> None:
    generator = np.random.default_rng(0)
    private, loadings = generator.uniform(0.5, 2, 7), generator.standard_normal((7, 3))
    precision = Precision.of(private, loadings)
    expected = np.linalg.inv(np.diag(private) + loadings @ loadings.T)
    np.testing.assert_allclose(dense(precision), expected, atol=1e-12)  # double precision
    np.testing.assert_allclose(precision.diagonal(), np.diag(expected), atol=1e-12)
    rows = generator.standard_normal((4, 7))
    np.testing.assert_allclose(precision.multiply(rows), rows @ expected, atol=1e-12)
    scale = np.sqrt(np.diag(expected))
    partial = -expected / np.outer(scale, scale)
    np.fill_diagonal(partial, 1)
    np.testing.assert_allclose(precision.partial_correlations(np.array([5, 2])), partial[[5, 2]], atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_shrinkage_is_that_of_scikit_learn(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(1)
    rows = generator.standard_normal(shape) + generator.standard_normal((shape[0], 1))
    # the same formula in double precision
    np.testing.assert_allclose(ledoit_wolf_shrinkage(rows), ledoit_wolf(rows, assume_centered=True)[1], rtol=1e-10)


@pytest.mark.parametrize("n_rows", [12, 50])
def test_the_shrunk_precision_inverts_the_shrunk_covariance(n_rows: int) -> None:
    generator = np.random.default_rng(2)
    rows = generator.standard_normal((n_rows, 30)) + generator.standard_normal((n_rows, 1))
    scaled = rows / np.sqrt((rows**2).mean(0))
    covariance, _ = ledoit_wolf(scaled, assume_centered=True)
    np.testing.assert_allclose(dense(shrunk_precision(rows)), np.linalg.inv(covariance), atol=1e-9)  # double precision


def test_a_neuron_that_never_varies_is_independent_of_all_others() -> None:
    rows = np.random.default_rng(3).standard_normal((20, 4))
    rows[:, 2] = 0
    np.testing.assert_array_equal(shrunk_precision(rows).partial_correlations()[2], [0, 0, 1, 0])


def test_rows_that_never_vary_are_refused() -> None:
    with pytest.raises(DataError, match="at least two rows that vary"):
        ledoit_wolf_shrinkage(np.zeros((5, 3)))


def test_given_pairs_are_put_into_the_precision() -> None:
    generator = np.random.default_rng(4)
    precision = Precision.of(generator.uniform(0.5, 2, 9), generator.standard_normal((9, 2)))
    pairs = np.array([[0, 5], [2, 3]])
    changed = precision.with_pairs(pairs, np.array([0.7, -0.4]))
    # each neuron is in one pair, so that the correlation given is the one obtained; double precision
    np.testing.assert_allclose(changed.partial_correlations_of(pairs), [0.7, -0.4], atol=1e-12)
    whole = changed.partial_correlations()
    np.testing.assert_allclose(whole[pairs[:, 0], pairs[:, 1]], [0.7, -0.4], atol=1e-12)
    same = np.array([[0, 1], [4, 8]])
    np.testing.assert_allclose(np.sign(changed.partial_correlations_of(same)), np.sign(precision.partial_correlations_of(same)))
    assert changed.added is not None
    rows = generator.standard_normal((2, 9))
    np.testing.assert_allclose(changed.multiply(rows), rows @ (dense(precision) + changed.added.toarray()), atol=1e-12)
    np.testing.assert_allclose(changed.diagonal(), np.diag(dense(precision) + changed.added.toarray()), atol=1e-12)
