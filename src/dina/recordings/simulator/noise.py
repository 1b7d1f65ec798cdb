"""Shared noise of a population: in the directions of its signal, spread over the cortex, in pairs, and drifting."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32

from dina.recordings.simulator.population import Population
from dina.recordings.simulator.settings import SyntheticSettings

LEAST_PRIVATE = 0.05  # of a neuron's noise variance
CORRELATION_LENGTH_UM = 300.0  # of the first components of the broad noise
UNIFORM_PART = 0.5  # of the broad noise that moves all neurons the same way
PAIR_VARIANCE = 4.0  # of the noise of a synergistic pair, in units of other noise


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """Noise of the potential, in units of a typical neuron's noise.

    Parameters
    ----------
    signal_loadings
        Noise in the directions of the population signal, shape ``(n_neurons, n_directions)``.
    broad_loadings
        Noise spread over the cortex, also present without stimulus, and that of pairs, ``(n_neurons, n_broad)``.
    drift_loadings
        Change of each neuron's potential per standard deviation of time, shape ``(n_neurons, 1)``.
    private_deviation
        Of the noise that no other neuron shares, shape ``(n_neurons,)``.
    """

    signal_loadings: Float32[np.ndarray, "neuron direction"]
    broad_loadings: Float32[np.ndarray, "neuron broad"]
    drift_loadings: Float32[np.ndarray, "neuron 1"]
    private_deviation: Float32[np.ndarray, "neuron"]

    def shared_loadings(self) -> Float32[np.ndarray, "neuron factor"]:
        """Return all shared noise as one matrix; independent factors of unit variance drive its columns."""
        parts = [self.signal_loadings, self.broad_loadings]
        if self.drift_loadings.any():
            parts.append(self.drift_loadings)
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def total_variance(self) -> Float32[np.ndarray, "neuron"]:
        """Return the noise variance of each neuron's potential."""
        return (self.shared_loadings() ** 2).sum(1) + self.private_deviation**2


def make_noise(
    settings: SyntheticSettings,
    population: Population,
    source_covariance: Float[np.ndarray, "source source"],
    drive_weights: Float32[np.ndarray, "source neuron"],
    generator: np.random.Generator,
) -> NoiseModel:
    r"""Make the noise of a population whose drive is ``sources @ drive_weights``.

    Noise in the signal's own directions cannot be averaged away by more neurons (Moreno-Bote et al. 2014). For a given
    power it limits information most if its variance in each principal direction of the signal is proportional to the
    square root of the signal's variance there: minimise :math:`\sum_k \lambda_k/\eta_k` for fixed :math:`\sum_k\eta_k`.

    Parameters
    ----------
    settings
        Strengths of the kinds of noise.
    population
        Positions and pairs.
    source_covariance
        Covariance over natural images of subunits and categories.
    drive_weights
        Of each source in the potential of each neuron, in units of noise.
    generator
        Source of randomness.

    References
    ----------
    Moreno-Bote et al. (2014), Nat. Neurosci. 17:1410. https://doi.org/10.1038/nn.3807
    """
    n = settings.n_neurons
    signal = _in_signal_directions(source_covariance, drive_weights)
    signal *= np.sqrt(settings.information_limit * n / max((signal**2).sum(), 1e-12))
    broad = _over_cortex(settings, population.position_um, generator)
    private = np.maximum(1 - (signal**2).sum(1) - (broad**2).sum(1), LEAST_PRIVATE)
    pairs = np.zeros((n, len(population.synergistic_pairs)), dtype=np.float32)
    for number, pair in enumerate(population.synergistic_pairs):
        pairs[pair, number] = np.sqrt(PAIR_VARIANCE)
    drift = settings.drift * generator.standard_normal((n, 1))
    return NoiseModel(
        signal_loadings=signal.astype(np.float32),
        broad_loadings=np.concatenate([broad, pairs], axis=1).astype(np.float32),
        drift_loadings=drift.astype(np.float32),
        private_deviation=np.sqrt(private).astype(np.float32),
    )


def _in_signal_directions(covariance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return principal directions of the signal scaled by the fourth root of its variance (unnormalised)."""
    value, vector = torch.linalg.eigh(torch.from_numpy(covariance.astype(np.float64)))
    half = vector * value.clamp_min(0).sqrt()
    spread = (
        half.T @ torch.from_numpy(weights.astype(np.float64))
    ).T  # neuron x source; spread @ spread.T is the signal covariance
    gram_value, gram_vector = torch.linalg.eigh(spread.T @ spread)
    kept = gram_value > 1e-6 * gram_value[-1].clamp_min(1e-12)
    direction = spread @ (gram_vector[:, kept] / gram_value[kept].sqrt())
    return np.asarray((direction * gram_value[kept] ** 0.25).flip(1).numpy())


def _over_cortex(settings: SyntheticSettings, position_um: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return loadings of the broad noise: variance falls as 1/rank, grain becomes finer with rank."""
    n, n_factors = len(position_um), settings.n_broad_factors
    rank = np.arange(1, n_factors + 1)
    # random plane waves over the cortex; their wavelength shortens with rank, so correlations fall with distance
    wave = generator.standard_normal((2, n_factors)) * (rank / 4) ** 0.5 / CORRELATION_LENGTH_UM
    phase = generator.uniform(0, 2 * np.pi, n_factors)
    loadings = np.cos(position_um[:, :2] @ wave + phase) + 0.7 * generator.standard_normal((n, n_factors))
    loadings *= rank**-0.5
    loadings *= np.sqrt((1 - UNIFORM_PART) / (loadings**2).sum(1, keepdims=True))
    uniform = np.sqrt(UNIFORM_PART) * np.exp(0.3 * generator.standard_normal((n, 1)) - 0.09)
    return np.asarray(np.concatenate([uniform, loadings], axis=1) * np.sqrt(settings.broad_noise))
