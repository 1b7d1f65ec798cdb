"""The published neural tower: every neuron attends to all neurons, in an exact form that needs no tokens."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from dina.models.towers.batch_norm import BatchNorm1d
from dina.models.towers.divided_batch import gather_rows, own_rows, place_of_rows
from dina.models.towers.map_geometry import Centring, centre_maps, resize_bilinear
from dina.models.towers.tower import FeatureMaps, MapShape, NeuralTower, NeuronDropout, ResponseBatch

# What attention reads: responses between their minimum and maximum of training (published), or as they are given, standardised.
Scaling = Literal["min_max", "standardised"]

# Elements of one tile on a CPU: half a megabyte in single precision stays in the second-level cache.
CACHE_ELEMENTS = 131_072
# Elements of one tile on a GPU: 256 MB in single precision, enough to fill it.
DEVICE_ELEMENTS = 1 << 26
# The matrices (6 × n_neurons²) are kept for the backward pass up to this size, else made again.
KEPT_ELEMENTS = 1 << 27
# Elements of one block of rows of all six matrices on a CPU.
BLOCK_ELEMENTS = 1 << 22
COARSE_MAP = (8, 32)
HIDDEN = (2048, 512)


class Factors(NamedTuple):
    """Factors of the six matrices; the first axis is (factor of a response, constant part).

    ``query`` includes the factor 1/√width; ``readout`` is each neuron's read-out vector carried through the output projection.
    """

    query: Float[Tensor, "2 neuron width"]
    key: Float[Tensor, "2 neuron width"]
    value: Float[Tensor, "2 neuron width"]
    readout: Float[Tensor, "neuron width"]


def attend(responses: ResponseBatch, factors: Factors) -> ResponseBatch:
    r"""Let every neuron attend to all neurons and read one number.

    With tokens :math:`r_i w_i + b_i`, the score of neuron *i* for neuron *j* is
    :math:`r_j (r_i P_{ij} + R_{ij}) + (r_i Q_{ij} + T_{ij})` and it then reads :math:`r_j G_{ij} + H_{ij}`, so that

    .. math:: y_i = \sum_j \mathrm{softmax}_j(\mathrm{score}_{ij}) \, (r_j G_{ij} + H_{ij})

    The six matrices depend on weights only and serve the whole batch. Tiles of (neurons × samples × neurons) are small
    enough for the cache; no array of size batch × neurons × neurons is ever made. The backward pass is written by hand
    and computes the softmax again, tile by tile. Responses and factors must have the same precision.

    Where processes divide a batch, each computes the attention of its part of the neurons, for the samples of all processes. So
    the matrices are divided, which no share of the samples would make smaller.
    """
    first, _ = place_of_rows(len(responses))
    part = own_rows(responses.shape[1])
    query, readout = factors.query[:, part], factors.readout[part]
    own: Tensor = _Attend.apply(gather_rows(responses), part, query, factors.key, factors.value, readout)  # type: ignore[no-untyped-call]
    return gather_rows(own.T).T[first : first + len(responses)]


class _Attend(Function):
    """What some neurons (``part``, to which ``query`` and ``readout`` belong) read from all neurons."""

    @staticmethod
    def forward(ctx: Any, responses: Tensor, part: slice, query: Tensor, key: Tensor, value: Tensor, readout: Tensor) -> Tensor:
        factors = Factors(query, key, value, readout)
        own = responses[:, part]
        read = torch.empty_like(own)
        is_kept = any(ctx.needs_input_grad) and 6 * own.shape[1] * responses.shape[1] <= KEPT_ELEMENTS
        kept: list[Tensor] = []
        for rows in _blocks(own, responses):
            gate, content = _matrices(factors, rows)
            if is_kept:
                kept += [gate, content]
            for tile, neurons, samples in _tiles(rows, responses):
                others = responses[samples]
                weight = torch.softmax(_scores(own[samples, neurons].T, others, gate[:, tile]), -1)
                constant = torch.bmm(weight, content[tile, 1, :, None])
                scaled = torch.bmm(weight.mul_(others), content[tile, 0, :, None])
                read[samples, neurons] = (constant + scaled)[..., 0].T
        ctx.part = part
        ctx.save_for_backward(responses, read, *factors, *kept)
        return read

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        responses, read, *saved = ctx.saved_tensors
        factors, kept = Factors(*saved[:4]), saved[4:]
        of_part = responses[:, ctx.part]
        into_responses = torch.zeros_like(responses) if ctx.needs_input_grad[0] else None
        into = Factors(*(torch.zeros_like(factor) for factor in factors))
        for number, rows in enumerate(_blocks(of_part, responses)):
            gate, content = kept[2 * number : 2 * number + 2] if kept else _matrices(factors, rows)
            into_gate, into_content = torch.zeros_like(gate), torch.zeros_like(content)
            for tile, neurons, samples in _tiles(rows, responses):
                own, answer, change = (t[samples, neurons].T for t in (of_part, read, upstream))
                step = _Tile(own, responses[samples], answer, change, gate[:, tile], content[tile])
                weight, pull = step.add_matrix_gradients(into_gate[:, tile], into_content[tile])
                if into_responses is not None:
                    into_own, into_others = step.response_gradients(weight, pull)
                    into_responses[:, ctx.part][samples, neurons] += into_own.T
                    into_responses[samples] += into_others
            _add_factor_gradients(into, factors, rows, into_gate, into_content)
        return into_responses, None, *into


class _Tile(NamedTuple):
    """One tile of the backward pass: own and answer and change are (row, sample), others (sample, neuron)."""

    own: Tensor
    others: Tensor
    answer: Tensor
    change: Tensor
    gate: Tensor
    content: Tensor

    def add_matrix_gradients(self, into_gate: Tensor, into_content: Tensor) -> tuple[Tensor, Tensor]:
        """Add to the gradients of the matrices; return the softmax weights and the pull on each score per change."""
        weight = torch.softmax(_scores(self.own, self.others, self.gate), -1)
        change = self.change[:, None]
        into_content[:, 1] += torch.bmm(change, weight)[:, 0]
        into_content[:, 0] += torch.bmm(change, weight * self.others)[:, 0]
        pull = torch.addcmul(self.content[:, 1, None], self.content[:, 0, None], self.others)
        pull.sub_(self.answer[..., None]).mul_(weight)
        both = torch.stack((self.change * self.own, self.change), dim=1)
        into_gate[:, :, 1] += torch.bmm(both, pull).transpose(0, 1)
        into_gate[:, :, 0] += torch.bmm(both, pull * self.others).transpose(0, 1)
        return weight, pull

    def response_gradients(self, weight: Tensor, pull: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients (row, sample) of the asking and (sample, neuron) of the asked responses."""
        slope = torch.addcmul(self.gate[0, :, 1, None], self.gate[0, :, 0, None], self.others)
        into_own = self.change * (pull * slope).sum(-1)
        slope = torch.addcmul(self.gate[1, :, 0, None], self.gate[0, :, 0, None], self.own[..., None])
        total = slope.mul_(pull).addcmul_(weight, self.content[:, 0, None])
        return into_own, total.mul_(self.change[..., None]).sum(0)


