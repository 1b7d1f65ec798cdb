"""The noise that couples neurons, from repeats or as the decoder fitted it, and the same with nothing but chance in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dina.analyses.decoded import Decoded
from dina.analyses.likelihood_readout import LikelihoodReadout
from dina.analyses.pair_interactions import LARGEST_COUPLING, ScaledPrecision
from dina.models.noise import LowRankNoise, decompose_residuals, repeat_differences
from dina.randomness import generator_for
from dina.statistics.coupling import CoupledPairs, CouplingEstimate, Precision, chance_spread, find_coupled_pairs, scale_columns

COUNTS = (1, 4, 16, 64, 256)
SHRINKAGES = (0.1, 0.3, 0.6, 0.85)
N_FOLDS = 5


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

    Shared components and private noise, as in the decoder's own noise model, and the pairs whose coupling is beyond doubt.

    Parameters
    ----------
    scaled
        Differences of repeats, each neuron with unit variance, shape ``(n_rows, n_neurons)``.
    deviation
        What they were divided by, 1 for a neuron that never varies.
    n_components, shrinkage
        Of the noise model, chosen by the likelihood of differences left out.
    coupled
        The surest pairs.
    false_discovery_rate
        Up to which adjusted p-value they are put into the model.
    seed
        Of the permutations.
    """

    scaled: Float32[np.ndarray, "row neuron"]
    deviation: Float[np.ndarray, "neuron"]
    n_components: int
    shrinkage: float
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
        coupled = find_coupled_pairs(estimate, n_tested, spread)
        size = np.sqrt(np.mean(rows.astype(np.float64) ** 2, axis=0))
        scaled = scale_columns(rows)
        best = _choose_model(scaled)
        return cls(scaled, np.where(size > 0, size, 1.0), *best, coupled, false_discovery_rate, decoded.seed)

    def observed(self) -> ScaledPrecision:
        """Return the noise model with the couplings of the surest pairs."""
        sure = self.coupled.select(self.coupled.adjusted_p <= self.false_discovery_rate)
        correlation = np.clip(sure.coupling, -LARGEST_COUPLING, LARGEST_COUPLING)
        return ScaledPrecision(self._fit(self.scaled).with_pairs(sure.pairs, correlation), torch.from_numpy(self.deviation))

    def by_chance(self, n_models: int) -> Iterator[ScaledPrecision]:
        """Yield noise models of permuted differences; by chance no pair is beyond doubt."""
        for number in range(n_models):
            permuted = generator_for(self.seed, f"permuted repeats {number}").permuted(self.scaled, axis=0)
            yield ScaledPrecision(self._fit(permuted), torch.from_numpy(self.deviation))

    def _fit(self, rows: np.ndarray) -> Precision:
        noise = decompose_residuals(torch.from_numpy(rows)).noise(self.n_components, self.shrinkage)
        return Precision.of(noise.private.double().numpy(), noise.loadings.double().numpy())


def _choose_model(rows: Float32[np.ndarray, "row neuron"]) -> tuple[int, float]:
    """Return the number of components and the shrinkage under which left-out rows are likeliest.

    Shared noise must beat independence by two standard errors over rows: the best of twenty models beats it a little by chance.
    """
    n_neurons = rows.shape[1]
    tried = list(dict.fromkeys((min(count, n_neurons), shrinkage) for count in COUNTS for shrinkage in SHRINKAGES))
    gain = np.zeros((len(tried), len(rows)))
    for fold in range(N_FOLDS):
        left_out = np.arange(len(rows)) % N_FOLDS == fold
        components = decompose_residuals(torch.from_numpy(rows[~left_out]))
        held = rows[left_out].astype(np.float64)
        alone = _log_likelihood(components.noise(0, 1.0), held)
        for position, (n_components, shrinkage) in enumerate(tried):
            gain[position, left_out] = _log_likelihood(components.noise(n_components, shrinkage), held) - alone
    best = int(gain.mean(axis=1).argmax())
    error = float(gain[best].std(ddof=1)) / np.sqrt(len(rows))
    return tried[best] if gain[best].mean() > 2 * error else (0, 1.0)


def _log_likelihood(noise: LowRankNoise, rows: Float[np.ndarray, "row neuron"]) -> Float[np.ndarray, "row"]:
    """Return the Gaussian log density of each row."""
    return np.asarray(noise.double().log_density(torch.from_numpy(rows)).numpy())


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
