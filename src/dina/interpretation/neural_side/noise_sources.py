"""The noise that couples neurons, from repeats or as the decoder fitted it, and the same with nothing but chance in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from dina.encoding.noise_covariance import decompose_residuals, repeat_differences
from dina.interpretation.decoded import Decoded
from dina.interpretation.neural_side.likelihood_readout import LikelihoodReadout
from dina.interpretation.neural_side.pair_interactions import ScaledPrecision
from dina.measures.coupling import CoupledPairs, CouplingEstimate, chance_spread, find_coupled_pairs
from dina.measures.partial_correlation import Precision, shrunk_precision
from dina.randomness import generator_for


@runtime_checkable
class NoiseSource(Protocol):
    """A noise model for the likelihood decoder, the pairs that it couples, and what it would be by chance."""

    def observed(self) -> ScaledPrecision:
        """Return the noise."""
        ...

    def by_chance(self, n_models: int) -> Iterator[ScaledPrecision]:
        """Yield models of the same noise after it was permuted, each neuron by itself."""
        ...


@dataclass(frozen=True, eq=False)
class RepeatNoise:
    """Noise correlations proper: differences between repeats of training images, in which the image cancels.

    The covariance is shrunk by the rule of Ledoit and Wolf, but for the pairs whose coupling is beyond doubt.

    Parameters
    ----------
    differences
        Of repeats, shape ``(n_rows, n_neurons)``.
    estimate
        Of the couplings of all pairs.
    coupled
        The surest pairs.
    false_discovery_rate
        Up to which adjusted p-value they are taken as they are.
    seed
        Of the permutations.
    """

    differences: Float32[np.ndarray, "row neuron"]
    estimate: CouplingEstimate
    coupled: CoupledPairs
    false_discovery_rate: float
    seed: int

    @classmethod
    def of(cls, decoded: Decoded, n_tested: int, false_discovery_rate: float) -> "RepeatNoise":
        """Learn from repeats of the training images; `has_repeats` says whether there are any."""
        differences = repeat_differences(decoded.train)
        assert differences is not None  # the caller has asked has_repeats; tells the type checker
        rows = differences.numpy()
        estimate = CouplingEstimate.of(rows)
        spread = chance_spread(rows, estimate.shrinkage, generator_for(decoded.seed, "couplings by chance"))
        return cls(rows, estimate, find_coupled_pairs(estimate, n_tested, spread), false_discovery_rate, decoded.seed)

    def observed(self) -> ScaledPrecision:
        """Return the shrunk precision with the unshrunk couplings of the surest pairs."""
        sure = self.coupled.select(self.coupled.adjusted_p <= self.false_discovery_rate)
        return self._scaled(self.estimate.with_couplings(sure))

    def by_chance(self, n_models: int) -> Iterator[ScaledPrecision]:
        """Yield shrunk precisions of permuted differences; by chance no pair is beyond doubt."""
        for number in range(n_models):
            permuted = generator_for(self.seed, f"permuted repeats {number}").permuted(self.differences, axis=0)
            yield self._scaled(shrunk_precision(permuted, self.estimate.shrinkage))

    def _scaled(self, precision: Precision) -> ScaledPrecision:
        size = np.sqrt(np.mean(self.differences.astype(np.float64) ** 2, axis=0))
        # a neuron that never varies carries nothing, whatever it is divided by
        deviation = torch.from_numpy(np.where(size > 0, size, 1.0))
        doubled = Precision(precision.inverse_private.astype(np.float64), precision.shared.astype(np.float64), precision.added)
        return ScaledPrecision(doubled, deviation)


@dataclass(frozen=True, eq=False)
class DecoderNoise:
    """The noise as the decoder fitted it: all that its image model leaves unexplained, shared model error included.

    Parameters
    ----------
    readout
        The decoder.
    residuals
        Averaged training responses less what their images are expected to evoke, shape ``(n_stimuli, n_neurons)``.
    seed
        Of the permutations.
    """

    readout: LikelihoodReadout
    residuals: Float32[np.ndarray, "stimulus neuron"]
    seed: int

    def observed(self) -> ScaledPrecision:
        """Return the decoder's own noise."""
        return self._scaled(self.readout.private, self.readout.loadings)

    def by_chance(self, n_models: int) -> Iterator[ScaledPrecision]:
        """Yield models of residuals permuted over images, decomposed and shrunk as the decoder's were."""
        readout, n_components = self.readout, self.readout.loadings.shape[1]
        variance = readout.private + readout.loadings.square().sum(1)
        shrinkage = self._shrinkage()
        for number in range(n_models):
            permuted = generator_for(self.seed, f"permuted residuals {number}").permuted(self.residuals, axis=0)
            noise = decompose_residuals(torch.from_numpy(permuted)).noise(n_components, shrinkage)
            # these residuals were fitted; the decoder's variance, of left-out images, is put in their place
            scale = (variance / (noise.private + noise.loadings.square().sum(1)).double()).nan_to_num(1.0)
            yield self._scaled(noise.private * scale, noise.loadings * scale.sqrt()[:, None])

    def _scaled(self, private: Tensor, loadings: Tensor) -> ScaledPrecision:
        precision = Precision.of(private.double().numpy(), loadings.double().numpy())
        return ScaledPrecision(precision, torch.ones(len(private), dtype=torch.float64))

    def _shrinkage(self) -> float:
        """Find out by how much the decoder shrank its correlations: its shared variance over that of as many components."""
        n_components = self.readout.loadings.shape[1]
        if not n_components:
            return 1.0
        shared = self.readout.loadings.square().sum(1)
        kept = float((shared / (self.readout.private + shared)).sum())
        strength = decompose_residuals(torch.from_numpy(self.residuals)).strength
        return min(max(1 - kept / float(strength[-n_components:].sum()), 0.0), 1.0)


def training_residuals(decoded: Decoded) -> Float32[np.ndarray, "stimulus neuron"]:
    """Return averaged training responses less what the towers expect, each neuron with mean zero."""
    evoked = LikelihoodReadout.of(decoded.towers, torch.from_numpy(decoded.train.images)).evoked
    residuals = decoded.train.averaged() - evoked.float().numpy()
    return residuals - residuals.mean(0)


def has_repeats(decoded: Decoded) -> bool:
    """Whether some training image was shown twice."""
    return bool(decoded.train.repeat_number().max() >= 1)
