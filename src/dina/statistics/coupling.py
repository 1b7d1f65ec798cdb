"""Which two neurons are coupled in their noise, given all the others: unshrunk estimates with errors, and the surest pairs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.stats import false_discovery_control, norm

from dina.statistics.partial_correlation import LEAST_SHRINKAGE, Precision, ledoit_wolf_shrinkage, scale_columns, shrunk_precision

ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class CouplingEstimate:
    r"""Partial correlations of noise without the pull that shrinkage exerts on them.

    Shrinkage makes an inverse possible, and it hides the few pairs that are strongly coupled among millions that are not.
    The estimate takes one step from the shrunk precision :math:`P` towards the data,

    .. math:: T = 2P - P S P,

    which cancels the bias of P to first order; with :math:`w = Px` for every row x of residuals its entries are
    :math:`2P_{ij} - \langle w_i w_j \rangle`, and their standard error that of the mean of :math:`w_i w_j`, whatever the
    distribution of responses.

    Parameters
    ----------
    precision
        Shrunk, of residuals with unit variance.
    shrinkage
        By how much, in (0, 1].
    innovations
        :math:`w`, shape ``(n_rows, n_neurons)``.

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
        """Estimate from independent rows of noise with mean zero; ``shrinkage`` None for that of Ledoit and Wolf."""
        scaled = scale_columns(residuals)
        used = min(max(ledoit_wolf_shrinkage(scaled) if shrinkage is None else shrinkage, LEAST_SHRINKAGE), 1.0)
        precision = shrunk_precision(residuals, used)
        return cls(precision, used, precision.multiply(scaled).astype(np.float32))

    def diagonal(self) -> Float[np.ndarray, "neuron"]:
        """Return the diagonal of the estimate, at least a thousandth of the shrunk one."""
        shrunk = self.precision.diagonal()
        return np.maximum(2 * shrunk - np.mean(self.innovations**2, axis=0, dtype=np.float64), 1e-3 * shrunk)

    def rows(
        self, chosen: Int[np.ndarray, "chosen"]
    ) -> tuple[Float32[np.ndarray, "row_neuron neuron"], Float32[np.ndarray, "row_neuron neuron"]]:
        """Return couplings of chosen neurons with all, and how many standard errors they are from 0.

        Returns
        -------
        coupling
            Partial correlation, nominally in [-1, 1]; clipped there; shape ``(n_chosen, n_neurons)``; 1 with itself.
        z
            Same shape; 0 with itself.
        """
        n_rows = len(self.innovations)
        own = self.innovations[:, chosen]
        product = own.T @ self.innovations / n_rows
        spread = (own**2).T @ self.innovations**2 / n_rows - product**2
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
    """The surest pairs, surest first.

    Parameters
    ----------
    pairs
        Indices of neurons, the smaller first, shape ``(n_kept, 2)``.
    coupling
        Partial correlation of their noise, shape ``(n_kept,)``.
    p_value
        Two-sided, of no coupling.
    adjusted_p
        Adjusted for all pairs of the population (Benjamini-Hochberg).
    """

    pairs: Int[np.ndarray, "kept 2"]
    coupling: Float[np.ndarray, "kept"]
    p_value: Float[np.ndarray, "kept"]
    adjusted_p: Float[np.ndarray, "kept"]

    def select(self, keep: Bool[np.ndarray, "kept"] | Int[np.ndarray, "chosen"]) -> "CoupledPairs":
        """Return the marked pairs, or those at the given positions."""
        return CoupledPairs(self.pairs[keep], self.coupling[keep], self.p_value[keep], self.adjusted_p[keep])


def chance_spread(residuals: Float[np.ndarray, "row neuron"], shrinkage: float, generator: np.random.Generator) -> float:
    """Return the root mean square of z of uncoupled neurons, at least 1: rows permuted, each neuron by itself.

    With more neurons than rows it exceeds 1, because every estimate then leans on the chance couplings of all others.

    Parameters
    ----------
    residuals, shrinkage
        As in `CouplingEstimate.of`.
    generator
        Of the permutations.
    """
    estimate = CouplingEstimate.of(generator.permuted(residuals, axis=0), shrinkage)
    n_neurons = residuals.shape[1]
    chosen = generator.choice(n_neurons, min(ROWS_AT_ONCE, n_neurons), replace=False)
    _, z = estimate.rows(chosen)
    return max(1.0, float(np.sqrt(np.sum(z**2, dtype=np.float64) / (z.size - len(chosen)))))


def find_coupled_pairs(estimate: CouplingEstimate, n_kept: int, spread: float = 1.0) -> CoupledPairs:
    """Look at all pairs, some rows of neurons at a time, and keep the ``n_kept`` that are furthest from no coupling.

    Parameters
    ----------
    estimate
        Of the couplings of all pairs.
    n_kept
        How many pairs to keep.
    spread
        Deviation of z where nothing is coupled (`chance_spread`).

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


def adjust_for_discoveries(p_values: Float[np.ndarray, "tested"], n_pairs: int) -> Float[np.ndarray, "tested"]:
    """Return Benjamini-Hochberg adjusted p-values where only the most promising of ``n_pairs`` pairs were tested.

    The others count as if their p-value were 1, which can only make the adjusted values larger.

    References
    ----------
    Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57:289. https://doi.org/10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> adjust_for_discoveries(np.array([0.001, 0.02]), 10)
    array([0.01, 0.1 ])
    """
    if not len(p_values):
        return p_values
    adjusted: np.ndarray = np.minimum(false_discovery_control(p_values) * n_pairs / len(p_values), 1.0)
    return adjusted
