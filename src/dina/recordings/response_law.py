"""How simulated neurons turn a noisy potential into a response: draws of it, and its mean and noise, also after a power."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Float32

LOWEST, HIGHEST, N_GRID = -10.0, 30.0, 8001  # tabulated range of potential / noise
LEAST_VARIANCE = 1e-3  # of a neuron's average variance: what remains under an image that silences it
MOMENTS_CHUNK = 200  # images whose moments are computed together


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
class ResponseLaw:
    """``response = kept · gain · amplitude · max(potential, 0) ** exponent``; the gain is common to all neurons of a trial.

    Parameters
    ----------
    exponent
        Of the rectifying power law, dimensionless.
    gain_deviation
        Standard deviation over trials of the log-normal gain, whose mean is 1; dimensionless.
    amplitude
        In the units of the recording.
    missed
        Probability that a response is lost (recorded as zero).
    private_deviation
        Of the noise of the potential that no other neuron shares, in units of a typical neuron's noise.
    """

    exponent: float
    gain_deviation: float
    amplitude: Float[np.ndarray, "neuron"]
    missed: Float[np.ndarray, "neuron"]
    private_deviation: Float32[np.ndarray, "neuron"]

    def respond(self, potential: Float32[np.ndarray, "trial neuron"], generator: np.random.Generator) -> np.ndarray:
        """Draw a log-normal gain of mean 1 for each trial, and turn potentials into responses in place."""
        log_variance = np.log1p(self.gain_deviation**2)
        gain = np.exp(np.sqrt(log_variance) * generator.standard_normal((len(potential), 1)) - log_variance / 2)
        np.maximum(potential, 0, out=potential)
        np.power(potential, np.float32(self.exponent), out=potential)
        potential *= self.amplitude.astype(np.float32)
        potential *= gain.astype(np.float32)
        potential *= generator.random(potential.shape, dtype=np.float32) >= self.missed.astype(np.float32)
        return potential

    def moments(
        self,
        potential: Float32[np.ndarray, "stimulus neuron"],
        shared_loadings: Float32[np.ndarray, "neuron factor"],
        power: float = 1.0,
    ) -> tuple[
        Float32[np.ndarray, "stimulus neuron"], Float32[np.ndarray, "stimulus neuron"], Float32[np.ndarray, "stimulus neuron"]
    ]:
        r"""Return mean, private variance and shared gain of ``response ** power`` given the mean potential of each image.

        ``shared_loadings`` are those of the noise of the potential that neurons share; ``power`` is above 0.

        Notes
        -----
        With noise deviation :math:`\tau`, level :math:`x` = potential / :math:`\tau` and :math:`F_q(x) = E[\max(x + e, 0)^q]`, mean
        and variance of each neuron are exact, since a power of the response is a response of another exponent. The covariance of
        two neurons is the first term of its Hermite series, :math:`c_i c_j \rho_{ij}` with :math:`c = F_q'(x)`; what the higher
        terms add to a neuron's own variance is counted as private. For a log-normal gain of variance :math:`\gamma^2`,
        :math:`E[g^p] = (1 + \gamma^2)^{p(p-1)/2}`. Lost responses multiply every moment by 1 - missed.
        """
        growth = 1 + self.gain_deviation**2
        first, slope, second = _tables(self.exponent * power)
        noise_variance = self._noise_variance(shared_loadings)
        shared_variance = noise_variance - self.private_deviation.astype(np.float64) ** 2
        deviation, kept = np.sqrt(noise_variance), 1 - self.missed
        scale = self._scale(deviation, power)
        mean_gain, gain_square = growth ** (power * (power - 1) / 2), growth ** (power * (2 * power - 1))
        relative = self.gain_deviation_after(power)
        means, private, gains = (np.empty(potential.shape, dtype=np.float32) for _ in range(3))
        for start in range(0, len(potential), MOMENTS_CHUNK):
            rows = slice(start, start + MOMENTS_CHUNK)
            x = potential[rows] / deviation
            mean = mean_gain * scale * np.interp(x, LEVEL, first)
            gain = np.sqrt(gain_square) * scale / deviation * np.interp(x, LEVEL, slope)
            variance = gain_square * scale**2 / kept * np.interp(x, LEVEL, second) - mean**2
            means[rows], gains[rows] = mean, gain
            private[rows] = variance - (gain**2 * shared_variance + relative**2 * mean**2)
        np.maximum(private, LEAST_VARIANCE * private.mean(0), out=private)
        return means, private, gains

    def gain_deviation_after(self, power: float) -> float:
        """Return the deviation of the gain raised to a power, relative to its mean."""
        return self.gain_deviation if power == 1 else float(np.sqrt((1 + self.gain_deviation**2) ** (power**2) - 1))

    def potential(
        self, mean: Float32[np.ndarray, "stimulus neuron"], shared_loadings: Float32[np.ndarray, "neuron factor"]
    ) -> Float32[np.ndarray, "stimulus neuron"]:
        """Return the mean potential under which the mean response is ``mean``; the mean grows with the potential."""
        first = _tables(self.exponent)[0]
        deviation = np.sqrt(self._noise_variance(shared_loadings))
        level = np.interp(mean / self._scale(deviation, 1.0), first, LEVEL)
        return np.asarray((level * deviation).astype(np.float32))

    def select_neurons(self, keep: Bool[np.ndarray, "neuron"]) -> Self:
        """Return the law of the marked neurons."""
        arrays = {name: getattr(self, name)[keep] for name in ("amplitude", "missed", "private_deviation")}
        return replace(self, **arrays)

    def _noise_variance(self, shared_loadings: np.ndarray) -> Float[np.ndarray, "neuron"]:
        return np.asarray(((shared_loadings**2).sum(1) + self.private_deviation**2).astype(np.float64))

    def _scale(self, deviation: np.ndarray, power: float) -> Float[np.ndarray, "neuron"]:
        return np.asarray((1 - self.missed) * self.amplitude**power * deviation ** (self.exponent * power))


LEVEL = np.linspace(LOWEST, HIGHEST, N_GRID)


def _tables(exponent: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first moment, its derivative, and the second moment of a rectified power of level + noise."""
    first = rectified_moment(LEVEL, exponent)
    # the derivative by its own formula, unless its integrand has a pole at the threshold
    slope = exponent * rectified_moment(LEVEL, exponent - 1) if exponent > 1 else np.gradient(first, LEVEL)
    return first, slope, rectified_moment(LEVEL, 2 * exponent)
