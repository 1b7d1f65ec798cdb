"""The noise that couples neurons, from repeats or as the decoder fitted it, and the same noise by chance alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32

from dina.analyses.closed_readouts import LikelihoodReadout
from dina.analyses.decoded import Decoded
from dina.analyses.functional_interactions.pair_interactions import LARGEST_COUPLING, ScaledPrecision
from dina.models.noise import LowRankNoise, decompose_residuals, repeat_differences
from dina.randomness import generator_for
from dina.statistics.coupling import CoupledPairs, CouplingEstimate, Precision, chance_spread, find_coupled_pairs, scale_columns

COUNTS = (1, 4, 16, 64, 256)
SHRINKAGES = (0.1, 0.3, 0.6, 0.85)
N_FOLDS = 5


@dataclass(frozen=True, eq=False)
class RepeatNoise:
    """Noise correlations from differences between repeats of training images, in which the image cancels.

    The model has shared components and private noise, as the decoder's noise model, and the pairs whose coupling is beyond doubt.

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
    def of(cls, decoded: Decoded, n_tested: int, false_discovery_rate: float) -> "RepeatNoise | None":
        """Learn from repeats of the training images; None where no image was shown twice."""
        differences = repeat_differences(decoded.train)
        if differences is None:
            return None
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
    """The noise as the decoder fitted it: all that its image model leaves unexplained, including shared errors of that model.

    Parameters
    ----------
    readout
        The decoder.
    residuals
        Averaged training responses less the responses expected for their images, shape ``(n_stimuli, n_neurons)``.
    seed
        Of the permutations.
    """

    readout: LikelihoodReadout
    residuals: Float32[np.ndarray, "stimulus neuron"]
    seed: int

    def observed(self) -> ScaledPrecision:
        """Return the decoder's own noise."""
        return _precision(self.readout.noise)

    def by_chance(self, n_models: int) -> Iterator[ScaledPrecision]:
        """Yield models of residuals permuted over images, decomposed and shrunk as the decoder's were."""
        decoder_noise = self.readout.noise
        n_components, variance = decoder_noise.loadings.shape[1], decoder_noise.variance
        shrinkage = self._shrinkage()
        for number in range(n_models):
            permuted = generator_for(self.seed, f"permuted residuals {number}").permuted(self.residuals, axis=0)
            noise = decompose_residuals(torch.from_numpy(permuted)).noise(n_components, shrinkage)
            # these residuals were fitted; the decoder's variance, of left-out images, is put in their place
            scale = (variance / noise.variance.double()).nan_to_num(1.0)
            yield _precision(LowRankNoise(noise.private * scale, noise.loadings * scale.sqrt()[:, None]))

    def _shrinkage(self) -> float:
        """Estimate by how much the decoder shrank its correlations: its shared variance over that of as many components."""
        noise, n_components = self.readout.noise, self.readout.noise.loadings.shape[1]
        if not n_components:
            return 1.0
        kept = float((noise.loadings.square().sum(1) / noise.variance).sum())
        strength = decompose_residuals(torch.from_numpy(self.residuals)).strength
        return min(max(1 - kept / float(strength[-n_components:].sum()), 0.0), 1.0)


def _precision(noise: LowRankNoise) -> ScaledPrecision:
    precision = Precision.of(noise.private.double().numpy(), noise.loadings.double().numpy())
    return ScaledPrecision(precision, torch.ones(len(noise.private), dtype=torch.float64))


def training_residuals(decoded: Decoded) -> Float32[np.ndarray, "stimulus neuron"]:
    """Return averaged training responses less the expected ones, each neuron with mean zero."""
    evoked = LikelihoodReadout.of(decoded.towers, torch.from_numpy(decoded.train.images)).evoked
    residuals = decoded.train.averaged() - evoked.float().numpy()
    return residuals - residuals.mean(0)
