"""Correlations agree with independent references, of columns, of rows and of neurons."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from dina.checks import DataError
from dina.data.pairs import learn_standardiser, make_pairs
from dina.models.noise import repeat_differences
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate
from dina.statistics.correlation import (
    correlate_all_rows,
    correlate_columns,
    correlate_rows,
    noise_correlations,
    signal_correlations,
)


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    first = generator.standard_normal((30, 600)).astype(np.float32) + 100
    return first, first + 2 * generator.standard_normal((30, 600)).astype(np.float32)


def test_columns_and_rows_agree_with_scipy(pair):
    first, second = pair

    # both float64 on the same float32 data
    expected = [pearsonr(a.astype(float), b.astype(float)).statistic for a, b in zip(first.T, second.T, strict=True)]
    np.testing.assert_allclose(correlate_columns(first, second), expected, atol=1e-10)
    np.testing.assert_allclose(correlate_rows(first.T, second.T), expected, atol=1e-10)


def test_all_rows_agree_with_numpy(pair):
    first, second = pair

    expected = np.corrcoef(first.astype(float), second[:11].astype(float))[:30, 30:]
    np.testing.assert_allclose(correlate_all_rows(first, second[:11]), expected, atol=1e-10)


def test_a_constant_column_has_no_correlation():
    # the mean of fifty times 0.7 differs from 0.7 by rounding, which must not pass for variance
    first = np.full((50, 1), 0.7)
    second = np.arange(50.0)[:, None]

    np.testing.assert_array_equal(correlate_columns(first, second), [np.nan])
    np.testing.assert_array_equal(correlate_all_rows(second.T, first.T), [[np.nan]])


def test_different_shapes_are_refused():
    with pytest.raises(DataError, match="shapes"):
        correlate_columns(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(DataError, match="same variables; got 2 and 3"):
        correlate_all_rows(np.zeros((3, 2)), np.zeros((3, 3)))


def true_noise_correlations(recording: Recording) -> np.ndarray:
    """Average the covariance that the simulation gives each image over images, and scale it to correlations."""
    truth = recording.truth
    assert truth is not None
    n = recording.n_stimuli
    shared = truth.shared_loadings @ truth.shared_loadings.T
    covariance = (truth.shared_gain.T @ truth.shared_gain / n) * shared
    covariance += truth.gain_deviation**2 * truth.mean.T @ truth.mean / n
    variance = np.diag(covariance) + truth.private_variance.mean(0)
    return np.asarray(covariance / np.sqrt(np.outer(variance, variance)))


def test_99_percent_of_noise_correlations_lie_within_three_standard_errors_of_the_truth() -> None:
    recording = simulate("demo", 11, settings={"n_neurons": 120, "n_stimuli": 1500, "n_subunits": 60, "n_spontaneous": 0})
    everything = np.arange(recording.n_stimuli)
    pairs = make_pairs(recording, everything, learn_standardiser(recording, everything))
    differences = repeat_differences(pairs)
    assert differences is not None
    generator = np.random.default_rng(0)

    found = noise_correlations(differences.numpy())
    drawn = generator.integers(len(differences), size=(200, len(differences)))
    error = np.std([noise_correlations(differences.numpy()[rows]) for rows in drawn], axis=0)

    pair = np.triu_indices(120, 1)
    z = (found - true_noise_correlations(recording))[pair] / error[pair]
    assert (np.abs(z) < 3).mean() >= 0.99
    # not because the errors are too wide: a standard normal z has a root mean square of 1; pairs share neurons, so 20 %
    assert 0.8 < np.sqrt((z**2).mean()) < 1.2


def test_noise_correlations_of_chosen_neurons_are_rows_of_the_whole() -> None:
    rows = np.random.default_rng(1).standard_normal((50, 6))
    chosen = np.array([4, 1])
    # the products are summed in another order by the matrix library: rounding of single precision
    np.testing.assert_allclose(noise_correlations(rows, chosen), noise_correlations(rows)[chosen], atol=1e-6)
    np.testing.assert_allclose(noise_correlations(rows), np.corrcoef(rows.T), atol=1e-6)


def test_shared_noise_does_not_pass_for_shared_tuning() -> None:
    generator = np.random.default_rng(2)
    tuning = generator.standard_normal((5000, 2))  # independent tuning
    halves = [tuning + 2 * generator.standard_normal((5000, 1)) for _ in range(2)]  # the same noise in both neurons
    naive = np.corrcoef((halves[0] + halves[1]).T)[0, 1]
    # 5,000 images: standard error 0.014; three of them
    assert abs(signal_correlations(*halves)[0, 1]) < 0.043
    assert naive > 0.5


def test_equal_tuning_correlates_by_its_reliability() -> None:
    generator = np.random.default_rng(3)
    tuning = generator.standard_normal((20_000, 1))
    halves = [tuning + generator.standard_normal((20_000, 2)) for _ in range(2)]
    # signal variance 1, noise 1: one half; standard error 0.006, four of them
    np.testing.assert_allclose(signal_correlations(*halves), 0.5, atol=0.025)


def test_a_neuron_that_never_varies_has_no_correlation() -> None:
    rows = np.column_stack([np.ones(9), np.arange(9.0)])
    assert np.isnan(noise_correlations(rows)[0]).all()


def test_halves_of_different_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="same images and neurons"):
        signal_correlations(np.zeros((3, 2)), np.zeros((4, 2)))
