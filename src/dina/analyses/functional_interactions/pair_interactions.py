"""Two neurons together beyond each alone: effects of removing both, under noise from repeats or as the decoder fitted it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from dina.analyses.closed_readouts import LikelihoodReadout, Targets, Trials, margins
from dina.analyses.decoded import Decoded
from dina.models.noise import LowRankNoise, decompose_residuals, repeat_differences
from dina.randomness import generator_for
from dina.statistics.coupling import CoupledPairs, CouplingEstimate, Precision, chance_spread, find_coupled_pairs, scale_columns

PAIRS_AT_ONCE = 4096
LARGEST_COUPLING = 0.99
COUNTS = (1, 4, 16, 64, 256)
SHRINKAGES = (0.1, 0.3, 0.6, 0.85)
N_FOLDS = 5


@dataclass(frozen=True, eq=False)
class ScaledPrecision:
    """A precision of noise in units of each neuron's own: responses are divided by ``deviation`` first."""

    precision: Precision
    deviation: Float[Tensor, "neuron"]


@dataclass(frozen=True, eq=False)
class PairForms:
    r"""The margin of each query as a form that is summed over neurons, of which any two can be taken away.

    Notes
    -----
    Removing a set S of neurons, their noise marginalised out, takes :math:`(Pv)_S^\top P_{SS}^{-1} (Pw)_S` from a form
    :math:`v^\top P w` (Schur complement). For two neurons with partial correlation :math:`\rho` and the form
    :math:`B_{ab} = (Pv)_a (Pw)_b / \sqrt{P_{aa} P_{bb}}`, each alone takes :math:`B_{aa}`, and what both take beyond the sum is
    :math:`[\rho^2 (B_{aa} + B_{bb}) + \rho (B_{ab} + B_{ba})] / (1 - \rho^2)`: zero for every pair whose noise is
    independent given all others.
    """

    response: Float[Tensor, "query neuron"]  # (Pr)ⱼ / √Pⱼⱼ with the precision P of the noise
    contrast: Float[Tensor, "query neuron"]  # (Px)ⱼ / √Pⱼⱼ of the target minus its mean over all other candidates
    half: Float[Tensor, "gallery neuron"]  # ½ (Pμᵢ)ⱼ / √Pⱼⱼ of each candidate
    scaled: Float[Tensor, "gallery neuron"]  # (Pxᵢ)ⱼ / √Pⱼⱼ of each candidate
    target: Int[Tensor, "query"]
    precision: Precision  # of the noise, in units of the noise of each neuron
    margin: Float[Tensor, "query"]  # from all neurons together

    @classmethod
    def of(cls, readout: LikelihoodReadout, noise: ScaledPrecision, responses: Trials, target: Targets) -> "PairForms":
        """Return the forms of standardised responses and the places of their images in the readout's gallery."""
        root = torch.from_numpy(1 / np.sqrt(noise.precision.diagonal()))
        evoked = readout.evoked / noise.deviation
        measured, expected = (
            torch.from_numpy(noise.precision.multiply(rows.numpy())) for rows in (responses / noise.deviation, evoked)
        )
        weight = readout.scale * torch.from_numpy(noise.precision.multiply((evoked * readout.gain).numpy()))
        margin = margins((responses / noise.deviation) @ weight.T - 0.5 * (evoked * weight).sum(1), target)
        scaled = weight * root
        contrast = scaled[target] - (scaled.sum(0) - scaled[target]) / (len(scaled) - 1)
        return cls(measured * root, contrast, 0.5 * expected * root, scaled, target, noise.precision, margin)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.response.shape[1]

    def contributions(self) -> Float[Tensor, "query neuron"]:
        """Return by how much the margin of each query falls without each neuron."""
        return self._form(slice(None), slice(None))

    def couplings(self, pairs: Int[np.ndarray, "pair 2"]) -> Float[np.ndarray, "pair"]:
        """Return the partial correlation of the noise of each pair; an unshrunk one may reach 1, where a pair would be one neuron."""
        return np.clip(self.precision.partial_correlations_of(pairs), -LARGEST_COUPLING, LARGEST_COUPLING)

    def interactions(self, pairs: Int[np.ndarray, "pair 2"]) -> Float[np.ndarray, "query pair"]:
        """Return what removing both neurons of each pair takes from each margin beyond the sum of removing each.

        Positive: one can replace the other (redundant). Negative: they need each other (synergistic).
        """
        rho = torch.from_numpy(self.couplings(pairs))
        result = torch.empty(len(self.response), len(pairs), dtype=self.response.dtype)
        alone = self.contributions()
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            part = slice(first, first + PAIRS_AT_ONCE)
            one, other = torch.from_numpy(pairs[part]).T
            both = self._form(one, other) + self._form(other, one)
            result[:, part] = rho[part] * (rho[part] * (alone[:, one] + alone[:, other]) + both) / (1 - rho[part] ** 2)
        return result.numpy()

    def _form(self, one: Tensor | slice, other: Tensor | slice) -> Tensor:
        quadratic = self.half[:, one] * self.scaled[:, other]
        right = quadratic[self.target]
        return self.response[:, one] * self.contrast[:, other] - right + (quadratic.sum(0) - right) / (len(self.half) - 1)


