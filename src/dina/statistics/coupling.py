"""Pairs of neurons whose noise is coupled, given all other neurons: their precision matrix, the surest pairs, rewired networks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import csr_array
from scipy.stats import norm

from dina.checks import DataError
from dina.statistics.p_values import adjust_for_discoveries

LEAST_SHRINKAGE = 1e-3
ROWS_AT_ONCE = 256
ROUNDS_BEFORE_FIRST, ROUNDS_BETWEEN = 100, 20  # of exchanges of partners, before the first rewired network and between two


@dataclass(frozen=True, eq=False)
class Precision:
    r"""The inverse of a covariance :math:`D + LL^T`, kept as :math:`D^{-1} - RR^T`; no dense matrix of neurons by neurons.

    Parameters
    ----------
    inverse_private
        :math:`D^{-1}`.
    shared
        :math:`R`.
    added
        A symmetric sparse matrix of neurons by neurons that is added: couplings of single pairs; or None.
    """

    inverse_private: Float[np.ndarray, "neuron"]
    shared: Float[np.ndarray, "neuron component"]
    added: csr_array | None = None

    @classmethod
    def of(cls, private: Float[np.ndarray, "neuron"], loadings: Float[np.ndarray, "neuron component"]) -> Self:
        """Invert a covariance by Woodbury's identity, from positive private variances and loadings of shared noise."""
        weighted = loadings / private[:, None]
        inner = np.eye(loadings.shape[1], dtype=loadings.dtype) + loadings.T @ weighted
        shared = solve_triangular(cholesky(inner, lower=True), weighted.T, lower=True).T
        return cls(1 / private, np.ascontiguousarray(shared))

    def diagonal(self) -> Float[np.ndarray, "neuron"]:
        """Return the diagonal: one over each neuron's variance given all the others."""
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
        r"""Return the precision in which some different pairs of different neurons have given partial correlations in (-1, 1).

        Each pair's block becomes that of two neurons that share noise with no other neuron: off the diagonal
        :math:`-\rho \sqrt{P_{ii} P_{jj}} / (1 - \rho^2)`, and the diagonal grows as :math:`1 / (1 - \rho^2)`; both relative to
        their partial correlation before. The diagonal of a neuron in several pairs grows with each pair, so that its partial
        correlations fall short of those given.

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

        ``chosen`` neurons make up the rows; None for all. A neuron has a correlation of 1 with itself.

        Examples
        --------
        Two neurons driven by a third one correlate, but not once its response is known:

        >>> precision = Precision.of(np.array([1.0, 1.0, 1e-9]), np.ones((3, 1)))
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


def scale_columns(residuals: Float[np.ndarray, "row neuron"]) -> Float[np.ndarray, "row neuron"]:
    """Divide each column by its root mean square; a column of zeros stays."""
    size = np.sqrt(np.mean(residuals.astype(np.float64) ** 2, axis=0))
    return residuals * np.divide(1, size, out=np.zeros_like(size), where=size > 0).astype(residuals.dtype)


@dataclass(frozen=True, eq=False)
class CouplingEstimate:
    r"""Partial correlations of noise, corrected for the bias of shrinkage.

    Shrinkage makes the covariance invertible, but it hides the few coupled pairs among millions of others. The estimate takes
    one step from the shrunk precision :math:`P` towards the data,

    .. math:: T = 2P - P S P,

    which cancels the bias of P to first order. With :math:`w = Px` for every row x of residuals its entries are
    :math:`2P_{ij} - \langle w_i w_j \rangle`, and their standard error is that of the mean of :math:`w_i w_j`, whatever the
    distribution of responses.

    Parameters
    ----------
    precision
        Shrunk, of residuals with unit variance.
    shrinkage
        In (0, 1].
    innovations
        :math:`w`.

    References
    ----------
    Jankova & van de Geer (2015), Electron. J. Stat. 9:1205. https://doi.org/10.1214/15-EJS1031
    They start from the graphical lasso; we start from Ledoit-Wolf, and take the error from the data.
    """

    precision: Precision
    shrinkage: float
    innovations: Float32[np.ndarray, "row neuron"]

    @classmethod
    def of(cls, residuals: Float[np.ndarray, "row neuron"], shrinkage: float | None = None) -> "CouplingEstimate":
        """Estimate from independent rows of noise with mean zero, in any unit; there may be fewer rows than neurons.

        Each neuron is scaled to unit variance first, so that shrinkage treats all alike. A neuron that never varies counts as
        independent of all others. Without ``shrinkage`` in (0, 1] that of Ledoit and Wolf is used.

        Raises
        ------
        DataError
            If there are fewer than two rows or nothing varies.

        References
        ----------
        Ledoit & Wolf (2004), J. Multivar. Anal. 88:365. https://doi.org/10.1016/S0047-259X(03)00096-4
        """
        scaled = scale_columns(residuals)
        # a sample of full rank times almost nothing still has an inverse: the shrinkage is kept off 0
        used = min(max(_ledoit_wolf_shrinkage(scaled) if shrinkage is None else shrinkage, LEAST_SHRINKAGE), 1.0)
        precision = _shrunk_precision(scaled, used)
        return cls(precision, used, precision.multiply(scaled).astype(np.float32))

    def diagonal(self) -> Float[np.ndarray, "neuron"]:
        """Return the diagonal of the estimate, at least a thousandth of the shrunk one."""
        shrunk = self.precision.diagonal()
        return np.maximum(2 * shrunk - np.mean(self.innovations**2, axis=0, dtype=np.float64), 1e-3 * shrunk)

    def rows(
        self, chosen: Int[np.ndarray, "chosen"]
    ) -> tuple[Float32[np.ndarray, "row_neuron neuron"], Float32[np.ndarray, "row_neuron neuron"]]:
        """Return couplings of chosen neurons with all, and by how many standard errors they differ from 0.

        Couplings are partial correlations, clipped to [-1, 1]. A neuron has a coupling of 1 and a distance of 0 with itself.
        """
        n_rows = len(self.innovations)
        chosen_innovations = self.innovations[:, chosen]
        product = chosen_innovations.T @ self.innovations / n_rows
        spread = (chosen_innovations**2).T @ self.innovations**2 / n_rows - product**2
        shared = self.precision.shared.astype(np.float32)
        estimate = -2 * (shared[chosen] @ shared.T) - product
        error = np.sqrt(np.maximum(spread, np.finfo(np.float32).tiny) / n_rows)
        root = np.sqrt(self.diagonal()).astype(np.float32)
        coupling, z = -estimate / (root[chosen][:, None] * root), -estimate / error
        position = np.arange(len(chosen))
        coupling[position, chosen], z[position, chosen] = 1, 0
        return np.clip(coupling, -1, 1), z


@dataclass(frozen=True, eq=False)
class CoupledPairs:
    """The surest pairs, surest first."""

    pairs: Int[np.ndarray, "kept 2"]  # indices of neurons, the smaller first
    coupling: Float[np.ndarray, "kept"]  # partial correlation of their noise
    p_value: Float[np.ndarray, "kept"]  # two-sided, of no coupling
    adjusted_p: Float[np.ndarray, "kept"]  # for all pairs of the population (Benjamini-Hochberg)

    def select(self, keep: Bool[np.ndarray, "kept"] | Int[np.ndarray, "chosen"]) -> "CoupledPairs":
        """Return the marked pairs, or those at the given positions."""
        return CoupledPairs(self.pairs[keep], self.coupling[keep], self.p_value[keep], self.adjusted_p[keep])


def chance_spread(residuals: Float[np.ndarray, "row neuron"], shrinkage: float, generator: np.random.Generator) -> float:
    """Return the root mean square of z of uncoupled neurons, at least 1, from rows permuted for each neuron separately.

    With more neurons than rows it exceeds 1, because every estimate then depends on the chance couplings of all others.
    """
    estimate = CouplingEstimate.of(generator.permuted(residuals, axis=0), shrinkage)
    n_neurons = residuals.shape[1]
    chosen = generator.choice(n_neurons, min(ROWS_AT_ONCE, n_neurons), replace=False)
    _, z = estimate.rows(chosen)
    return max(1.0, float(np.sqrt(np.sum(z**2, dtype=np.float64) / (z.size - len(chosen)))))


def find_coupled_pairs(estimate: CouplingEstimate, n_kept: int, spread: float = 1.0) -> CoupledPairs:
    """Find the ``n_kept`` pairs that differ most from no coupling.

    ``spread`` is the standard deviation of z over uncoupled pairs (`chance_spread`).

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> noise = generator.standard_normal((2000, 5))
    >>> noise[:, 3] += noise[:, 1]
    >>> find_coupled_pairs(CouplingEstimate.of(noise), 1).pairs
    array([[1, 3]])
    """
    n_neurons = estimate.innovations.shape[1]
    pairs, coupling, z = np.empty((0, 2), np.int64), np.empty(0), np.empty(0)
    for first in range(0, n_neurons, ROWS_AT_ONCE):
        rows = np.arange(first, min(first + ROWS_AT_ONCE, n_neurons))
        strength, distance = (np.triu(values, first + 1).ravel() for values in estimate.rows(rows))
        best = np.argpartition(-np.abs(distance), min(n_kept, distance.size - 1))[:n_kept]
        found = np.stack([rows[best // n_neurons], best % n_neurons], axis=1)
        is_pair = found[:, 0] < found[:, 1]
        pairs = np.concatenate([pairs, found[is_pair]])
        coupling, z = np.concatenate([coupling, strength[best][is_pair]]), np.concatenate([z, distance[best][is_pair]])
        order = np.lexsort((pairs[:, 1], pairs[:, 0], -np.abs(z)))[:n_kept]
        pairs, coupling, z = pairs[order], coupling[order], z[order]
    p_value = 2 * norm.sf(np.abs(z) / spread)
    return CoupledPairs(pairs, coupling, p_value, adjust_for_discoveries(p_value, n_neurons * (n_neurons - 1) // 2))


def _ledoit_wolf_shrinkage(residuals: Float[np.ndarray, "row neuron"]) -> float:
    """Return how far to shrink a sample covariance towards equal, independent variances, in [0, 1].

    The same as scikit-learn's function for data of mean zero. With fewer rows than neurons all norms come from products of
    rows, which is ten times faster for some thousand neurons.
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


