"""Neural towers of one or two layers from all neurons to the map: linear, of low rank, with hidden units."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.tower import FeatureMaps, MapShape, NeuralTower, NeuronDropout, ResponseBatch


class _Feedforward(NeuralTower):
    """Drops neurons at random while training; the layer ``maps`` ends at the maps and begins at what `read` returns."""

    maps: nn.Linear

    def __init__(self, n_neurons: int, map_shape: MapShape, dropout: float) -> None:
        super().__init__(n_neurons, map_shape)
        self.dropout = NeuronDropout(dropout)

    def read(self, responses: ResponseBatch) -> Float[Tensor, "batch number"]:
        """Return the numbers that the last layer reads; here the responses, some at 0 while training."""
        return self.dropout(responses)

    def forward(self, responses: ResponseBatch) -> FeatureMaps:
        """Return feature maps."""
        self.check_input(responses)
        return self.maps(self.read(responses)).unflatten(1, self.map_shape)


class Linear(_Feedforward):
    """One linear layer from all neurons to the whole map, with neurons dropped at random while training.

    It has n_neurons times map numbers of weights: meant for short vectors; `LowRank` is the tower for large maps.

    Parameters
    ----------
    n_neurons, map_shape
        As in `NeuralTower`.
    dropout
        Probability of silencing a neuron while training.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape = (256, 1, 1), dropout: float = 0.5) -> None:
        super().__init__(n_neurons, map_shape, dropout)
        self.maps = nn.Linear(n_neurons, math.prod(map_shape))


class LowRank(_Feedforward):
    """n_neurons → rank → maps without any non-linearity, with neurons dropped at random while training.

    Being linear (and, within a recording, affine in the responses) it has a closed form for the removal of any
    neuron: the maps lose that neuron's response times its own map.

    Parameters
    ----------
    n_neurons, map_shape, dropout
        As in `Linear`.
    rank
        Number of components in between.
    """

    gain: Tensor

    def __init__(self, n_neurons: int, map_shape: MapShape = (8, 9, 34), rank: int = 256, dropout: float = 0.5) -> None:
        super().__init__(n_neurons, map_shape, dropout)
        self.components = nn.Linear(n_neurons, rank)
        self.maps = nn.Linear(rank, math.prod(map_shape))
        self.register_buffer("gain", torch.ones(n_neurons))

    def set_gain(self, gain: Float[Tensor, "neuron"]) -> None:
        """Set the factor by which each response is multiplied first, for example its reliability; learnt elsewhere."""
        self.gain.copy_(gain)

    def read(self, responses: ResponseBatch) -> Float[Tensor, "batch number"]:
        """Return the components."""
        return self.components(self.dropout(responses * self.gain))


class Perceptron(_Feedforward):
    """n_neurons → hidden units → maps; hidden units are normalised over the layer and rectified smoothly (GELU).

    Parameters
    ----------
    n_neurons, map_shape, dropout
        As in `Linear`.
    width
        Number of hidden units.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape = (256, 1, 1), width: int = 512, dropout: float = 0.5) -> None:
        super().__init__(n_neurons, map_shape, dropout)
        self.hidden = nn.Linear(n_neurons, width)
        self.norm = nn.LayerNorm(width)
        self.maps = nn.Linear(width, math.prod(map_shape))

    def read(self, responses: ResponseBatch) -> Float[Tensor, "batch number"]:
        """Return the hidden units."""
        return F.gelu(self.norm(self.hidden(self.dropout(responses))))
