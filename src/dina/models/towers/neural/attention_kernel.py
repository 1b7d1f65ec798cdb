"""Attention over neurons without tokens: the exact function, computed from neuron-by-neuron matrices in small tiles."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

CACHE_ELEMENTS = 131_072
"""Elements of one tile on a CPU: half a megabyte in single precision stays in the second-level cache."""
DEVICE_ELEMENTS = 1 << 26
"""Elements of one tile on a GPU: 256 MB in single precision, enough to fill it."""
KEPT_ELEMENTS = 1 << 27
"""The matrices (6 × n_neurons²) are kept for the backward pass up to this size, else made again."""
BLOCK_ELEMENTS = 1 << 22
"""Elements of one block of rows of all six matrices on a CPU."""


class Factors(NamedTuple):
    """What the six matrices are products of; the first axis is (what a response multiplies, constant part).

    Parameters
    ----------
    query, key, value
        Shape ``(2, n_neurons, width)``; the query includes the factor 1/√width.
    readout
        Each neuron's read-out vector carried through the output projection, shape ``(n_neurons, width)``.
    """

    query: Float[Tensor, "2 neuron width"]
    key: Float[Tensor, "2 neuron width"]
    value: Float[Tensor, "2 neuron width"]
    readout: Float[Tensor, "neuron width"]


def attend(responses: Float[Tensor, "batch neuron"], factors: Factors) -> Float[Tensor, "batch neuron"]:
    r"""Let every neuron attend to all neurons and read one number.

    With tokens :math:`r_i w_i + b_i`, the score of neuron *i* for neuron *j* is
    :math:`r_j (r_i P_{ij} + R_{ij}) + (r_i Q_{ij} + T_{ij})` and what it then reads is :math:`r_j G_{ij} + H_{ij}`,
    so that

    .. math:: y_i = \sum_j \mathrm{softmax}_j(\mathrm{score}_{ij}) \, (r_j G_{ij} + H_{ij})

    The six matrices depend on weights only and serve the whole batch. Tiles of (neurons × samples × neurons) are small
    enough for the cache; no array of size batch × neurons × neurons is ever made. The backward pass is written by hand
    and computes the softmax again, tile by tile.

    Parameters
    ----------
    responses
        Dimensionless, shape ``(batch, n_neurons)``.
    factors
        The factors of the six matrices, in the precision of ``responses``.

    Returns
    -------
    read
        Shape ``(batch, n_neurons)``.
    """
    read: Tensor = _Attend.apply(responses, *factors)  # type: ignore[no-untyped-call]
    return read


class _Attend(Function):
    @staticmethod
    def forward(ctx: Any, responses: Tensor, query: Tensor, key: Tensor, value: Tensor, readout: Tensor) -> Tensor:
        factors = Factors(query, key, value, readout)
        read = torch.empty_like(responses)
        is_kept = any(ctx.needs_input_grad) and 6 * responses.shape[1] ** 2 <= KEPT_ELEMENTS
        kept: list[Tensor] = []
        for rows in _blocks(responses):
            gate, content = _matrices(factors, rows)
            if is_kept:
                kept += [gate, content]
            for tile, neurons, samples in _tiles(rows, responses):
                others = responses[samples]
                weight = torch.softmax(_scores(responses[samples, neurons].T, others, gate[:, tile]), -1)
                constant = torch.bmm(weight, content[tile, 1, :, None])
                scaled = torch.bmm(weight.mul_(others), content[tile, 0, :, None])
                read[samples, neurons] = (constant + scaled)[..., 0].T
        ctx.save_for_backward(responses, read, *factors, *kept)
        return read

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        responses, read, *saved = ctx.saved_tensors
        factors, kept = Factors(*saved[:4]), saved[4:]
        into_responses = torch.zeros_like(responses) if ctx.needs_input_grad[0] else None
        into = Factors(*(torch.zeros_like(factor) for factor in factors))
        for number, rows in enumerate(_blocks(responses)):
            gate, content = kept[2 * number : 2 * number + 2] if kept else _matrices(factors, rows)
            into_gate, into_content = torch.zeros_like(gate), torch.zeros_like(content)
            for tile, neurons, samples in _tiles(rows, responses):
                own, answer, change = (t[samples, neurons].T for t in (responses, read, upstream))
                step = _Tile(own, responses[samples], answer, change, gate[:, tile], content[tile])
                weight, pull = step.add_matrix_gradients(into_gate[:, tile], into_content[tile])
                if into_responses is not None:
                    into_own, into_others = step.response_gradients(weight, pull)
                    into_responses[samples, neurons] += into_own.T
                    into_responses[samples] += into_others
            _add_factor_gradients(into, factors, rows, into_gate, into_content)
        return into_responses, *into


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


def _blocks(responses: Tensor) -> list[slice]:
    """Cut the neurons into blocks of rows whose matrices are made together."""
    n_neurons = responses.shape[1]
    budget = BLOCK_ELEMENTS if responses.device.type == "cpu" else DEVICE_ELEMENTS
    height = max(1, min(n_neurons, budget // (6 * n_neurons)))
    return [slice(first, min(first + height, n_neurons)) for first in range(0, n_neurons, height)]


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
