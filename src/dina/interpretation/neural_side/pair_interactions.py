"""What two neurons do together beyond what each does alone: the exact effect of removing both, less that of each."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import false_discovery_control
from torch import Tensor

from dina.interpretation.neural_side.likelihood_readout import LikelihoodReadout
from dina.measures.partial_correlation import Precision

PAIRS_AT_ONCE = 4096
ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class PairForms:
    r"""The margin of each query as a form that is summed over neurons, of which any two can be taken away.

    Parameters
    ----------
    asked
        :math:`(Pr_q)_j / \sqrt{P_{jj}}`, shape ``(n_queries, n_neurons)``, with the precision :math:`P` of the noise.
    contrast
        :math:`(Px)_j / \sqrt{P_{jj}}` of the target less its mean over all other candidates, same shape.
    half, scaled
        :math:`\tfrac12 (P\mu_i)_j / \sqrt{P_{jj}}` and :math:`(Px_i)_j / \sqrt{P_{jj}}` of each candidate, shape
        ``(n_gallery, n_neurons)``.
    target
        Place of each query's image in the gallery.
    shared
        Its rows have the partial correlations of the noise as inner products, shape ``(n_neurons, n_components)``.

    Notes
    -----
    Removing a set S of neurons, their noise marginalised out, takes :math:`(Pv)_S^\top P_{SS}^{-1} (Pw)_S` from a form
    :math:`v^\top P w` (Schur complement). For two neurons with partial correlation :math:`\rho` and the form
    :math:`B_{ab} = (Pv)_a (Pw)_b / \sqrt{P_{aa} P_{bb}}`, each alone takes :math:`B_{aa}`, and what both take beyond the sum is
    :math:`[\rho^2 (B_{aa} + B_{bb}) + \rho (B_{ab} + B_{ba})] / (1 - \rho^2)`: zero for every pair whose noise is
    independent given all others.
    """

    asked: Float[Tensor, "query neuron"]
    contrast: Float[Tensor, "query neuron"]
    half: Float[Tensor, "gallery neuron"]
    scaled: Float[Tensor, "gallery neuron"]
    target: Int[Tensor, "query"]
    shared: Float[Tensor, "neuron component"]

    @classmethod
    def of(
        cls, readout: LikelihoodReadout, responses: Float[Tensor, "query neuron"], target: Int[Tensor, "query"]
    ) -> "PairForms":
        """Return the forms of standardised responses and the places of their images in the readout's gallery."""
        precision = Precision.of(readout.private.numpy(), readout.loadings.numpy())
        scale = 1 / np.sqrt(precision.diagonal())
        root = torch.from_numpy(scale)
        scaled = readout.scale * readout.divide(readout.evoked * readout.gain) * root
        others = (scaled.sum(0) - scaled[target]) / (len(scaled) - 1)
        return cls(
            asked=readout.divide(responses) * root,
            contrast=scaled[target] - others,
            half=0.5 * readout.divide(readout.evoked) * root,
            scaled=scaled,
            target=target,
            shared=torch.from_numpy(precision.shared * scale[:, None]),
        )

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.asked.shape[1]

    def contributions(self) -> Float[Tensor, "query neuron"]:
        """Return by how much the margin of each query falls without each neuron."""
        return self._form(slice(None), slice(None))

    def couplings(self, pairs: Int[np.ndarray, "pair 2"]) -> Float[np.ndarray, "pair"]:
        """Return the partial correlation of the noise of each pair."""
        parts = torch.from_numpy(pairs).split(PAIRS_AT_ONCE)
        return torch.cat([(self.shared[p[:, 0]] * self.shared[p[:, 1]]).sum(1) for p in parts]).numpy()

    def interactions(self, pairs: Int[np.ndarray, "pair 2"]) -> Float[np.ndarray, "query pair"]:
        """Return what removing both neurons of each pair takes from each margin beyond the sum of removing each.

        Positive: one can stand in for the other (redundant). Negative: they need each other (synergistic).
        """
        rho = torch.from_numpy(self.couplings(pairs))
        result = torch.empty(len(self.asked), len(pairs), dtype=self.asked.dtype)
        own = self.contributions()
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            part = slice(first, first + PAIRS_AT_ONCE)
            one, other = torch.from_numpy(pairs[part]).T
            both = self._form(one, other) + self._form(other, one)
            result[:, part] = rho[part] * (rho[part] * (own[:, one] + own[:, other]) + both) / (1 - rho[part] ** 2)
        return result.numpy()

    def _form(self, one: Tensor | slice, other: Tensor | slice) -> Tensor:
        quadratic = self.half[:, one] * self.scaled[:, other]
        own = quadratic[self.target]
        return self.asked[:, one] * self.contrast[:, other] - own + (quadratic.sum(0) - own) / (len(self.half) - 1)


def strongest_couplings(forms: PairForms, n_kept: int) -> Int[np.ndarray, "pair 2"]:
    """Return the pairs whose noise has the largest partial correlations in size, strongest first.

    All pairs are looked at, some rows of neurons at a time.

    Examples
    --------
    >>> nothing = torch.zeros(1, 3)
    >>> shared = torch.tensor([[1.0], [0.1], [-0.5]])
    >>> strongest_couplings(PairForms(nothing, nothing, nothing, nothing, torch.tensor([0]), shared), 2)
    array([[0, 2],
           [0, 1]])
    """
    shared = forms.shared.float()
    strength, place = torch.empty(0), torch.empty(0, 2, dtype=torch.int64)
    for first in range(0, len(shared), ROWS_AT_ONCE):
        rows = torch.arange(first, min(first + ROWS_AT_ONCE, len(shared)))
        size = (shared[rows] @ shared.T).abs().triu(first + 1)
        best = torch.topk(size.flatten(), min(n_kept, size.numel()))
        found = torch.stack([rows[best.indices // len(shared)], best.indices % len(shared)], dim=1)
        is_pair = found[:, 0] < found[:, 1]
        strength = torch.cat([strength, best.values[is_pair]])
        place = torch.cat([place, found[is_pair]])
        kept = torch.argsort(strength, descending=True, stable=True)[:n_kept]
        strength, place = strength[kept], place[kept]
    return place.numpy()


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
