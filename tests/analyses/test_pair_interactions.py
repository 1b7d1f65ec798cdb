"""The closed form of pairwise interactions equals what taking neurons out of the noise model by hand gives."""

import numpy as np
import pytest
import torch

from dina.analyses.closed_readouts import LikelihoodReadout, margins
from dina.analyses.functional_interactions.pair_interactions import (
    PairForms,
    ScaledPrecision,
    sample_pairs,
)
from dina.models.noise import LowRankNoise
from dina.statistics.coupling import Precision


def make_readout(n_neurons: int = 12, n_components: int = 3, seed: int = 0) -> LikelihoodReadout:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return LikelihoodReadout(
        evoked=draw(9, n_neurons),
        gain=draw(n_neurons).mul(0.3).exp(),
        noise=LowRankNoise(draw(n_neurons).mul(0.3).exp(), draw(n_neurons, n_components)),
        scale=0.7,
    )


def forms_of(readout: LikelihoodReadout, responses: torch.Tensor, target: torch.Tensor) -> PairForms:
    """Express noise in units that differ from neuron to neuron, which must change nothing."""
    deviation = torch.linspace(0.5, 2, readout.n_neurons, dtype=torch.float64)
    precision = Precision.of(
        (readout.noise.private / deviation**2).numpy(), (readout.noise.loadings / deviation[:, None]).numpy()
    )
    return PairForms.of(readout, ScaledPrecision(precision, deviation), responses, target)


def margins_without(readout: LikelihoodReadout, responses: torch.Tensor, target: torch.Tensor, gone: list[int]) -> torch.Tensor:
    """Compute margins from a dense covariance that never held the neurons ``gone``."""
    kept = [j for j in range(readout.n_neurons) if j not in gone]
    loadings = readout.noise.loadings[kept]
    precision = torch.linalg.inv(torch.diag(readout.noise.private[kept]) + loadings @ loadings.T)
    evoked = readout.evoked[:, kept]
    weight = readout.scale * (evoked * readout.gain[kept]) @ precision
    return margins(responses[:, kept] @ weight.T - 0.5 * (evoked * weight).sum(1), target)


@pytest.fixture(scope="module")
def queries() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    # images are asked for unequally often, so that nothing cancels
    return torch.randn(11, 12, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0])


def test_interactions_equal_removal_of_both_less_removal_of_each(queries: tuple[torch.Tensor, torch.Tensor]) -> None:
    readout, (responses, target) = make_readout(), queries
    pairs = sample_pairs(12, 1000, np.random.default_rng(0))
    forms = forms_of(readout, responses, target)

    whole = margins_without(readout, responses, target, [])
    alone = [whole - margins_without(readout, responses, target, [j]) for j in range(12)]
    expected = [whole - margins_without(readout, responses, target, [i, j]) - alone[i] - alone[j] for i, j in pairs.tolist()]

    # double precision; margins are of order ten
    np.testing.assert_allclose(forms.interactions(pairs), torch.stack(expected, 1).numpy(), atol=1e-10)
    np.testing.assert_allclose(forms.contributions().numpy(), torch.stack(alone, 1).numpy(), atol=1e-10)
    np.testing.assert_allclose(forms.margin, whole, atol=1e-10)


def test_independent_noise_gives_no_interaction_at_all(queries: tuple[torch.Tensor, torch.Tensor]) -> None:
    forms = forms_of(make_readout(n_components=0), *queries)
    pairs = sample_pairs(12, 1000, np.random.default_rng(0))
    np.testing.assert_array_equal(forms.interactions(pairs), 0)
    # then the contributions add up to the margin
    np.testing.assert_allclose(forms.contributions().sum(1), margins(make_readout(n_components=0).scores(queries[0]), queries[1]))


def test_a_neuron_that_hears_only_the_others_noise_is_synergistic_with_it() -> None:
    # neuron 0 has signal and noise, neuron 1 the same noise only
    readout = LikelihoodReadout(
        evoked=torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64),
        gain=torch.ones(2, dtype=torch.float64),
        noise=LowRankNoise(torch.full((2,), 0.1, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)),
        scale=1.0,
    )
    forms = forms_of(readout, readout.evoked, torch.tensor([0, 1]))
    pair = np.array([[0, 1]])
    # without neuron 1 nothing of it is left to lose with neuron 0: the pair's interaction is minus what 1 alone takes
    np.testing.assert_allclose(forms.interactions(pair)[:, 0], -forms.contributions()[:, 1].numpy())
    assert (forms.interactions(pair) < 0).all()


def test_couplings_are_partial_correlations_of_the_noise(queries: tuple[torch.Tensor, torch.Tensor]) -> None:
    readout = make_readout()
    inverse = torch.linalg.inv(torch.diag(readout.noise.private) + readout.noise.loadings @ readout.noise.loadings.T)
    expected = -inverse / (inverse.diagonal()[:, None] * inverse.diagonal()).sqrt()
    forms, pairs = forms_of(readout, *queries), sample_pairs(12, 1000, np.random.default_rng(0))
    np.testing.assert_allclose(forms.couplings(pairs), expected.numpy()[pairs[:, 0], pairs[:, 1]], atol=1e-12)


def test_sampled_pairs_are_different_and_sorted() -> None:
    pairs = sample_pairs(100, 700, np.random.default_rng(0))
    assert len(np.unique(pairs, axis=0)) == 700
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert pairs.max() < 100
    assert len(sample_pairs(40, 10**6, np.random.default_rng(0))) == 780
