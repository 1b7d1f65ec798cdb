"""A linear neural tower in which each neuron has one place on the map, and adds to all channels around it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.tower import FeatureMaps, MapShape, NeuralTower, NeuronDropout, ResponseBatch

# Half the squared distance, in widths, beyond which a window falls no further: smaller numbers are slow to compute with.
FAR = 30.0


class PlacedFields(NeuralTower):
    """Each neuron adds its response, times weights of its own on the channels, under a Gaussian window at its place.

    This is the transpose of the factorised read-out of encoding models (Klindt et al. 2017): `predict` is that read-out. Weights,
    places and widths are learnt; places are drawn at random unless `set_places` gives them. One neuron has as many numbers as there
    are channels, and three more, however large the map is.

    Parameters
    ----------
    n_neurons, map_shape
        As in `NeuralTower`.
    dropout
        Probability of silencing a neuron while training.

    References
    ----------
    Klindt et al. (2017), Neural system identification for large populations separating "what" and "where".
    https://doi.org/10.48550/arXiv.1711.02653
    """

    gain: Tensor

    def __init__(self, n_neurons: int, map_shape: MapShape = (32, 17, 45), dropout: float = 0.5) -> None:
        super().__init__(n_neurons, map_shape)
        self.weight = nn.Parameter(torch.zeros(n_neurons, map_shape[0]))
        self.place = nn.Parameter(torch.zeros(n_neurons, 2))  # row and column, in places of the map
        self.log_width = nn.Parameter(torch.zeros(n_neurons))
        self.dropout = NeuronDropout(dropout)
        self.register_buffer("gain", torch.ones(n_neurons))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Draw weights and places; every window starts one place wide."""
        self.weight.normal_(0, 1 / math.sqrt(self.map_shape[0]), generator=generator)
        for axis, extent in enumerate(self.map_shape[1:]):
            self.place[:, axis] = torch.rand(self.n_neurons, generator=generator).to(self.place) * (extent - 1)
        self.log_width.zero_()

    @torch.no_grad()
    def set_places(self, places: Float[Tensor, "neuron 2"]) -> None:
        """Set where windows start: row and column of each neuron, in places of the map, the first place being 0."""
        self.place.copy_(places)

    def set_gain(self, gain: Float[Tensor, "neuron"]) -> None:
        """Set the factor by which each response is multiplied first, for example its reliability; learnt elsewhere."""
        self.gain.copy_(gain)

    def windows(self) -> Float[Tensor, "neuron place"]:
        """Return the window of each neuron over all places, row by row, with squares that sum to 1."""
        width = self.log_width.exp()[:, None]
        sides = []
        for axis, extent in enumerate(self.map_shape[1:]):
            distance = (torch.arange(extent, device=width.device, dtype=width.dtype) - self.place[:, axis, None]) / width
            side = torch.exp(-(0.5 * distance.square()).clamp_max(FAR))
            sides.append(side / side.norm(dim=1, keepdim=True))
        return (sides[0][:, :, None] * sides[1][:, None, :]).flatten(1)

    def forward(self, responses: ResponseBatch) -> FeatureMaps:
        """Return feature maps."""
        self.check_input(responses)
        given, windows = self.dropout(responses * self.gain), self.windows()
        # channel by channel: all fields together would have neurons × channels × places numbers
        maps = torch.stack([(given * weight) @ windows for weight in self.weight.unbind(1)], dim=1)
        return maps.reshape(len(responses), *self.map_shape)

    def predict(self, maps: FeatureMaps) -> Float[Tensor, "batch neuron"]:
        """Return what each neuron reads of feature maps: its weights on the channels under its window."""
        windows = self.windows().T
        seen = (channel.flatten(1) @ windows for channel in maps.unbind(1))
        return torch.stack([each * weight for each, weight in zip(seen, self.weight.unbind(1), strict=True)]).sum(0)
