"""Exact neuron attention without tokens, against the same layer written with tokens, vectorised over batch and neurons.

Both compute the same function with the same weights, forward and backward, in single precision. The released code, with one layer
object per neuron, is far slower than the vectorised tokens; they see a part of the batch, because their memory grows with batch × neurons².
"""

import math
from collections.abc import Callable, Iterator

import torch
from benchmarks.speed.contest import Line, Side, compete, exponent, relative_difference

from dina.models.towers.neural.paper_neuron_attention import NeuronAttention, attend
from dina.models.towers.tower import initialise

GOAL = 30.0
Layer = Callable[[NeuronAttention, torch.Tensor], torch.Tensor]


def attend_with_tokens(tower: NeuronAttention, responses: torch.Tensor) -> torch.Tensor:
    read = tower.tokens
    token = responses[:, :, None] * read.weight + read.bias
    query, key, value = tower.query(token), tower.key(token), tower.value(token)
    weight = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(token.shape[-1]), dim=-1)
    return (read.read_out * tower.output(weight @ value)).sum(-1) + read.read_bias


def attend_exactly(tower: NeuronAttention, responses: torch.Tensor) -> torch.Tensor:
    return attend(responses, tower.factors()) + tower.tokens.read_bias + tower.tokens.read_out @ tower.output.bias


def measure(*, quick: bool) -> Iterator[Line]:
    """Compare both forms at two sizes, and let neurons and batch grow."""
    for n_neurons, batch, part in ((48, 8, 4),) if quick else ((2000, 128, 16), (1000, 64, 16)):
        tower, responses = _tower(n_neurons), _responses(batch, n_neurons)
        with torch.no_grad():
            few = responses[:part]
            difference = relative_difference(attend_exactly(tower, few), attend_with_tokens(tower, few))
        times = compete(
            Side(_step(attend_exactly, tower, responses)),
            Side(_step(attend_with_tokens, tower, few), share=part / batch),
            quick=quick,
        )
        line = Line(
            work=f"neuron attention, forward and backward: {n_neurons:,} neurons, batch {batch}",
            peer=f"tokens, vectorised ({part} of the batch)",
            goal=f"≥ {GOAL:g} ×",
            times=times,
            is_reached=times.ratio[0] >= GOAL,
            agreement=f"{difference:.0e}",
        )
        if n_neurons in (48, 1000):
            line.growth = _growth(quick=quick)
        yield line


def _growth(*, quick: bool) -> dict[str, float]:
    neurons, batches = ((16, 32), (2, 4)) if quick else ((500, 1000, 2000, 4000), (16, 32, 64, 128))
    n_neurons, batch = neurons[1], batches[1]
    return {
        "neurons": exponent(lambda n: _step(attend_exactly, _tower(n), _responses(batch, n)), neurons),
        "batch": exponent(lambda n: _step(attend_exactly, _tower(n_neurons), _responses(n, n_neurons)), batches),
    }


def _tower(n_neurons: int) -> NeuronAttention:
    tower = NeuronAttention(n_neurons)
    initialise(tower, torch.Generator().manual_seed(0))
    return tower


def _responses(batch: int, n_neurons: int) -> torch.Tensor:
    return torch.rand(batch, n_neurons, generator=torch.Generator().manual_seed(1))


def _step(layer: Layer, tower: NeuronAttention, responses: torch.Tensor) -> Callable[[], None]:
    def step() -> None:
        tower.zero_grad(set_to_none=True)
        layer(tower, responses).square().sum().backward()

    return step
