"""Noise shared by many neurons plus noise of each one's own: how to estimate it, and how to divide by it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dina.data.pairs import Pairs
from dina.large_arrays import blocks_of
from dina.models.global_ridge import eigenvectors_of
from dina.neuron_blocks import divide_neurons, on_workers

NEURONS_AT_ONCE = 4096  # whose whitened responses are held


@dataclass(frozen=True, eq=False)
class LowRankNoise:
    r"""A covariance between neurons, :math:`\Sigma = D + L L^T`; nothing larger than (n_neurons, n_components) is ever made.

    ``private`` is the diagonal :math:`D`, variance that a neuron shares with no other, positive. ``loadings`` is :math:`L`: how
    much each shared component moves each neuron.
    """

    private: Float[Tensor, "neuron"]
    loadings: Float[Tensor, "neuron component"]

    @cached_property
    def _woodbury(self) -> tuple[Tensor, Tensor]:
        """Return :math:`D^{-1} L` and the Cholesky factor of :math:`I + L^T D^{-1} L`."""
        weighted = self.loadings / self.private[:, None]
        inner = torch.eye(self.loadings.shape[1], device=weighted.device) + self.loadings.T @ weighted
        return weighted, torch.linalg.cholesky(inner)

    @property
    def variance(self) -> Float[Tensor, "neuron"]:
        """Variance of each neuron, shared and private together."""
        return self.private + self.loadings.square().sum(1)

    def double(self) -> "LowRankNoise":
        """Return the same in double precision."""
        return LowRankNoise(self.private.double(), self.loadings.double())

    def divide(self, rows: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch neuron"]:
        r"""Return :math:`\Sigma^{-1} r` for every row, by Woodbury's identity.

        Examples
        --------
        >>> noise = LowRankNoise(torch.ones(2), torch.ones(2, 1))
        >>> noise.divide(torch.eye(2)).mul(3).round()
        tensor([[ 2., -1.],
                [-1.,  2.]])
        """
        weighted, factor = self._woodbury
        scaled = rows / self.private
        return scaled - torch.cholesky_solve((scaled @ self.loadings).T, factor).T @ weighted.T

    def precision(self) -> Float[Tensor, "neuron"]:
        r"""Return the diagonal of :math:`\Sigma^{-1}`: one over each neuron's variance given all other neurons.

        To remove neuron j from :math:`r^T \Sigma^{-1} x` subtract :math:`(\Sigma^{-1} r)_j (\Sigma^{-1} x)_j / \Sigma^{-1}_{jj}`.

        Examples
        --------
        >>> LowRankNoise(torch.ones(2), torch.ones(2, 1)).precision().mul(3).round()
        tensor([2., 2.])
        """
        weighted, factor = self._woodbury
        return 1 / self.private - torch.linalg.solve_triangular(factor, weighted.T, upper=False).square().sum(0)

    def total_product(
        self, first: Float[Tensor, "batch reached"], second: Float[Tensor, "batch reached"], neurons: Int[Tensor, "reached"]
    ) -> Float[Tensor, ""]:
        r"""Return the sum of :math:`a^T \Sigma^{-1} b` over pairs of rows that are 0 except at the neurons with these indices."""
        weighted, factor = self._woodbury
        shared = [part @ weighted[neurons] for part in (first, second)]
        alone = (first * second / self.private[neurons]).sum()
        return alone - (shared[0].T * torch.cholesky_solve(shared[1].T, factor)).sum()

    def log_density(self, rows: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch"]:
        """Return the Gaussian log density of every row about zero, in nats."""
        _, factor = self._woodbury
        # torch.distributions.LowRankMultivariateNormal says the same, but needs at least one shared component
        log_determinant = self.private.log().sum() + 2 * factor.diagonal().log().sum()
        return -0.5 * ((self.divide(rows) * rows).sum(1) + log_determinant + rows.shape[1] * math.log(2 * math.pi))

    def log_likelihood(
        self, responses: Float[Tensor, "query neuron"], expected: Float[Tensor, "image neuron"]
    ) -> Float[Tensor, "query image"]:
        r"""Return the Gaussian log likelihood of every response given every image, up to a term of the response alone.

        Notes
        -----
        :math:`r^T \Sigma^{-1} \mu - \tfrac12 \mu^T \Sigma^{-1} \mu`.
        """
        n_neurons = len(self.private)
        if n_neurons <= NEURONS_AT_ONCE:
            whitened = self.divide(expected)
            return responses @ whitened.T - 0.5 * (whitened * expected).sum(1)
        weighted, factor = self._woodbury
        blocks = [slice(first, first + NEURONS_AT_ONCE) for first in range(0, n_neurons, NEURONS_AT_ONCE)]
        shared = torch.stack([expected[:, some] @ weighted[some] for some in blocks]).sum(0)
        shared = torch.cholesky_solve(shared.T, factor).T
        total = responses.new_zeros(len(responses), len(expected))
        for some in blocks:
            whitened = expected[:, some] / self.private[some] - shared @ weighted[some].T
            total += responses[:, some] @ whitened.T - 0.5 * (whitened * expected[:, some]).sum(1)
        return total


@dataclass(frozen=True, eq=False)
class Residuals:
    """Responses minus what is expected, which are computed for some neurons at a time and never held for all.

    ``factor`` multiplies what is expected of each image; ``kept`` marks the images that count. None for 1, and for all images.
    """

    responses: Float[Tensor, "stimulus neuron"]
    expected: Float[Tensor, "stimulus neuron"]
    factor: Float[Tensor, "stimulus"] | None = None
    kept: Bool[Tensor, "stimulus"] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of images that count, and of neurons."""
        return len(self.responses) if self.kept is None else int(self.kept.sum()), self.responses.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the responses are."""
        return self.responses.device

    def __getitem__(self, place: tuple[slice, Any]) -> Float[Tensor, "kept some"]:
        """Return those of some neurons, ``residuals[:, neurons]``, like those of a tensor."""
        expected = self.expected[place]
        residuals = self.responses[place] - (expected if self.factor is None else self.factor[:, None] * expected)
        return residuals if self.kept is None else residuals[self.kept]


@dataclass(frozen=True, eq=False)
class ResidualComponents:
    """The largest correlated components of some residuals, from which noise models of any size can be made.

    ``variance`` is 1 for a neuron that never varies, so that it can be divided by. ``directions`` are orthonormal components of
    the correlation matrix, the largest last; ``strength`` holds their eigenvalues.
    """

    variance: Float[Tensor, "neuron"]
    directions: Float[Tensor, "neuron component"]
    strength: Float[Tensor, "component"]

    @classmethod
    def none(cls, residuals: Float[Tensor, "row neuron"] | Residuals) -> "ResidualComponents":
        """Return the variances alone, for noise that neurons do not share."""
        blocks = blocks_of(residuals.shape[1], NEURONS_AT_ONCE)
        variance = torch.cat([_positive_variance(residuals[:, some]) for some in blocks])
        return cls(variance, variance.new_zeros(len(variance), 0), variance.new_zeros(0))

    def noise(self, n_components: int, shrinkage: float) -> LowRankNoise:
        """Return the largest components as shared noise, and the rest of each neuron's variance, which is kept, as private.

        Components beyond those that the residuals hold are 0, and left out for more than 4,096 neurons. ``shrinkage`` of the
        correlations is 0 for none, 1 for no correlation left.

        References
        ----------
        Ledoit & Wolf (2004), J. Multivar. Anal. 88:365. https://doi.org/10.1016/S0047-259X(03)00096-4
        """
        kept = min(n_components, len(self.strength))
        n_columns = n_components if len(self.variance) <= NEURONS_AT_ONCE else kept  # zeros of many neurons take much memory
        loadings = self.directions.new_zeros(len(self.variance), n_columns)
        if kept:
            scale = (self.strength[-kept:] * (1 - shrinkage)).sqrt()
            loadings[:, :kept] = self.directions[:, -kept:]
            loadings[:, :kept].mul_(scale).mul_(self.variance.sqrt()[:, None])  # in place: of many neurons hundreds of megabytes
        shared = torch.cat([part.square().sum(1) for part in torch.split(loadings, NEURONS_AT_ONCE)])
        private = self.variance - shared
        return LowRankNoise(torch.maximum(private, 0.02 * self.variance), loadings)

    def noises(
        self, counts: tuple[int, ...], shrinkages: tuple[float, ...], most: int | None = None
    ) -> Iterator[tuple[LowRankNoise, dict[str, str | float]]]:
        """Yield the noise of every number of components (at most ``most``) with every shrinkage, and both by name."""
        for n_components in counts:
            for shrinkage in shrinkages:
                kept = n_components if most is None else min(n_components, most)
                # under no name here: whoever forgets it before asking for the next holds one alone
                found: dict[str, str | float] = {"noise_components": min(kept, len(self.strength)), "noise_shrinkage": shrinkage}
                yield self.noise(kept, shrinkage), found


def decompose_residuals(residuals: Float[Tensor, "row neuron"] | Residuals, most: int | None = None) -> ResidualComponents:
    """Find all components of the correlation matrix of standardised residuals, by the smaller of its two Gram matrices.

    Of more than 4,096 neurons only the largest ``most`` components are kept; None for all.
    """
    n_rows, n_neurons = residuals.shape
    if n_rows > n_neurons:
        scaled, variance = _scale(residuals[:, :])
        values, vectors = eigenvectors_of(scaled.T @ scaled)
        return ResidualComponents(variance, vectors, values.clamp_min(0))
    # the one thing in which all neurons meet is a sum over them
    neurons = divide_neurons(torch.arange(n_neurons, device=residuals.device)[:, None])
    if len(neurons) == 1:
        neurons = list(blocks_of(n_neurons, NEURONS_AT_ONCE))
        grams: Iterator[Tensor] = (_gram_of_rows(_scale(residuals[:, some])[0]) for some in neurons)
    else:
        grams = iter(on_workers(_gram_of_rows, (), [(_scale(residuals[:, some])[0],) for some in neurons]))
    total = next(grams)
    for gram in grams:
        total += gram
    values, rows = eigenvectors_of(total)
    if most is not None and n_neurons > NEURONS_AT_ONCE:
        values, rows = values[-most:], rows[:, -most:]
    values = values.clamp_min(1e-12)
    variance, directions = values.new_empty(n_neurons), values.new_empty(n_neurons, len(values))
    for some in neurons:
        scaled, variance[some] = _scale(residuals[:, some])
        directions[some] = (scaled.T @ rows).div_(values.sqrt())
    return ResidualComponents(variance, directions, values)


def _scale(residuals: Tensor) -> tuple[Tensor, Tensor]:
    """Return residuals in units of their deviation, divided by the root of their number, and their variance."""
    variance = _positive_variance(residuals)
    return (residuals / variance.sqrt()).div_(len(residuals) ** 0.5), variance


def _gram_of_rows(scaled: Tensor) -> Tensor:
    return scaled @ scaled.T


def _positive_variance(residuals: Tensor) -> Tensor:
    variance = residuals.square().mean(0)
    return torch.where(variance > 0, variance, torch.ones_like(variance))


def repeat_differences(pairs: Pairs) -> Float[Tensor, "row neuron"] | None:
    r"""Return differences between trials of the same image, scaled to the variance of a single presentation.

    The signal cancels, so no image model is needed. The j-th trial is compared with the mean of those before it and
    multiplied by :math:`\sqrt{j / (j + 1)}` (Helmert contrasts), so that rows are independent. None if no image has two trials.
    """
    number = pairs.repeat_number()
    if number.max() < 1:
        return None
    weight = np.sqrt(pairs.n_presentations).astype(np.float32)[:, None]
    total = np.zeros((pairs.n_stimuli, pairs.n_neurons), dtype=np.float32)
    rows = []
    for repeat in range(int(number.max()) + 1):
        trials = np.flatnonzero(number == repeat)
        images = pairs.stimulus_index[trials]
        if repeat:
            difference = pairs.responses[trials] - total[images] / repeat
            rows.append(difference * np.float32(np.sqrt(repeat / (repeat + 1))) * weight[trials])
        total[images] += pairs.responses[trials]
    return torch.from_numpy(np.concatenate(rows))
