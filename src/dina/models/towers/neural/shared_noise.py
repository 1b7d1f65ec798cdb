"""Noise shared by many neurons plus noise of each one's own, and how to divide by it without a matrix inverse."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SharedNoise:
    r"""A covariance between neurons, :math:`\Sigma = D + L L^T`.

    Parameters
    ----------
    private
        Diagonal :math:`D`: variance that a neuron shares with nobody, positive, shape ``(n_neurons,)``.
    loadings
        :math:`L`: how much each shared component moves each neuron, shape ``(n_neurons, n_components)``.
    """

    private: Float[Tensor, "neuron"]
    loadings: Float[Tensor, "neuron component"]

    def divide(self, responses: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch neuron"]:
        r"""Return :math:`\Sigma^{-1} r` for every row, by Woodbury's identity.

        Nothing larger than (n_neurons, n_components) is ever made.

        Examples
        --------
        >>> noise = SharedNoise(torch.ones(2), torch.ones(2, 1))
        >>> noise.divide(torch.eye(2)).mul(3).round()
        tensor([[ 2., -1.],
                [-1.,  2.]])
        """
        scaled = responses / self.private
        weighted = self.loadings / self.private[:, None]
        inner = torch.eye(self.loadings.shape[1], device=scaled.device) + self.loadings.T @ weighted
        factor = torch.linalg.cholesky(inner)
        return scaled - torch.cholesky_solve((scaled @ self.loadings).T, factor).T @ weighted.T
