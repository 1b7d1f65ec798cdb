"""How neurons gate and read one another in towers with attention: six matrices among the most attended neurons."""

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings
from dina.analyses.attention_matrices import asymmetry, attention_matrices, received_attention
from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import jackknife_interval

NAMES = ("P", "Q", "R", "T", "G", "H")
NULL = "attended neurons permuted"
FEWEST = 4  # neurons needed to measure an asymmetry


class AttentionInteractionsSettings(AnalysisSettings):
    """How much is shown.

    Parameters
    ----------
    n_training_trials
        Trials of training images over which received attention is averaged.
    n_shown
        Neurons whose matrices are kept, those that receive most attention.
    n_permutations
        For the null.
    """

    n_training_trials: int = Field(32, ge=1)
    n_shown: int = Field(100, ge=1)
    n_permutations: int = Field(200, ge=2)


@dataclass(frozen=True, eq=False)
class AttentionInteractionsResult:
    """The matrices P, Q, R, T, G and H (see `attention_matrices`) among the most attended neurons, the most attended first."""

    matrices: xr.Dataset  # axes ``asking`` and ``asked`` hold indices of neurons
    attention: Float[np.ndarray, "neuron"]  # of every neuron, mean over training trials and attending neurons; sums to 1
    statistics: tuple[Finding, ...]

    def to_dataset(self) -> xr.Dataset:
        """Return the matrices by (asking, asked) neuron, and the attention received by neuron."""
        return self.matrices.assign(received_attention=("neuron", self.attention, {"units": "1"}))

    def findings(self) -> tuple[Finding, ...]:
        """Return how far each matrix differs from its mirror image."""
        return self.statistics


def analyse_attention_interactions(
    decoded: Decoded, settings: AttentionInteractionsSettings = AttentionInteractionsSettings()
) -> AttentionInteractionsResult:
    """Read off the published tower how neurons gate and read one another.

    The matrices are weights of the fitted tower. They say what it computes, not whether decoding needs that. No test image is read.

    Raises
    ------
    DataError
        If the neural tower has no attention.

    References
    ----------
    Wang et al. (2026), https://doi.org/10.48550/arXiv.2605.04309, for the tower.
    """
    tower = decoded.towers.neural_tower
    if not isinstance(tower, NeuronAttention):
        raise DataError("Interaction matrices belong to neurons that attend to one another, as in the preset 'paper'.")
    responses = decoded.train.responses
    order = generator_for(decoded.seed, "attention interactions").permutation(len(responses))
    attention = received_attention(tower, responses[np.sort(order[: settings.n_training_trials])])
    shown = np.argsort(-attention, kind="stable")[: settings.n_shown]
    matrices = attention_matrices(tower, shown)
    generator = generator_for(decoded.seed, "permuted neurons")
    found = tuple(_asymmetry(name, matrices[name].to_numpy(), settings.n_permutations, generator) for name in NAMES)
    return AttentionInteractionsResult(matrices, attention, found)


def _asymmetry(
    letter: str, matrix: Float[np.ndarray, "asking asked"], n_permutations: int, generator: np.random.Generator
) -> Finding:
    """Share of the squared norm that is antisymmetric, with an interval from leaving one neuron out at a time."""
    name, n, weights = f"asymmetry_{letter}", len(matrix), torch.from_numpy(matrix)
    value = asymmetry(weights)
    if n < FEWEST or np.isnan(value):
        return Finding(name, np.nan, "1", n, reason="Too few neurons, or the matrix is zero.")
    without = np.empty(n)
    for neuron in range(n):
        others = torch.arange(n) != neuron
        without[neuron] = asymmetry(weights[others][:, others])
    low, high = jackknife_interval(value, without)
    null = np.array([asymmetry(weights[:, torch.from_numpy(generator.permutation(n))]) for _ in range(n_permutations)])
    return Finding.from_draws(name, value, "1", n, null_draws=null, null=NULL, interval=(max(low, 0.0), min(high, 1.0)))
