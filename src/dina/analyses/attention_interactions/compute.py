"""How neurons gate and read one another in towers with attention: six matrices among the most attended neurons."""

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import jackknife_interval

NULL = "attended neurons permuted"
FEWEST = 4  # neurons needed to measure an asymmetry
MOST_NEURONS = 5000
ROWS_AT_ONCE = 256
MEANING = {
    "P": "gate: product of the attending and the attended neuron's response",
    "Q": "gate: response of the attending neuron",
    "R": "gate: response of the attended neuron",
    "T": "gate: whatever the responses",
    "G": "read: response of the attended neuron",
    "H": "read: whatever the response",
}


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
class AttentionInteractionsResult(DescribedResult):
    """The matrices P, Q, R, T, G and H (see `attention_matrices`) among the most attended neurons, the most attended first."""

    matrices: xr.Dataset  # axes ``asking`` and ``asked`` hold indices of neurons
    attention: Float[np.ndarray, "neuron"]  # of every neuron, mean over training trials and attending neurons; sums to 1

    def to_dataset(self) -> xr.Dataset:
        """Return the matrices by (asking, asked) neuron, and the attention received by neuron."""
        return self.matrices.assign(received_attention=("neuron", self.attention, {"units": "1"}))


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
    found = tuple(_asymmetry(name, matrices[name].to_numpy(), settings.n_permutations, generator) for name in MEANING)
    return AttentionInteractionsResult(matrices, attention, statistics=found)


@torch.no_grad()
def attention_matrices(tower: NeuronAttention, neurons: Int[np.ndarray, "chosen"] | None = None) -> xr.Dataset:
    """Return the matrices P, Q, R, T, G, H of the neuron attention among some neurons (default: all), dimensionless.

    With responses r scaled to [0, 1] neuron i gives neuron j the score :math:`r_j (r_i P_{ij} + R_{ij}) + r_i Q_{ij} + T_{ij}` and
    reads :math:`r_j G_{ij} + H_{ij}` from it. They are weights: large ones need not matter for what is decoded. The axes are
    ``asking`` (attending) and ``asked`` (attended neuron); the attribute ``asymmetry`` comes from `asymmetry`.

    Raises
    ------
    DataError
        If there are more than 5,000 neurons: six matrices would not fit.

    References
    ----------
    Wang et al. (2026), https://doi.org/10.48550/arXiv.2605.04309, for the tower, whose tokens attend to one another; these
    are the weights that make its attention.
    """
    chosen = np.arange(tower.n_neurons) if neurons is None else neurons
    if len(chosen) > MOST_NEURONS:
        raise DataError(f"At most {MOST_NEURONS} neurons can be shown in six matrices; got {len(chosen)}. Choose some of them.")
    part = torch.from_numpy(chosen)
    factors = tower.factors()
    query, key, value = (factor[:, part].cpu() for factor in factors[:3])
    readout = factors.readout[part].cpu()
    products = {
        "P": query[0] @ key[0].T,
        "Q": query[0] @ key[1].T,
        "R": query[1] @ key[0].T,
        "T": query[1] @ key[1].T,
        "G": readout @ value[0].T,
        "H": readout @ value[1].T,
    }
    variables = {
        name: (("asking", "asked"), matrix.numpy(), {"units": "1", "long_name": MEANING[name], "asymmetry": asymmetry(matrix)})
        for name, matrix in products.items()
    }
    indices = {"units": "1", "long_name": "indices of neurons"}
    return xr.Dataset(variables, {axis: (axis, chosen, indices) for axis in ("asking", "asked")})


def asymmetry(matrix: Float[Tensor, "row column"]) -> float:
    """Return the share of the squared norm of a square matrix that is antisymmetric; NaN for zeros.

    It is 0 if every pair acts both ways alike, one half for unrelated directions, 1 if all are opposed.

    Examples
    --------
    >>> asymmetry(torch.eye(3)), asymmetry(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))
    (0.0, 1.0)
    """
    whole = float(matrix.square().sum())
    return float((matrix - matrix.T).square().sum()) / 4 / whole if whole > 0 else float("nan")


@torch.no_grad()
def received_attention(tower: NeuronAttention, responses: Float[np.ndarray, "trial neuron"]) -> Float[np.ndarray, "neuron"]:
    """Return how much attention each neuron receives from all, on average over standardised trials; all together sum to 1.

    Attention is not contribution: what a neuron is read for is another matter (G and H).
    """
    device = tower.lowest.device
    scaled = (torch.from_numpy(np.asarray(responses, np.float32)).to(device) - tower.lowest) * tower.inverse_range
    query, key, _, _ = tower.factors()
    received = torch.zeros(tower.n_neurons, dtype=torch.float64, device=device)
    for first in range(0, tower.n_neurons, ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        P, Q, R, T = (query[a, rows] @ key[b].T for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)))
        for trial in scaled:
            reading = trial[rows, None]
            received += torch.softmax(trial * (reading * P + R) + reading * Q + T, dim=1).double().sum(0)
    result: np.ndarray = (received / (len(scaled) * tower.n_neurons)).cpu().numpy()
    return result


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
