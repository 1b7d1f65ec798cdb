"""Blocks of neurons that are fitted apart, by this process or by the workers of a dask scheduler, and what holds all of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from dina.large_arrays import large_zeros

Result = TypeVar("Result")

# The client of a dask scheduler; None where this process computes alone. Workers have none of their own.
_CLIENT: ContextVar[Any] = ContextVar("client", default=None)


@contextmanager
def blocks_on(client: Any) -> Iterator[None]:
    """Let the workers of a client of dask.distributed fit blocks of neurons, in whatever is computed inside."""
    token = _CLIENT.set(client)
    try:
        yield
    finally:
        _CLIENT.reset(token)


def divide_neurons(place: Shaped[Tensor, "neuron axis"]) -> list[Any]:
    """Return the neurons of each block, one block for each worker; all neurons where there are no workers.

    Neurons of one place stay together, because fits of one place share most of their work.
    """
    if _CLIENT.get() is None or place.device.type != "cpu":
        return [slice(None)]
    places, number = torch.unique(place, dim=0, return_inverse=True)
    n_blocks = min(len(places), max(1, len(_CLIENT.get().nthreads())))
    of_block = number * n_blocks // len(places)
    return [torch.where(of_block == block)[0] for block in range(n_blocks)]


def on_workers(function: Callable[..., Result], shared: Sequence[Any], blocks: Sequence[Sequence[Any]]) -> list[Result]:
    """Return what a function gives for the arguments of each block after those that all blocks share.

    A single block is computed here. A worker that is lost loses nothing: its blocks are given to others.
    """
    client = _CLIENT.get()
    if client is None or len(blocks) == 1:
        return [function(*shared, *block) for block in blocks]
    held = [client.scatter(each, broadcast=True, hash=False, direct=False) for each in shared]
    futures = [client.submit(function, *held, *block, pure=False) for block in blocks]
    found: list[Result] = client.gather(futures)
    return found


def join_neurons(parts: Sequence[Tensor], neurons: Sequence[Any], axis: int = 0) -> Tensor:
    """Return what was found for each block, its neurons along ``axis``, with all neurons in their order."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat(list(parts), dim=axis).index_select(axis, torch.cat(list(neurons)).argsort())


def large_like(tensor: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return zeros in the shape of a tensor, on its device; on the CPU those of many neurons lie in a file (`large_zeros`).

    Examples
    --------
    >>> large_like(torch.ones(2))
    tensor([0., 0.])
    """
    if tensor.device.type != "cpu" or tensor.dtype != torch.float32:
        return torch.zeros_like(tensor)
    return torch.from_numpy(large_zeros(tuple(tensor.shape)))
