"""Which place of a feature map each neuron follows: the centre that windows of weights, and better estimates, start from."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from dina.neuron_blocks import divide_neurons, join_neurons, on_workers

NEURONS_AT_ONCE = 4096  # whose correlations with a row of places are held


def move_places(places: Float[Tensor, "neuron 2"], grid: Sequence[int], other: Sequence[int]) -> Float[Tensor, "neuron 2"]:
    """Return the same places of the image, in rows and columns of another grid; both grids cover the whole image.

    Examples
    --------
    >>> move_places(torch.tensor([[0.0, 3.0]]), (2, 4), (4, 8))
    tensor([[0.5000, 6.5000]])
    """
    scale = torch.tensor([theirs / ours for ours, theirs in zip(grid, other, strict=True)], device=places.device)
    return (places + 0.5) * scale - 0.5


def estimate_centres(
    maps: Float[Tensor, "stimulus channel height width"], responses: Float[Tensor, "stimulus neuron"], smoothing: float = 1.0
) -> Float[Tensor, "neuron 2"]:
    """Return the row and column, in whole places, where the channels together correlate most with each neuron.

    Squared correlations are summed over channels and smoothed over places (``smoothing`` is the standard deviation in places).
    A neuron that follows no channel gets an arbitrary place.
    """
    neurons = divide_neurons(torch.arange(responses.shape[1], device=responses.device)[:, None])
    found = on_workers(_estimate_some, (maps,), [(responses[:, some], smoothing) for some in neurons])
    return join_neurons(found, neurons)


def _estimate_some(maps: Tensor, responses: Tensor, smoothing: float) -> Float[Tensor, "neuron 2"]:
    return torch.cat([_estimate(maps, some, smoothing) for some in torch.split(responses, NEURONS_AT_ONCE, dim=1)])


def _estimate(maps: Tensor, responses: Tensor, smoothing: float) -> Float[Tensor, "neuron 2"]:
    height, width = maps.shape[2:]
    centred = responses - responses.mean(0)
    unit = centred / (centred.norm(dim=0) + 1e-6)
    evidence = responses.new_zeros(height, width, responses.shape[1])
    for row in range(height):  # one row of places at a time keeps the correlations small
        place = maps[:, :, row].contiguous().float()
        place = place - place.mean(0)
        place = place / (place.norm(dim=0) + 1e-6)
        correlation = place.flatten(1).T @ unit
        evidence[row] = correlation.square().unflatten(0, (-1, width)).sum(0)
    rows, columns = (_smoothing_matrix(n, smoothing, responses) for n in (height, width))
    smooth = torch.einsum("ij,jkn->ikn", rows, torch.einsum("kl,jln->jkn", columns, evidence))
    best = smooth.flatten(0, 1).argmax(0)
    return torch.stack([best // width, best % width], dim=1).float()


def _smoothing_matrix(n_places: int, deviation: float, like: Tensor) -> Tensor:
    distance = torch.arange(n_places, device=like.device)[:, None] - torch.arange(n_places, device=like.device)[None]
    # not normalised at the border: half a field off the map is half the evidence
    return torch.exp(-0.5 * (distance / deviation) ** 2).to(like.dtype)
