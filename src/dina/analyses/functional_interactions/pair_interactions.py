"""What two neurons do together beyond what each does alone: the effect of removing both, less that of removing each."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import false_discovery_control
from scipy.stats import t as student
from torch import Tensor

from dina.analyses.closed_readouts import LikelihoodReadout
from dina.analyses.score_changes import margins
from dina.statistics.coupling import CoupledPairs, Precision

PAIRS_AT_ONCE = 4096
LARGEST_COUPLING = 0.99
TESTED_AT_ONCE = 8192  # images × pairs is large


@dataclass(frozen=True, eq=False)
class ScaledPrecision:
    """A precision of noise in units of each neuron's own.

    Parameters
    ----------
    precision
        Of the scaled noise.
    deviation
        By which responses are divided first, positive, shape ``(n_neurons,)``.
    """

    precision: Precision
    deviation: Float[Tensor, "neuron"]


@dataclass(frozen=True, eq=False)
class PairForms:
    r"""The margin of each query as a form that is summed over neurons, of which any two can be taken away.

    Parameters
    ----------
    response
        :math:`(Pr_q)_j / \sqrt{P_{jj}}`, shape ``(n_queries, n_neurons)``, with the precision :math:`P` of the noise.
    contrast
        :math:`(Px)_j / \sqrt{P_{jj}}` of the target less its mean over all other candidates, same shape.
    half, scaled
        :math:`\tfrac12 (P\mu_i)_j / \sqrt{P_{jj}}` and :math:`(Px_i)_j / \sqrt{P_{jj}}` of each candidate, shape
        ``(n_gallery, n_neurons)``.
    target
        Place of each query's image in the gallery.
    precision
        Of the noise, in units of the noise of each neuron.
    margin
        What all neurons carry together, shape ``(n_queries,)``.

    Notes
    -----
    Removing a set S of neurons, their noise marginalised out, takes :math:`(Pv)_S^\top P_{SS}^{-1} (Pw)_S` from a form
    :math:`v^\top P w` (Schur complement). For two neurons with partial correlation :math:`\rho` and the form
    :math:`B_{ab} = (Pv)_a (Pw)_b / \sqrt{P_{aa} P_{bb}}`, each alone takes :math:`B_{aa}`, and what both take beyond the sum is
    :math:`[\rho^2 (B_{aa} + B_{bb}) + \rho (B_{ab} + B_{ba})] / (1 - \rho^2)`: zero for every pair whose noise is
    independent given all others.
    """

    response: Float[Tensor, "query neuron"]
    contrast: Float[Tensor, "query neuron"]
    half: Float[Tensor, "gallery neuron"]
    scaled: Float[Tensor, "gallery neuron"]
    target: Int[Tensor, "query"]
    precision: Precision
    margin: Float[Tensor, "query"]

    @classmethod
    def of(
        cls,
        readout: LikelihoodReadout,
        noise: ScaledPrecision,
        responses: Float[Tensor, "query neuron"],
        target: Int[Tensor, "query"],
    ) -> "PairForms":
        """Return the forms of standardised responses and the places of their images in the readout's gallery."""
        root = torch.from_numpy(1 / np.sqrt(noise.precision.diagonal()))
        evoked = readout.evoked / noise.deviation
        measured, expected = (
            torch.from_numpy(noise.precision.multiply(rows.numpy())) for rows in (responses / noise.deviation, evoked)
        )
        weight = readout.scale * torch.from_numpy(noise.precision.multiply((evoked * readout.gain).numpy()))
        scores = (responses / noise.deviation) @ weight.T - 0.5 * (evoked * weight).sum(1)
        scaled = weight * root
        return cls(
            response=measured * root,
            contrast=scaled[target] - (scaled.sum(0) - scaled[target]) / (len(scaled) - 1),
            half=0.5 * expected * root,
            scaled=scaled,
            target=target,
            precision=noise.precision,
            margin=margins(scores, target),
        )

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.response.shape[1]

    def contributions(self) -> Float[Tensor, "query neuron"]:
        """Return by how much the margin of each query falls without each neuron."""
        return self._form(slice(None), slice(None))

    def couplings(self, pairs: Int[np.ndarray, "pair 2"]) -> Float[np.ndarray, "pair"]:
        """Return the partial correlation of the noise of each pair."""
        # an unshrunk estimate may reach 1, where a pair would be one neuron
        return np.clip(self.precision.partial_correlations_of(pairs), -LARGEST_COUPLING, LARGEST_COUPLING)

    def interactions(self, pairs: Int[np.ndarray, "pair 2"]) -> Float[np.ndarray, "query pair"]:
        """Return what removing both neurons of each pair takes from each margin beyond the sum of removing each.

        Positive: one can stand in for the other (redundant). Negative: they need each other (synergistic).
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
class PairTests:
    """Pairs tested one by one.

    Parameters
    ----------
    mean
        Mean interaction over test images, in units of the score, shape ``(n_tested,)``.
    reach
        Half its 95 % interval.
    adjusted_p
        Of no mean interaction, adjusted for the coupled pairs; NaN for pairs that are not coupled.
    """

    mean: Float[np.ndarray, "tested"]
    reach: Float[np.ndarray, "tested"]
    adjusted_p: Float[np.ndarray, "tested"]


def evaluate_coupled_pairs(forms: PairForms, coupled: CoupledPairs, rate: float) -> PairTests:
    """Test whether coupled pairs change the margin: coupling is measured on training images, its effect on test images.

    The two are independent, so only the coupled pairs count as tests of the second question; others get no p-value.

    Parameters
    ----------
    forms
        Margins of the test images.
    coupled
        From training images.
    rate
        Adjusted p-value up to which a pair counts as coupled.
    """
    mean, error = np.empty(len(coupled.pairs)), np.empty(len(coupled.pairs))
    for first in range(0, len(mean), TESTED_AT_ONCE):
        part = slice(first, first + TESTED_AT_ONCE)
        values = forms.interactions(coupled.pairs[part])
        mean[part], error[part] = values.mean(0), values.std(0, ddof=1) / math.sqrt(len(values))
    freedom = len(forms.response) - 1
    size = np.divide(np.abs(mean), error, out=np.zeros_like(mean), where=error > 0)
    is_coupled = coupled.adjusted_p <= rate
    adjusted = np.full(len(mean), np.nan)
    if is_coupled.any():
        adjusted[is_coupled] = false_discovery_control(2 * student.sf(size[is_coupled], freedom))
    return PairTests(mean, student.ppf(0.975, freedom) * error, adjusted)
