"""The published neural tower: every neuron attends to all neurons, in an exact form that needs no tokens."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.map_geometry import Centring, centre_maps, resize_bilinear
from dina.models.towers.neural.attention_kernel import Factors, attend
from dina.models.towers.tower import MapShape, NeuralTower

COARSE_MAP = (8, 32)
HIDDEN = (2048, 512)


class Interactions(NamedTuple):
    """How neuron j (second axis) acts on neuron i (first axis); all of shape ``(n_neurons, n_neurons)``.

    With responses r scaled to [0, 1], neuron i gives neuron j the score ``r_j (r_i P + R) + (r_i Q + T)`` and reads
    from it ``r_j G + H``, weighted by the softmax of the scores over j. All are dimensionless; P, Q, R and T include
    the factor 1/√width.
    """

    P: Float[Tensor, "neuron neuron"]
    Q: Float[Tensor, "neuron neuron"]
    R: Float[Tensor, "neuron neuron"]
    T: Float[Tensor, "neuron neuron"]
    G: Float[Tensor, "neuron neuron"]
    H: Float[Tensor, "neuron neuron"]


class NeuronAttention(NeuralTower):
    r"""One layer of attention over neurons, then a chain of linear layers to a coarse map.

    Neuron *i* is the token :math:`r_i w_i + b_i` with its own :math:`w_i, b_i`; one attention head with query, key,
    value and output projections; each token is read back to one number by the neuron's own vector; then
    n_neurons → 2048 → 512 → 8 × 32 by linear layers without non-linearity, resized to the map. With one map channel
    the tower has 3,585 · n_neurons + 2,233,088 parameters.

    Parameters
    ----------
    n_neurons
        Number of neurons.
    map_shape
        (channels, height, width) of the feature maps; published: (1, 16, 64).
    width
        Length of a token; published: 512.
    centring
        "min_max" per sample as published, or "centred".

    Notes
    -----
    Because a token is affine in one number, attention needs only six matrices of neurons by neurons (`interactions`),
    which are shared by the whole batch; see `attend`. This is the published function, not an approximation.
    `learn_scaling` stores each neuron's minimum and maximum over the training trials; test responses are scaled by
    these and may leave [0, 1], they are not clipped.

    References
    ----------
    Wang et al. (2026), https://doi.org/10.48550/arXiv.2605.04309. They take minimum and maximum over all data, test
    data included; we do not.
    """

    def __init__(
        self, n_neurons: int, map_shape: MapShape = (1, 16, 64), width: int = 512, centring: Centring = "min_max"
    ) -> None:
        super().__init__(n_neurons, map_shape)
        self.centring = centring
        self.tokens = NeuronVectors(n_neurons, width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.chain = nn.Sequential(
            nn.Linear(n_neurons, HIDDEN[0]),
            nn.Linear(HIDDEN[0], HIDDEN[1]),
            nn.Linear(HIDDEN[1], map_shape[0] * COARSE_MAP[0] * COARSE_MAP[1]),
        )
        self.lowest: Tensor
        self.inverse_range: Tensor
        self.register_buffer("lowest", torch.zeros(n_neurons))
        self.register_buffer("inverse_range", torch.ones(n_neurons))

    def learn_scaling(self, train_responses: Float[Tensor, "trial neuron"]) -> None:
        """Store each neuron's minimum and range over the training trials; a constant neuron becomes 0."""
        lowest, highest = train_responses.amin(0), train_responses.amax(0)
        self.lowest.copy_(lowest)
        self.inverse_range.copy_(torch.where(highest > lowest, 1 / (highest - lowest), torch.zeros_like(lowest)))

    def forward(self, responses: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch map_channel map_height map_width"]:
        """Return feature maps of ``responses`` (standardised as in training; scaled to [0, 1] in here)."""
        self.check_input(responses)
        with torch.autocast(responses.device.type, enabled=False):  # a softmax over thousands of neurons needs precision
            scaled = (responses.to(self.lowest.dtype) - self.lowest) * self.inverse_range
            read = attend(scaled, self.factors()) + self.tokens.read_bias + self.tokens.read_out @ self.output.bias
        if torch.is_grad_enabled() or len(read) < HIDDEN[1]:
            maps = self.chain(read)
        else:  # many samples and no training: one matrix instead of three
            weight, bias = self.collapsed_chain()
            maps = torch.addmm(bias, read, weight.T)
        maps = resize_bilinear(maps.to(read.dtype).unflatten(1, (self.map_shape[0], *COARSE_MAP)), self.map_shape[1:])
        return centre_maps(maps, self.centring)

    def factors(self) -> Factors:
        """Return the projections of the neurons' vectors whose products are the interaction matrices."""
        pair = torch.stack((self.tokens.weight, self.tokens.bias))
        # the bias of a projection belongs to the constant part of the token
        query, key, value = (
            torch.stack((weighted, constant + layer.bias))
            for layer in (self.query, self.key, self.value)
            for weighted, constant in [(pair @ layer.weight.T).unbind(0)]
        )
        return Factors(query / math.sqrt(pair.shape[-1]), key, value, self.tokens.read_out @ self.output.weight)

    @torch.no_grad()
    def interactions(self) -> Interactions:
        """Return the six matrices that say how each neuron gates each other and what it then adds.

        They take 24 bytes × n_neurons²: 2.4 GB for 10,000 neurons.
        """
        query, key, value, readout = self.factors()
        return Interactions(
            P=query[0] @ key[0].T,
            Q=query[0] @ key[1].T,
            R=query[1] @ key[0].T,
            T=query[1] @ key[1].T,
            G=readout @ value[0].T,
            H=readout @ value[1].T,
        )

    @torch.no_grad()
    def collapsed_chain(self) -> tuple[Float[Tensor, "coarse neuron"], Float[Tensor, "coarse"]]:
        """Return the one matrix and bias to which the three linear layers amount."""
        first, second, third = (layer for layer in self.chain if isinstance(layer, nn.Linear))
        tail = third.weight @ second.weight
        return tail @ first.weight, tail @ first.bias + third.weight @ second.bias + third.bias


class NeuronVectors(nn.Module):
    """What belongs to each neuron alone: the two vectors of its token, its read-out vector and the latter's bias.

    Parameters
    ----------
    n_neurons
        Number of neurons.
    width
        Length of a token.
    """

    def __init__(self, n_neurons: int, width: int) -> None:
        super().__init__()
        self.weight, self.bias, self.read_out = (nn.Parameter(torch.zeros(n_neurons, width)) for _ in range(3))
        self.read_bias = nn.Parameter(torch.zeros(n_neurons))
        self.width = width

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Draw as 2 · n_neurons separate linear layers would (1 → width, and width → 1), as the published tower does."""
        bound = 1 / math.sqrt(self.width)
        for parameter, limit in ((self.weight, 1.0), (self.bias, 1.0), (self.read_out, bound), (self.read_bias, bound)):
            parameter.uniform_(-limit, limit, generator=generator)
