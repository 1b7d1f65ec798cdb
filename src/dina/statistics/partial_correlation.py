"""How two neurons vary together once all the others are known: precision matrices of many neurons from few trials."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csr_array

from dina.checks import DataError

LEAST_SHRINKAGE = 1e-3


@dataclass(frozen=True, eq=False)
class Precision:
    r"""The inverse of a covariance :math:`D + LL^T`, kept as :math:`D^{-1} - RR^T`; no dense matrix of neurons by neurons.

    Parameters
    ----------
    inverse_private
        :math:`D^{-1}`, shape ``(n_neurons,)``.
    shared
        :math:`R`, shape ``(n_neurons, n_components)``.
    added
        A symmetric sparse matrix that is added, shape ``(n_neurons, n_neurons)``: couplings of single pairs; or None.
    """

    inverse_private: Float[np.ndarray, "neuron"]
    shared: Float[np.ndarray, "neuron component"]
    added: csr_array | None = None

    @classmethod
    def of(cls, private: Float[np.ndarray, "neuron"], loadings: Float[np.ndarray, "neuron component"]) -> Self:
        """Invert a covariance by Woodbury's identity: private variances, positive, and loadings of what is shared."""
        weighted = loadings / private[:, None]
        inner = np.eye(loadings.shape[1], dtype=loadings.dtype) + loadings.T @ weighted
        shared = solve_triangular(cholesky(inner, lower=True), weighted.T, lower=True).T
        return cls(1 / private, np.ascontiguousarray(shared))

    def diagonal(self) -> Float[np.ndarray, "neuron"]:
        """Return its diagonal: one over each neuron's variance given all the others."""
        diagonal = self.inverse_private - np.einsum("nk,nk->n", self.shared, self.shared)
        return diagonal if self.added is None else diagonal + self.added.diagonal()

    def multiply(self, rows: Float[np.ndarray, "row neuron"]) -> Float[np.ndarray, "row neuron"]:
        """Return the product of every row with the matrix."""
        product = rows * self.inverse_private - (rows @ self.shared) @ self.shared.T
        return product if self.added is None else product + rows @ self.added

    def partial_correlations_of(self, pairs: Int[np.ndarray, "pair 2"]) -> Float[np.ndarray, "pair"]:
        """Return `partial_correlations` of single pairs of different neurons."""
        scaled = self.shared / np.sqrt(self.diagonal())[:, None]
        chunks = (pairs[first : first + 4096] for first in range(0, len(pairs), 4096))
        found = [np.einsum("pk,pk->p", scaled[chunk[:, 0]], scaled[chunk[:, 1]]) for chunk in chunks]
        correlation: np.ndarray = np.concatenate(found) if found else np.empty(0)
        if self.added is not None:
            root = np.sqrt(self.diagonal())
            correlation = correlation - self.added[pairs[:, 0], pairs[:, 1]] / (root[pairs[:, 0]] * root[pairs[:, 1]])
        return correlation

    def with_pairs(self, pairs: Int[np.ndarray, "pair 2"], correlation: Float[np.ndarray, "pair"]) -> "Precision":
        r"""Return the precision in which some pairs have given partial correlations.

        Each pair's block becomes what it would be if the two shared noise of their own: off the diagonal
        :math:`-\rho \sqrt{P_{ii} P_{jj}} / (1 - \rho^2)`, and the diagonal grows as :math:`1 / (1 - \rho^2)`; both relative to
        the partial correlation that they had. Neurons in several pairs grow by each, so that their partial correlations
        fall short of those given.

        Parameters
        ----------
        pairs
            Different pairs of different neurons.
        correlation
            Their partial correlations, in (-1, 1).

        Examples
        --------
        >>> alone = Precision(np.ones(2), np.zeros((2, 0)))
        >>> joined = alone.with_pairs(np.array([[0, 1]]), np.array([0.6]))
        >>> (np.linalg.inv(np.diag(joined.inverse_private) + joined.added.toarray())).round(3)
        array([[1. , 0.6],
               [0.6, 1. ]])
        """
        n_neurons, (one, other) = len(self.inverse_private), pairs.T
        had = self.partial_correlations_of(pairs)
        diagonal = self.diagonal()
        # the diagonal without what the pair itself adds to it
        growth = (1 - had**2) / (1 - correlation**2) - 1
        size = np.sqrt(diagonal[one] * diagonal[other])
        change = had * size - correlation * size * (1 - had**2) / (1 - correlation**2)
        values = np.concatenate([change, change, growth * diagonal[one], growth * diagonal[other]])
        row, column = np.concatenate([one, other, one, other]), np.concatenate([other, one, one, other])
        added = csr_array((values, (row, column)), shape=(n_neurons, n_neurons))
        return Precision(self.inverse_private, self.shared, added if self.added is None else self.added + added)

    def partial_correlations(self, chosen: Int[np.ndarray, "chosen"] | None = None) -> Float[np.ndarray, "row neuron"]:
        r"""Return the correlation of each pair given all other neurons, :math:`-P_{ij} / \sqrt{P_{ii} P_{jj}}`.

        Parameters
        ----------
        chosen
            Neurons that make up the rows of the result; None for all.

        Returns
        -------
        correlation
            In [-1, 1], shape ``(n_chosen, n_neurons)``; 1 for a neuron with itself.

        Examples
        --------
        Two neurons that hear one third neuron correlate, but not once it is known:

        >>> heard = np.array([[1.0], [1.0], [1.0]])
        >>> precision = Precision.of(np.array([1.0, 1.0, 1e-9]), heard)
        >>> precision.partial_correlations().round(3)[0]
        array([1.   , 0.   , 0.577])
        """
        scaled = self.shared / np.sqrt(self.diagonal())[:, None]
        rows = np.arange(len(scaled)) if chosen is None else chosen
        correlation: np.ndarray = scaled[rows] @ scaled.T
        if self.added is not None:
            root = np.sqrt(self.diagonal())
            correlation -= self.added[rows].toarray() / (root[rows][:, None] * root)
        correlation[np.arange(len(rows)), rows] = 1
        return correlation


