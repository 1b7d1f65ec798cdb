"""Noise shared between neurons, estimated from what an encoding model leaves over or from differences of repeats."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.data.pairs import Pairs
from dina.models.eigenvectors import eigenvectors_of
from dina.models.towers.neural.shared_noise import SharedNoise


@dataclass(frozen=True, eq=False)
class ResidualComponents:
    """The largest correlated components of some residuals, from which noise models of any size can be made.

    Parameters
    ----------
    variance
        Of each neuron, shape ``(n_neurons,)``; 1 for a neuron that never varies, so that it can be divided by.
    directions
        Orthonormal components of the correlation matrix, the largest last, shape ``(n_neurons, n_components)``.
    strength
        Their eigenvalues, shape ``(n_components,)``.
    """

    variance: Float[Tensor, "neuron"]
    directions: Float[Tensor, "neuron component"]
    strength: Float[Tensor, "component"]

    def noise(self, n_components: int, shrinkage: float) -> SharedNoise:
        """Return the largest components as shared noise, and what they leave of each neuron's variance as private.

        The variance of every neuron is kept.

        Parameters
        ----------
        n_components
            Number of shared components, columns of the loadings; those beyond what the residuals hold are 0.
        shrinkage
            Of the correlations towards none, in [0, 1]: 0 trusts them as they are, 1 ignores them.

        References
        ----------
        Ledoit & Wolf (2004), J. Multivar. Anal. 88:365. https://doi.org/10.1016/S0047-259X(03)00096-4
        """
        kept = min(n_components, len(self.strength))
        loadings = self.directions.new_zeros(len(self.variance), n_components)
        if kept:
            scale = (self.strength[-kept:] * (1 - shrinkage)).sqrt()
            loadings[:, :kept] = self.directions[:, -kept:] * scale * self.variance.sqrt()[:, None]
        private = self.variance - loadings.square().sum(1)
        return SharedNoise(torch.maximum(private, 0.02 * self.variance), loadings)


def decompose_residuals(residuals: Float[Tensor, "row neuron"]) -> ResidualComponents:
    """Find all components of the residuals' correlation matrix, by the smaller of its two Gram matrices.

    Parameters
    ----------
    residuals
        Rows with zero mean (dimensionless standardised responses) of training trials, shape ``(n_rows, n_neurons)``.
    """
    n_rows, n_neurons = residuals.shape
    variance = residuals.square().mean(0)
    variance = torch.where(variance > 0, variance, torch.ones_like(variance))
    scaled = residuals / variance.sqrt() / n_rows**0.5
    if n_rows > n_neurons:
        values, vectors = eigenvectors_of(scaled.T @ scaled)
        return ResidualComponents(variance, vectors, values.clamp_min(0))
    values, rows = eigenvectors_of(scaled @ scaled.T)
    values = values.clamp_min(1e-12)
    return ResidualComponents(variance, scaled.T @ rows / values.sqrt(), values)


def repeat_differences(pairs: Pairs) -> Float[Tensor, "row neuron"] | None:
    r"""Return differences between trials of the same image, scaled to the variance of a single presentation.

    No image model is needed: the signal cancels. The j-th trial is compared with the mean of those before it and
    multiplied by :math:`\sqrt{j / (j + 1)}` (Helmert contrasts), so that rows are independent.

    Returns
    -------
    differences
        One row for every trial but the first of its image, shape ``(n_rows, n_neurons)``; None if no image has two.
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
