"""The plainest neural tower: every number of the map is a weighted sum of all responses."""

from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.neuron_dropout import NeuronDropout
from dina.models.towers.tower import MapShape, NeuralTower


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
