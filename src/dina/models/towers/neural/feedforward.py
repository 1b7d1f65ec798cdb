"""Neural towers of one or two layers from all neurons to the map: linear, of low rank, with hidden units."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.tower import MapShape, NeuralTower, NeuronDropout


class Linear(NeuralTower):
    """One linear layer from all neurons to the whole map, with neurons dropped at random while training.

    It has n_neurons times map numbers of weights: meant for short vectors; `LowRank` is the tower for large maps.

    Parameters
    ----------
    n_neurons
        Number of neurons.
    map_shape
        (channels, height, width) of the feature maps.
    dropout
        Probability of silencing a neuron while training.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape = (256, 1, 1), dropout: float = 0.5) -> None:
        super().__init__(n_neurons, map_shape)
        self.dropout = NeuronDropout(dropout)
        self.maps = nn.Linear(n_neurons, map_shape[0] * map_shape[1] * map_shape[2])

    def forward(self, responses: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch map_channel map_height map_width"]:
        """Return feature maps, linear in ``responses``."""
        self.check_input(responses)
        return self.maps(self.dropout(responses)).unflatten(1, self.map_shape)


class LowRank(NeuralTower):
    """n_neurons → rank → maps without any non-linearity, with neurons dropped at random while training.

    Being linear (and, within a recording, affine in the responses) it has a closed form for the removal of any
    neuron: the maps lose that neuron's response times its own map.

    Parameters
    ----------
    n_neurons
        Number of neurons.
    map_shape
        (channels, height, width) of the feature maps.
    rank
        Number of components in between.
    dropout
        Probability of silencing a neuron while training.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape = (8, 9, 34), rank: int = 256, dropout: float = 0.5) -> None:
        super().__init__(n_neurons, map_shape)
        self.dropout = NeuronDropout(dropout)
        self.components = nn.Linear(n_neurons, rank)
        self.maps = nn.Linear(rank, map_shape[0] * map_shape[1] * map_shape[2])
        self.gain: Tensor
        self.register_buffer("gain", torch.ones(n_neurons))

    def set_gain(self, gain: Float[Tensor, "neuron"]) -> None:
        """Set the factor by which each response is multiplied first, for example its reliability; learnt elsewhere."""
        self.gain.copy_(gain)

    def forward(self, responses: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch map_channel map_height map_width"]:
        """Return feature maps, linear in ``responses``."""
        self.check_input(responses)
        return self.maps(self.components(self.dropout(responses * self.gain))).unflatten(1, self.map_shape)


class Perceptron(NeuralTower):
    """n_neurons → hidden units → maps, with neurons dropped at random while training.

    Hidden units are normalised over the layer and rectified smoothly (GELU).

    Parameters
    ----------
    n_neurons
        Number of neurons.
    map_shape
        (channels, height, width) of the feature maps.
    width
        Number of hidden units.
    dropout
        Probability of silencing a neuron while training.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape = (256, 1, 1), width: int = 512, dropout: float = 0.5) -> None:
        super().__init__(n_neurons, map_shape)
        self.dropout = NeuronDropout(dropout)
        self.hidden = nn.Linear(n_neurons, width)
        self.norm = nn.LayerNorm(width)
        self.maps = nn.Linear(width, map_shape[0] * map_shape[1] * map_shape[2])

    def forward(self, responses: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch map_channel map_height map_width"]:
        """Return feature maps."""
        self.check_input(responses)
        return self.maps(F.gelu(self.norm(self.hidden(self.dropout(responses))))).unflatten(1, self.map_shape)