def sample_pairs(n_neurons: int, n_pairs: int, generator: np.random.Generator) -> Int[np.ndarray, "pair 2"]:
    """Return all pairs of neurons if they are no more than ``n_pairs``, else so many different ones at random, sorted.

    Examples
    --------
    >>> sample_pairs(3, 10, np.random.default_rng(0))
    array([[0, 1],
           [0, 2],
           [1, 2]])
    """
    n_all = n_neurons * (n_neurons - 1) // 2
    chosen = np.arange(n_all) if n_all <= n_pairs else np.sort(generator.choice(n_all, n_pairs, replace=False))
    # the pairs (i, j > i) in a row: those of the neurons before i are i (2 n - i - 1) / 2
    start = np.arange(n_neurons) * (2 * n_neurons - np.arange(n_neurons) - 1) // 2
    first = np.searchsorted(start, chosen, side="right") - 1
    return np.stack([first, chosen - start[first] + first + 1], axis=1)


@dataclass(frozen=True, eq=False)
class RepeatNoise:
    """Noise correlations from differences between repeats of training images, in which the image cancels.

    The model has shared components and private noise, as the decoder's noise model, and the pairs whose coupling is beyond doubt.
    Components and shrinkage are chosen by the likelihood of differences left out.
    """

    scaled: Float32[np.ndarray, "row neuron"]  # differences of repeats, each neuron with unit variance
    deviation: Float[np.ndarray, "neuron"]  # they were divided by it; 1 for a neuron that never varies
    n_components: int
    shrinkage: float
    coupled: CoupledPairs  # the surest pairs
    false_discovery_rate: float  # up to which adjusted p-value they are put into the model
    seed: int  # of the permutations

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
        return _precision(decompose_residuals(torch.from_numpy(rows)).noise(self.n_components, self.shrinkage))


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
        held = torch.from_numpy(rows[left_out]).double()
        alone = components.noise(0, 1.0).double().log_density(held).numpy()
        for position, model in enumerate(tried):
            gain[position, left_out] = components.noise(*model).double().log_density(held).numpy() - alone
    best = int(gain.mean(axis=1).argmax())
    error = float(gain[best].std(ddof=1)) / np.sqrt(len(rows))
    return tried[best] if gain[best].mean() > 2 * error else (0, 1.0)


@dataclass(frozen=True, eq=False)
class DecoderNoise:
    """The noise as the decoder fitted it: all that its image model leaves unexplained, including shared errors of that model."""

    readout: LikelihoodReadout
    residuals: Float32[np.ndarray, "stimulus neuron"]  # averaged training responses minus expected responses
    seed: int  # of the permutations

    @classmethod
    def of(cls, decoded: Decoded, readout: LikelihoodReadout) -> "DecoderNoise":
        """Take the residuals from averaged training responses, each neuron with mean zero."""
        evoked = LikelihoodReadout.of(decoded.towers, torch.from_numpy(decoded.train.images)).evoked
        residuals = decoded.train.averaged() - evoked.float().numpy()
        return cls(readout, residuals - residuals.mean(0), decoded.seed)

    def observed(self) -> ScaledPrecision:
        """Return the noise that the decoder fitted."""
        return self._scaled(self.readout.noise)

    def by_chance(self, n_models: int) -> Iterator[ScaledPrecision]:
        """Yield models of residuals permuted over images, decomposed and shrunk as the decoder's were."""
        decoder_noise = self.readout.noise
        n_components, variance, shrinkage = decoder_noise.loadings.shape[1], decoder_noise.variance, self._shrinkage()
        for number in range(n_models):
            permuted = generator_for(self.seed, f"permuted residuals {number}").permuted(self.residuals, axis=0)
            noise = decompose_residuals(torch.from_numpy(permuted)).noise(n_components, shrinkage)
            # these residuals were fitted; the decoder's variance, of left-out images, is put in their place
            scale = (variance / noise.variance.double()).nan_to_num(1.0)
            yield self._scaled(LowRankNoise(noise.private * scale, noise.loadings * scale.sqrt()[:, None]))

    def _scaled(self, noise: LowRankNoise) -> ScaledPrecision:
        return ScaledPrecision(_precision(noise), torch.ones(len(noise.private), dtype=torch.float64))

    def _shrinkage(self) -> float:
        """Estimate by how much the decoder shrank its correlations: its shared variance over that of as many components."""
        noise, n_components = self.readout.noise, self.readout.noise.loadings.shape[1]
        if not n_components:
            return 1.0
        kept = float((noise.loadings.square().sum(1) / noise.variance).sum())
        strength = decompose_residuals(torch.from_numpy(self.residuals)).strength
        return min(max(1 - kept / float(strength[-n_components:].sum()), 0.0), 1.0)


def _precision(noise: LowRankNoise) -> Precision:
    return Precision.of(noise.private.double().numpy(), noise.loadings.double().numpy())
