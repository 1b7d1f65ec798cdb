"""From potential to response: rectifying power law, lost responses, gain; and their exact mean and variance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

CHUNK = 200  # images whose moments are computed together
LOWEST, HIGHEST, N_GRID = -10.0, 30.0, 8001  # tabulated range of potential / noise
LEAST_VARIANCE = 1e-3  # of a neuron's average variance: what remains under an image that silences it


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
    """Mean and noise of single trials given the image.

    Parameters
    ----------
    mean
        Expected response, shape ``(n_stimuli, n_neurons)``.
    private_variance
        Variance shared with no other neuron, same shape.
    shared_gain
        Response per unit of shared noise of the potential, same shape.
    """

    mean: Float32[np.ndarray, "stimulus neuron"]
    private_variance: Float32[np.ndarray, "stimulus neuron"]
    shared_gain: Float32[np.ndarray, "stimulus neuron"]


@dataclass(frozen=True, eq=False)
class ResponseModel:
    """``response = kept · gain · amplitude · max(potential, 0) ** exponent``.

    Parameters
    ----------
    exponent
        Of the power law.
    amplitude
        Shape ``(n_neurons,)``, arbitrary units.
    missed
        Probability that a response is recorded as zero, shape ``(n_neurons,)``.
    gain_deviation
        Of the gain common to all neurons of a trial, which is log-normal with mean 1.
    shared_variance, noise_variance
        Of the potential given the image: the part shared with other neurons, and all, shape ``(n_neurons,)``.
    """

    exponent: float
    amplitude: Float[np.ndarray, "neuron"]
    missed: Float[np.ndarray, "neuron"]
    gain_deviation: float
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
