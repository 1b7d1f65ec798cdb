"""Noise shared between neurons: planted components, kept variances, differences of repeats."""

import numpy as np
import pytest
import torch

from dina.data.pairs import Pairs
from dina.data.standardise import Standardiser
from dina.models.noise import ResidualComponents, Residuals, decompose_residuals, repeat_differences
from dina.randomness import generator_for

N_NEURONS = 12


def planted_noise(n_rows, seed=0):
    """Draw residuals with one shared component and private noise; return them and their covariance."""
    random = generator_for(seed, "noise")
    loadings = np.linspace(-1, 1.5, N_NEURONS)[:, None]
    private = np.linspace(0.5, 2, N_NEURONS)
    rows = random.standard_normal((n_rows, 1)) @ loadings.T + np.sqrt(private) * random.standard_normal((n_rows, N_NEURONS))
    return rows.astype(np.float32), loadings @ loadings.T + np.diag(private)


def pairs_of(responses, stimulus_index, n_presentations=None):
    n_stimuli = int(stimulus_index.max()) + 1
    counts = np.ones(len(responses), dtype=np.int64) if n_presentations is None else n_presentations
    return Pairs(
        images=np.zeros((n_stimuli, 1, 4, 4), dtype=np.float32),
        stimulus_id=np.arange(n_stimuli),
        responses=responses,
        stimulus_index=stimulus_index,
        n_presentations=counts,
        standardiser=Standardiser.learn(responses),
    )


def standard_error(covariance, n_rows):
    """Return the standard error of a sample covariance of Gaussian rows (Wishart)."""
    variance = np.diag(covariance)
    return np.sqrt((covariance**2 + np.outer(variance, variance)) / n_rows)


def dense(noise):
    return (torch.diag(noise.private) + noise.loadings @ noise.loadings.T).numpy()


@pytest.mark.parametrize("n_rows", [8, 500])
@pytest.mark.parametrize(("n_components", "shrinkage"), [(0, 0.0), (2, 0.3), (5, 0.9)])
def test_every_neuron_keeps_its_variance(n_rows, n_components, shrinkage):
    rows, _ = planted_noise(n_rows)
    noise = decompose_residuals(torch.from_numpy(rows)).noise(n_components, shrinkage)
    np.testing.assert_allclose(np.diag(dense(noise)), np.square(rows).mean(0), rtol=1e-4)
    assert noise.loadings.shape == (N_NEURONS, n_components)


def test_with_full_shrinkage_neurons_are_independent():
    noise = decompose_residuals(torch.from_numpy(planted_noise(200)[0])).noise(3, 1.0)
    assert float(noise.loadings.abs().max()) == 0


def test_all_components_without_shrinkage_give_the_sample_covariance():
    rows, _ = planted_noise(400)
    found = dense(decompose_residuals(torch.from_numpy(rows)).noise(N_NEURONS, 0.0))
    sample = rows.T @ rows / len(rows)
    # private noise has a floor of 2 % of the variance
    np.testing.assert_allclose(found - np.diag(np.diag(found)), sample - np.diag(np.diag(sample)), atol=1e-4)
    np.testing.assert_allclose(np.diag(found), 1.02 * np.diag(sample), rtol=1e-4)