def _shrunk_precision(scaled: Float[np.ndarray, "row neuron"], shrinkage: float) -> Precision:
    """Return the precision of the shrunk covariance of columns of unit variance."""
    if len(scaled) > scaled.shape[1]:  # as many components as neurons hold the same covariance
        value, vector = np.linalg.eigh((scaled.T @ scaled / len(scaled)).astype(np.float64))
        square_root = (vector * np.sqrt(np.maximum(value, 0))).astype(scaled.dtype)
    else:
        square_root = np.ascontiguousarray(scaled.T) / scaled.dtype.type(np.sqrt(len(scaled)))
    loadings = square_root * scaled.dtype.type(np.sqrt(1 - shrinkage))
    return Precision.of(np.full(scaled.shape[1], shrinkage, dtype=scaled.dtype), loadings)


def rewire(
    pairs: Int[np.ndarray, "pair 2"],
    position_um: Float[np.ndarray, "neuron axis"] | None,
    distance_edges_um: Float[np.ndarray, "edge"],
    n_networks: int,
    generator: np.random.Generator,
) -> Iterator[Int[np.ndarray, "pair 2"]]:
    """Yield networks made by many random exchanges of partners: pairs (a, b) and (c, d) become (a, d) and (c, b).

    An exchange takes place only if both new pairs are new and fall into the bins of distance of the two old ones. So every
    neuron keeps its number of partners, and each bin its number of pairs. Without positions only the number of partners is
    kept. The edges are the inner ones of the bins, rising.

    References
    ----------
    Maslov & Sneppen (2002), Science 296:910. https://doi.org/10.1126/science.1065103 They keep the number of partners; we
    keep distances as well.

    Examples
    --------
    >>> square = np.array([[0, 1], [2, 3]])
    >>> next(rewire(square, None, np.empty(0), 1, np.random.default_rng(0))).shape
    (2, 2)
    """
    current = pairs.copy()
    size = int(pairs.max()) + 1 if len(pairs) else 1
    for network in range(n_networks):
        for _ in range(ROUNDS_BETWEEN if network else ROUNDS_BEFORE_FIRST):
            current = _exchange(current, position_um, distance_edges_um, size, generator)
        yield np.sort(current, axis=1)


