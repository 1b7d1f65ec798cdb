"""Coupled pairs are found among uncoupled ones, and chance finds none."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from dina.statistics.coupling import (
    CouplingEstimate,
    adjust_for_discoveries,
    chance_spread,
    find_coupled_pairs,
)


def make_noise(n_rows: int = 400, n_neurons: int = 300, strength: float = 0.6) -> np.ndarray:
    """Make noise of which neurons 3 and 200, and 10 and 11, share a part, and all share a little."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((n_rows, n_neurons)) + 0.3 * generator.standard_normal((n_rows, 1))
    for one, other in ((3, 200), (10, 11)):
        common = generator.standard_normal(n_rows)
        for neuron in (one, other):
            noise[:, neuron] = np.sqrt(strength) * common + np.sqrt(1 - strength) * noise[:, neuron]
    return noise


def test_two_coupled_pairs_are_found_among_forty_thousand() -> None:
    noise = make_noise()
    estimate = CouplingEstimate.of(noise)
    found = find_coupled_pairs(estimate, 20, chance_spread(noise, estimate.shrinkage, np.random.default_rng(1)))
    assert {tuple(pair) for pair in found.pairs[found.adjusted_p < 0.05].tolist()} == {(3, 200), (10, 11)}


def test_permuted_noise_has_standard_z_after_division_by_its_spread() -> None:
    generator = np.random.default_rng(2)
    noise = np.abs(generator.standard_normal((200, 300))) ** 3 * generator.choice([-1, 1], (200, 300))  # heavy tails
    spread = chance_spread(noise, 0.7, generator)
    _, z = CouplingEstimate.of(noise, 0.7).rows(np.arange(300))
    standard = z[np.triu_indices(300, 1)] / spread
    # 45,000 dependent values: their deviation is 1 to a few per cent
    assert 0.95 < standard.std() < 1.05
    # more neurons than rows: without the spread chance would look like couplings
    assert spread > 1.1
    assert not (find_coupled_pairs(CouplingEstimate.of(noise, 0.7), 100, spread).adjusted_p < 0.01).any()


def test_unshrunk_couplings_are_near_the_partial_correlations_of_many_rows() -> None:
    noise = make_noise(n_rows=20_000, n_neurons=12 + 189)
    precision = np.linalg.inv(np.cov(noise.T))
    scale = np.sqrt(np.diag(precision))
    coupling, _ = CouplingEstimate.of(noise, 0.2).rows(np.array([10]))
    # a fifth of shrinkage would leave 0.48 of 0.6; the step towards the data leaves a few per cent of bias
    assert coupling[0, 11] == pytest.approx((-precision / np.outer(scale, scale))[10, 11], abs=0.05)


def test_untested_pairs_make_discoveries_no_easier() -> None:
    p_values = np.random.default_rng(0).uniform(0, 0.2, 50)
    every = np.concatenate([p_values, np.ones(950)])
    np.testing.assert_allclose(adjust_for_discoveries(p_values, 1000), false_discovery_control(every)[:50])