def test_both_gram_matrices_give_the_same_components():
    rows = torch.from_numpy(planted_noise(N_NEURONS)[0])  # as many rows as neurons: the Gram matrix over rows
    repeated = torch.cat([rows, rows])  # the same correlations, over neurons
    few, many = decompose_residuals(rows), decompose_residuals(repeated)
    torch.testing.assert_close(few.strength, many.strength, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(dense_of(few), dense_of(many), atol=1e-4, rtol=1e-4)


def dense_of(components):
    noise = components.noise(3, 0.2)
    return torch.diag(noise.private) + noise.loadings @ noise.loadings.T


def test_more_components_than_rows_leave_columns_of_zeros():
    noise = decompose_residuals(torch.from_numpy(planted_noise(4)[0])).noise(9, 0.1)
    assert noise.loadings.shape == (N_NEURONS, 9)
    assert float(noise.loadings[:, 4:].abs().max()) == 0
    assert float(noise.private.min()) > 0


def test_a_neuron_that_never_varies_can_be_divided_by():
    rows, _ = planted_noise(50)
    rows[:, 3] = 0
    noise = decompose_residuals(torch.from_numpy(rows)).noise(2, 0.2)
    assert noise.divide(torch.ones(1, N_NEURONS)).isfinite().all()
    assert float(noise.private[3]) == pytest.approx(1.0)


@pytest.mark.parametrize("n_repeats", [2, 3, 5])
def test_differences_of_repeats_have_the_covariance_of_the_noise_whatever_the_signal(n_repeats):
    n_stimuli = 3000
    noise, covariance = planted_noise(n_stimuli * n_repeats)
    stimulus = generator_for(1, "order").permutation(np.tile(np.arange(n_stimuli), n_repeats))
    # a multiple of 1/8 keeps the sum exact enough in single precision
    signal = generator_for(2, "signal").integers(-80, 80, (n_stimuli, N_NEURONS)) / 8

    rows = repeat_differences(pairs_of((noise + signal[stimulus]).astype(np.float32), stimulus))

    assert rows.shape == (n_stimuli * (n_repeats - 1), N_NEURONS)
    found = (rows.T @ rows / len(rows)).numpy()
    deviation = np.abs(found - covariance) / standard_error(covariance, len(rows))
    # 78 numbers, three draws of them: 4 standard errors for the largest, 3 for all but one in a hundred
    assert float(deviation.max()) < 4
    assert np.mean(deviation[np.triu_indices(N_NEURONS)] < 3) > 0.98
    # rows are independent, also those of one image: their products over images have no covariance
    first, last = rows[:n_stimuli].numpy(), rows[-n_stimuli:].numpy()
    if n_repeats > 2:
        crossed = first[np.argsort(stimulus_of(stimulus, 1))].T @ last[np.argsort(stimulus_of(stimulus, -1))] / n_stimuli
        variance = np.diag(covariance)
        assert float((np.abs(crossed) / np.sqrt(np.outer(variance, variance) / n_stimuli)).max()) < 4.5


def stimulus_of(stimulus, repeat):
    """Return the images of one repeat in order of presentation."""
    seen = np.zeros(stimulus.max() + 1, dtype=int)
    number = np.empty(len(stimulus), dtype=int)
    for trial, image in enumerate(stimulus):
        number[trial] = seen[image]
        seen[image] += 1
    return stimulus[number == (number.max() if repeat == -1 else repeat)]


def test_planted_shared_noise_is_recovered_from_differences_of_repeats():
    n_stimuli = 2000
    noise, covariance = planted_noise(2 * n_stimuli)
    stimulus = np.tile(np.arange(n_stimuli), 2)
    rows = repeat_differences(pairs_of(noise, stimulus))
    found = dense(decompose_residuals(rows).noise(1, 0.0))
    # the largest component also holds private noise: at most its largest share of a variance (1.0 here) over the
    # shared components' strength (3.5) of each product of loadings
    allowed = 3 * standard_error(covariance, n_stimuli) + np.abs(covariance) / 3.5
    assert bool((np.abs(found - covariance) < allowed).all())


def test_a_difference_of_two_trials_on_paper():
    responses = np.array([[1.0, 4.0], [5.0, 5.0], [3.0, 0.0]], dtype=np.float32)
    rows = repeat_differences(pairs_of(responses, np.array([0, 1, 0])))
    np.testing.assert_allclose(rows.numpy(), [[2 / np.sqrt(2), -4 / np.sqrt(2)]], rtol=1e-6)


def test_without_repeats_there_are_no_differences():
    assert repeat_differences(pairs_of(np.eye(3, dtype=np.float32), np.arange(3))) is None


def test_residuals_that_are_computed_some_neurons_at_a_time_are_those_of_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    responses, expected = torch.randn(2, 12, 30, generator=generator)
    factor, kept = torch.rand(12, generator=generator), torch.arange(12) % 3 > 0
    residuals, whole = Residuals(responses, expected, factor, kept), (responses - factor[:, None] * expected)[kept]
    monkeypatch.setattr("dina.models.noise.NEURONS_AT_ONCE", 7)
    found, of_formula = decompose_residuals(residuals, most=3), decompose_residuals(whole)
    torch.testing.assert_close(found.variance, of_formula.variance)
    torch.testing.assert_close(found.strength, of_formula.strength[-3:])
    torch.testing.assert_close(found.directions.abs(), of_formula.directions[:, -3:].abs(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ResidualComponents.none(residuals).variance, of_formula.variance)


def test_noise_says_how_many_components_it_has() -> None:
    components = decompose_residuals(torch.from_numpy(generator_for(0, "noise").normal(size=(40, 6))))
    told = [setting["noise_components"] for _, setting in components.noises((0, 4, 128), (0.0,))]
    assert told == [0, 4, 6]
    assert [setting["noise_components"] for _, setting in components.noises((0, 4, 128), (0.0,), most=5)] == [0, 4, 5]
