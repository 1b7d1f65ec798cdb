"""A neural tower with one hidden layer of non-linear units between responses and maps."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.neuron_dropout import NeuronDropout
from dina.models.towers.tower import MapShape, NeuralTower


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
