"""From drive to response: shared noise, a rectifying power law, lost responses, gain; and the exact mean and variance."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32

from dina.recordings.simulator.neurons import Population
from dina.recordings.simulator.session_settings import SyntheticSettings

LEAST_PRIVATE = 0.05  # of a neuron's noise variance
CORRELATION_LENGTH_UM = 300.0  # of the first components of the broad noise
UNIFORM_PART = 0.5  # of the broad noise that moves all neurons the same way
PAIR_VARIANCE = 4.0  # of the noise of a synergistic pair, in units of other noise
CHUNK = 200  # images whose moments are computed together
LOWEST, HIGHEST, N_GRID = -10.0, 30.0, 8001  # tabulated range of potential / noise
LEAST_VARIANCE = 1e-3  # of a neuron's average variance: what remains under an image that silences it


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """Noise of the potential, in units of a typical neuron's noise."""

    signal_loadings: Float32[np.ndarray, "neuron direction"]  # noise in the directions of the population signal
    # noise spread over the cortex, also present without stimulus, and that of pairs, (n_neurons, n_broad)
    broad_loadings: Float32[np.ndarray, "neuron broad"]
    drift_loadings: Float32[np.ndarray, "neuron 1"]  # change of each neuron's potential per standard deviation of time
    private_deviation: Float32[np.ndarray, "neuron"]  # of the noise that no other neuron shares

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


def rectified_moment(level: Float[np.ndarray, "grid"], power: float) -> Float[np.ndarray, "grid"]:
    r"""Return the expectation of max(level + e, 0) ** power for a standard normal e.

    Gauss-Legendre quadrature over the part above threshold, which is smooth.

    Examples
    --------
    At threshold the first moment is 1 / sqrt(2 pi) and the second one half:

    >>> [round(float(rectified_moment(np.zeros(1), power)[0]), 4) for power in (1.0, 2.0)]
    [0.3989, 0.5]
    """
    node, weight = np.polynomial.legendre.leggauss(120)
    low = np.maximum(-level, -9.0)
    half = np.full_like(low, 9.0)
    half[low < 0] = (9.0 - low[low < 0]) / 2
    noise = (low + half)[:, None] + half[:, None] * node
    density = np.exp(-(noise**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(((level[:, None] + noise).clip(0) ** power * density * weight).sum(1) * half)


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and noise of single trials given the image."""

    mean: Float32[np.ndarray, "stimulus neuron"]  # expected response
    private_variance: Float32[np.ndarray, "stimulus neuron"]  # variance shared with no other neuron
    shared_gain: Float32[np.ndarray, "stimulus neuron"]  # response per unit of shared noise of the potential


@dataclass(frozen=True, eq=False)
class ResponseModel:
    """``response = kept · gain · amplitude · max(potential, 0) ** exponent``."""

    exponent: float  # of the power law
    amplitude: Float[np.ndarray, "neuron"]  # shape (n_neurons,), arbitrary units
    missed: Float[np.ndarray, "neuron"]  # probability that a response is recorded as zero
    gain_deviation: float  # of the gain common to all neurons of a trial, which is log-normal with mean 1
    # of the potential given the image: the part shared with other neurons, and all
    shared_variance: Float[np.ndarray, "neuron"]
    noise_variance: Float[np.ndarray, "neuron"]

    def draw_gain(self, n_trials: int, generator: np.random.Generator) -> Float32[np.ndarray, "trial 1"]:
        """Draw the gain of each trial: log-normal, mean 1."""
        log_variance = np.log1p(self.gain_deviation**2)
        drawn = np.exp(np.sqrt(log_variance) * generator.standard_normal((n_trials, 1)) - log_variance / 2)
        return np.asarray(drawn.astype(np.float32))

    def respond(
        self, potential: Float32[np.ndarray, "trial neuron"], gain: Float32[np.ndarray, "trial 1"], generator: np.random.Generator
    ) -> Float32[np.ndarray, "trial neuron"]:
        """Turn potentials into responses; overwrites ``potential``."""
        np.maximum(potential, 0, out=potential)
        np.power(potential, np.float32(self.exponent), out=potential)
        potential *= self.amplitude.astype(np.float32)
        potential *= gain
        potential *= generator.random(potential.shape, dtype=np.float32) >= self.missed.astype(np.float32)
        return potential

    def moments(self, potential: Float32[np.ndarray, "stimulus neuron"]) -> Moments:
        r"""Return the moments of a single trial given the mean potential of each image.

        Notes
        -----
        With noise deviation :math:`\tau`, level :math:`x` = potential / :math:`\tau` and
        :math:`F_q(x) = E[\max(x + e, 0)^q]`, mean and variance of each neuron are exact. The covariance of two neurons
        is the first term of its Hermite series, :math:`c_i c_j \rho_{ij}` with :math:`c = F_p'(x) = pF_{p-1}(x)`; what
        the higher terms add to a neuron's own variance is counted as private. A gain of variance :math:`\gamma^2`
        multiplies second moments by :math:`1 + \gamma^2`; lost responses multiply first moments by 1 - missed.
        """
        level = np.linspace(LOWEST, HIGHEST, N_GRID)
        first = rectified_moment(level, self.exponent)
        slope = np.gradient(first, level) if self.exponent == 1 else self.exponent * rectified_moment(level, self.exponent - 1)
        second = rectified_moment(level, 2 * self.exponent)
        deviation = np.sqrt(self.noise_variance)
        kept = 1 - self.missed
        scale = kept * self.amplitude * deviation**self.exponent
        growth = 1 + self.gain_deviation**2
        result = Moments(*(np.empty(potential.shape, dtype=np.float32) for _ in range(3)))
        for start in range(0, len(potential), CHUNK):
            rows = slice(start, start + CHUNK)
            x = potential[rows] / deviation
            mean = scale * np.interp(x, level, first)
            gain = np.sqrt(growth) * scale / deviation * np.interp(x, level, slope)
            variance = growth * scale**2 / kept * np.interp(x, level, second) - mean**2
            common = gain**2 * self.shared_variance + self.gain_deviation**2 * mean**2
            result.mean[rows], result.shared_gain[rows] = mean, gain
            result.private_variance[rows] = variance - common
        least = LEAST_VARIANCE * result.private_variance.mean(0)
        np.maximum(result.private_variance, least, out=result.private_variance)
        return result
