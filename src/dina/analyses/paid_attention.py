"""The attention that neurons pay to one another in a tower with attention, block by block, and how much each receives."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention

ROWS_AT_ONCE = 256


def attention_tower(decoded: Decoded) -> NeuronAttention:
    """Return the neural tower, whose neurons attend to one another.

    Raises
    ------
    DataError
        If they do not.
    """
    tower = decoded.towers.neural_tower
    if not isinstance(tower, NeuronAttention):
        raise DataError(
            "Attention is known only of neurons that attend to one another. Fit towers with the preset 'paper' or 'attention'."
        )
    return tower


@torch.no_grad()
def received_attention(tower: NeuronAttention, responses: Float[np.ndarray, "trial neuron"]) -> Float[np.ndarray, "neuron"]:
    """Return how much attention each neuron receives from all, on average over standardised trials; all together sum to 1.

    Attention is not contribution: what a neuron is read for is another matter (G and H).
    """
    received = torch.zeros(tower.n_neurons, dtype=torch.float64, device=tower.lowest.device)
    for trials in attention_blocks(tower, responses):
        for weights in trials:
            received += weights.double().sum(0)
    return np.asarray((received / (len(responses) * tower.n_neurons)).cpu().numpy())


def attention_blocks(
    tower: NeuronAttention, responses: Float[np.ndarray, "trial neuron"]
) -> Iterator[Iterator[Float[Tensor, "attending attended"]]]:
    """Yield blocks of attending neurons, and of each block the attention that it pays to all neurons in one trial after the other.

    Responses are standardised; each row sums to 1. No array holds the attention of all neurons to all in several trials.
    """
    device = tower.lowest.device
    scaled = (torch.from_numpy(np.asarray(responses, np.float32)).to(device) - tower.lowest) * tower.inverse_range
    query, key, _, _ = tower.factors()
    for first in range(0, tower.n_neurons, ROWS_AT_ONCE):
        rows = slice(first, first + ROWS_AT_ONCE)
        gates = [query[a, rows] @ key[b].T for a, b in ((0, 0), (0, 1), (1, 0), (1, 1))]
        yield _attend(scaled, rows, *gates)


def _attend(
    scaled: Tensor, rows: slice, P: Tensor, Q: Tensor, R: Tensor, T: Tensor
) -> Iterator[Float[Tensor, "attending attended"]]:
    for trial in scaled:
        reading = trial[rows, None]
        yield torch.softmax(trial * (reading * P + R) + reading * Q + T, dim=1)