def ledoit_wolf_shrinkage(residuals: Float[np.ndarray, "row neuron"]) -> float:
    r"""Return how far a sample covariance should be shrunk towards equal, independent variances.

    Parameters
    ----------
    residuals
        Independent rows of zero mean, shape ``(n_rows, n_neurons)``.

    Returns
    -------
    shrinkage
        In [0, 1]: 0 trusts the sample, 1 ignores its correlations.

    Raises
    ------
    DataError
        If there are fewer than two rows or nothing varies.

    Notes
    -----
    With :math:`S = X^TX/n` and :math:`\mu` its mean diagonal it is
    :math:`\sum_k \lVert x_k x_k^T - S \rVert_F^2 / n^2` over :math:`\lVert S - \mu I \rVert_F^2`, at most 1. All norms
    follow from the products between rows, or between neurons, whichever are fewer.

    References
    ----------
    Ledoit & Wolf (2004), J. Multivar. Anal. 88:365. https://doi.org/10.1016/S0047-259X(03)00096-4

    Examples
    --------
    >>> ledoit_wolf_shrinkage(np.array([[1.0, 1.0], [-1.0, -1.0]]))
    0.0
    """
    n_rows, n_neurons = residuals.shape
    if n_rows < 2 or not np.any(residuals):
        raise DataError(f"A covariance needs at least two rows that vary; got {n_rows} rows. Give more trials.")
    gram = residuals @ residuals.T if n_rows < n_neurons else residuals.T @ residuals
    size = float(np.einsum("ab,ab->", gram, gram, dtype=np.float64)) / n_rows**2
    length = np.einsum("rn,rn->r", residuals, residuals, dtype=np.float64)
    mean = float(length.sum()) / n_rows / n_neurons
    away = size - n_neurons * mean**2
    spread = (float((length**2).sum()) / n_rows - size) / n_rows
    return min(spread, away) / away if away > 0 else 1.0


def shrunk_precision(residuals: Float[np.ndarray, "row neuron"], shrinkage: float | None = None) -> Precision:
    """Estimate the precision of neurons' noise from fewer trials than neurons, if need be, by Ledoit-Wolf shrinkage.

    Parameters
    ----------
    residuals
        Independent rows of zero mean, any unit, shape ``(n_rows, n_neurons)``. Each neuron is brought to unit variance first,
        so that shrinkage treats all alike; a neuron that never varies is independent of all others.
    shrinkage
        In (0, 1]; None for what `ledoit_wolf_shrinkage` says.

    Raises
    ------
    DataError
        As `ledoit_wolf_shrinkage`.
    """
    scaled = scale_columns(residuals)
    shrinkage = ledoit_wolf_shrinkage(scaled) if shrinkage is None else shrinkage
    # a sample of full rank times almost nothing still has an inverse: the shrinkage is kept off 0
    shrinkage = min(max(shrinkage, LEAST_SHRINKAGE), 1.0)
    if len(scaled) > scaled.shape[1]:  # as many components as neurons hold the same covariance
        value, vector = np.linalg.eigh((scaled.T @ scaled / len(scaled)).astype(np.float64))
        square_root = (vector * np.sqrt(np.maximum(value, 0))).astype(scaled.dtype)
    else:
        square_root = np.ascontiguousarray(scaled.T) / scaled.dtype.type(np.sqrt(len(scaled)))
    loadings = square_root * scaled.dtype.type(np.sqrt(1 - shrinkage))
    return Precision.of(np.full(scaled.shape[1], shrinkage, dtype=scaled.dtype), loadings)


def scale_columns(residuals: Float[np.ndarray, "row neuron"]) -> Float[np.ndarray, "row neuron"]:
    """Divide each column by its root mean square; a column of zeros stays."""
    size = np.sqrt(np.mean(residuals.astype(np.float64) ** 2, axis=0))
    return residuals * np.divide(1, size, out=np.zeros_like(size), where=size > 0).astype(residuals.dtype)