def _distance_bins(pairs: np.ndarray, position: np.ndarray | None, edges: np.ndarray) -> np.ndarray:
    """Return the bin of distance of each pair; 0 for all where positions are not known."""
    if position is None:
        return np.zeros(len(pairs), dtype=np.int64)
    distance = np.linalg.norm(position[pairs[:, 0]] - position[pairs[:, 1]], axis=1)
    return np.asarray(np.digitize(distance, edges).astype(np.int64))


def _exchange(
    pairs: np.ndarray, position: np.ndarray | None, edges: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    """Try one exchange for every second pair, all at once."""
    n_tried = len(pairs) // 2
    order = generator.permutation(len(pairs))
    turned = generator.integers(0, 2, len(pairs), dtype=bool)
    mixed = np.where(turned[:, None], pairs[:, ::-1], pairs)[order]
    one, other = mixed[:n_tried], mixed[n_tried : 2 * n_tried]
    new = np.stack([np.stack([one[:, 0], other[:, 1]], 1), np.stack([other[:, 0], one[:, 1]], 1)], axis=1)
    before = np.sort(np.stack([_distance_bins(one, position, edges), _distance_bins(other, position, edges)], 1), axis=1)
    after = np.sort(_distance_bins(new.reshape(-1, 2), position, edges).reshape(-1, 2), axis=1)
    codes = _code(new.reshape(-1, 2), size)
    _, first = np.unique(codes, return_index=True)
    is_new = np.zeros(len(codes), dtype=bool)
    is_new[first] = True  # two exchanges of one round must not make the same pair
    is_new &= ~np.isin(codes, _code(pairs, size)) & (new.reshape(-1, 2)[:, 0] != new.reshape(-1, 2)[:, 1])
    accepted = is_new.reshape(-1, 2).all(1) & (before == after).all(1)
    mixed[:n_tried][accepted], mixed[n_tried : 2 * n_tried][accepted] = new[accepted, 0], new[accepted, 1]
    return mixed


def _code(pairs: np.ndarray, size: int) -> np.ndarray:
    """Give every unordered pair a different number."""
    return np.asarray(pairs.min(1) * size + pairs.max(1))