def _blocks(own: Tensor, responses: Tensor) -> list[slice]:
    """Cut the neurons that read into blocks of rows whose matrices are made together."""
    n_rows, n_neurons = own.shape[1], responses.shape[1]
    budget = BLOCK_ELEMENTS if responses.device.type == "cpu" else DEVICE_ELEMENTS
    height = max(1, min(n_rows, budget // (6 * n_neurons)))
    return [slice(first, min(first + height, n_rows)) for first in range(0, n_rows, height)]


def _tiles(rows: slice, responses: Tensor) -> list[tuple[slice, slice, slice]]:
    """Cut a block into tiles small enough for fast memory: (rows within the block, the same neurons, samples)."""
    n_samples, n_neurons = responses.shape
    is_cpu = responses.device.type == "cpu"
    budget = CACHE_ELEMENTS if is_cpu else DEVICE_ELEMENTS
    n_together = max(1, min(n_samples, budget // n_neurons))
    # on a CPU a product with one neuron's row is several times faster than a batch of them
    height = 1 if is_cpu else max(1, budget // (n_together * n_neurons))
    tiles = []
    for first in range(rows.start, rows.stop, height):
        last = min(first + height, rows.stop)
        for sample in range(0, n_samples, n_together):
            samples = slice(sample, min(sample + n_together, n_samples))
            tiles.append((slice(first - rows.start, last - rows.start), slice(first, last), samples))
    return tiles


def _matrices(factors: Factors, rows: slice) -> tuple[Tensor, Tensor]:
    """Make the rows of P, Q, R, T as (2, row, 2, neuron) and of G, H as (row, 2, neuron)."""
    width = factors.query.shape[-1]
    asking = factors.query[:, rows].reshape(-1, width)
    gate = asking @ factors.key.reshape(-1, width).T
    content = factors.readout[rows] @ factors.value.reshape(-1, width).T
    n_neurons = factors.key.shape[1]
    return gate.view(2, -1, 2, n_neurons), content.view(-1, 2, n_neurons)


def _scores(own: Tensor, others: Tensor, gate: Tensor) -> Tensor:
    """Scores (row, sample, neuron) from own responses (row, sample) and those of all neurons (sample, neuron)."""
    affine = torch.stack((own, torch.ones_like(own)), dim=-1)
    score = torch.bmm(affine, gate[:, :, 0].transpose(0, 1)).mul_(others)
    return score.baddbmm_(affine, gate[:, :, 1].transpose(0, 1))


def _add_factor_gradients(into: Factors, factors: Factors, rows: slice, into_gate: Tensor, into_content: Tensor) -> None:
    """Carry the gradients of a block of the matrices on to their factors."""
    width = factors.query.shape[-1]
    gate, content = into_gate.flatten(0, 1).flatten(1), into_content.flatten(1)
    into.query[:, rows] += (gate @ factors.key.reshape(-1, width)).view(2, -1, width)
    into.key.view(-1, width).addmm_(gate.T, factors.query[:, rows].reshape(-1, width))
    into.readout[rows] += content @ factors.value.reshape(-1, width)
    into.value.view(-1, width).addmm_(content.T, factors.readout[rows])


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
    scaling
        "min_max" as published, or "standardised".
    is_normalised
        Whether the number that each token is read back to is normalised over the batch (Ioffe & Szegedy 2015). Not published.
    hidden
        Widths between the neurons and the coarse map; published: 2048 and 512.
    dropout
        Probability of silencing a neuron while training; published: 0.

    Notes
    -----
    Because a token is affine in one number, attention needs only six matrices of neurons by neurons (`interactions`),
    which are shared by the whole batch; see `attend`. This is the published function, not an approximation.
    `learn_scaling` stores each neuron's minimum and maximum over the training trials; test responses are scaled by
    these and may leave [0, 1], they are not clipped.

    At the start the published map hardly depends on the response: scores are near 0, so that each neuron reads the mean over all
    neurons, and responses of heavy tails vary little between their minimum and maximum. ``scaling`` and ``is_normalised`` mend this.

    References
    ----------
    Ioffe & Szegedy (2015), https://doi.org/10.48550/arXiv.1502.03167.
    Wang et al. (2026), https://doi.org/10.48550/arXiv.2605.04309. They take minimum and maximum over all data, test
    data included; we do not.
    """

    def __init__(
        self,
        n_neurons: int,
        map_shape: MapShape = (1, 16, 64),
        width: int = 512,
        centring: Centring = "min_max",
        *,
        scaling: Scaling = "min_max",
        is_normalised: bool = False,
        hidden: Sequence[int] = HIDDEN,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(n_neurons, map_shape)
        self.centring = centring
        self.scaling = scaling
        self.dropout = NeuronDropout(dropout)
        self.tokens = NeuronVectors(n_neurons, width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.norm: nn.Module = BatchNorm1d(n_neurons) if is_normalised else nn.Identity()
        widths = (n_neurons, *hidden, map_shape[0] * COARSE_MAP[0] * COARSE_MAP[1])
        self.chain = nn.Sequential(*(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths)))
        self.lowest: Tensor
        self.inverse_range: Tensor
        self.register_buffer("lowest", torch.zeros(n_neurons))
        self.register_buffer("inverse_range", torch.ones(n_neurons))

    def learn_scaling(self, train_responses: Float[Tensor, "trial neuron"]) -> None:
        """Store each neuron's minimum and range over the training trials, where they are used; a constant neuron becomes 0."""
        if self.scaling == "standardised":
            return
        lowest, highest = train_responses.amin(0), train_responses.amax(0)
        self.lowest.copy_(lowest)
        self.inverse_range.copy_(torch.where(highest > lowest, 1 / (highest - lowest), torch.zeros_like(lowest)))

    def forward(self, responses: ResponseBatch) -> FeatureMaps:
        """Return feature maps of ``responses`` (standardised as in training; scaled to [0, 1] in here)."""
        self.check_input(responses)
        read = self.read_back(responses)
        if torch.is_grad_enabled() or len(read) < HIDDEN[1]:
            maps = self.chain(read)
        else:  # many samples and no training: one matrix instead of three
            weight, bias = self.collapsed_chain()
            maps = torch.addmm(bias, read, weight.T)
        maps = resize_bilinear(maps.to(read.dtype).unflatten(1, (self.map_shape[0], *COARSE_MAP)), self.map_shape[1:])
        return centre_maps(maps, self.centring)

    def read_back(self, responses: ResponseBatch) -> ResponseBatch:
        """Return the number to which each neuron's token is read back: what leaves attention and enters the linear layers."""
        with torch.autocast(responses.device.type, enabled=False):  # a softmax over thousands of neurons needs precision
            scaled = self.dropout((responses.to(self.lowest.dtype) - self.lowest) * self.inverse_range)
            read = attend(scaled, self.factors()) + self.tokens.read_bias + self.tokens.read_out @ self.output.bias
            normalised: Tensor = self.norm(read)
        return normalised

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
        """Return the six matrices that determine how each neuron gates every other neuron and what it adds to it.

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
        """Return the one matrix and bias to which the linear layers amount."""
        *before, last = (layer for layer in self.chain if isinstance(layer, nn.Linear))
        weight: Tensor = last.weight
        bias: Tensor = last.bias
        for layer in reversed(before):
            weight, bias = weight @ layer.weight, weight @ layer.bias + bias
        return weight, bias


class NeuronVectors(nn.Module):
    """The two vectors of each neuron's token, its read-out vector and the latter's bias."""

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
