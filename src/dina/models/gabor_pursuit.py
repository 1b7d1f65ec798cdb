"""Explain neurons by the sum of a few Gabors: greedy choice, second thoughts, and places finer than the grid."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.models.gabor_windows import TERMS, GaborWindow

MOST_COMPONENTS = 4
NONLINEAR = 4  # row, column, wavelength and orientation of a Gabor
RIDGE = 1e-3  # times the sum of squares of a term, which is 1


@dataclass(frozen=True, eq=False)
class Components:
    """Gabors that together explain each neuron; where a neuron has fewer than others, their variance is 0.

    Parameters
    ----------
    number
        Of each Gabor in the window.
    coefficients
        Of its terms.
    variance
        Of its contribution, as a fraction of the response's.
    wavelength
        In pixels, from a parabola through its neighbours in octaves.
    orientation, row, column
        Where it lies in the window's ``shape``, with fractions from such parabolas.
    """

    number: Int[Tensor, "component neuron"]
    coefficients: Float[Tensor, "term component neuron"]
    variance: Float[Tensor, "component neuron"]
    wavelength: Float[Tensor, "component neuron"]
    orientation: Float[Tensor, "component neuron"]
    row: Float[Tensor, "component neuron"]
    column: Float[Tensor, "component neuron"]


def pursue(window: GaborWindow, responses: Float[Tensor, "image neuron"]) -> Components:
    r"""Choose one to four Gabors for every neuron.

    Gabors are added one by one: the one that explains most of what is left, after which each of the earlier ones may be
    exchanged for a better one. A further one is kept only if the residual sum of squares :math:`S` falls by more than the
    best of many Gabors would make it fall in noise: :math:`n \ln(S_{k-1} / S_k) > 7 \ln n + 2 \ln m`, with n images, seven
    numbers to a Gabor (three coefficients, place, wavelength, orientation), and m Gabors to choose from.

    Parameters
    ----------
    window
        Gabors of the training images.
    responses
        Of zero mean and unit sum of squares, each neuron.
    """
    n_images, n_neurons = responses.shape
    least = (TERMS + NONLINEAR) * math.log(n_images) + 2 * math.log(math.prod(window.shape))
    numbers = torch.zeros(MOST_COMPONENTS, n_neurons, dtype=torch.long)
    coefficients = torch.zeros(TERMS, MOST_COMPONENTS, n_neurons)
    growing, chosen = torch.arange(n_neurons), torch.zeros(0, n_neurons, dtype=torch.long)
    residual, left = responses, torch.full((n_neurons,), torch.inf)  # the first is kept, however little it explains
    for n_components in range(1, MOST_COMPONENTS + 1):
        wanted = responses[:, growing]
        tried = _exchange(window, torch.cat([chosen, window.gains(residual).argmax(1)[None]]), wanted)
        found = _solve(window, tried, wanted)
        residual = wanted - _contributions(window, tried, found).sum(1)
        now = residual.square().sum(0)
        is_better = n_images * torch.log(left / now.clamp_min(1e-12)) > least
        growing, chosen, residual, left = growing[is_better], tried[:, is_better], residual[:, is_better], now[is_better]
        if not len(growing):
            break
        numbers[:n_components, growing], coefficients[:, :n_components, growing] = chosen, found[:, :, is_better]
    return _refine(window, numbers, coefficients, responses)


def _contributions(window: GaborWindow, numbers: Tensor, coefficients: Tensor) -> Float[Tensor, "image component neuron"]:
    return (window.of_gabors(numbers) * coefficients[:, None]).sum(0)


def _solve(window: GaborWindow, numbers: Tensor, wanted: Tensor) -> Float[Tensor, "term component neuron"]:
    """Fit all components of each neuron together."""
    terms = window.of_gabors(numbers).permute(3, 1, 0, 2).flatten(2)
    gram = terms.mT @ terms
    gram.diagonal(dim1=1, dim2=2).add_(RIDGE)
    solved = torch.linalg.solve(gram, terms.mT @ wanted.T[:, :, None])[:, :, 0]
    return solved.unflatten(1, (TERMS, -1)).permute(1, 2, 0)


def _exchange(window: GaborWindow, numbers: Tensor, wanted: Tensor) -> Int[Tensor, "component neuron"]:
    """Choose each component anew, the others being as they are; one component alone is the best already."""
    numbers = numbers.clone()
    for place in range(len(numbers) if len(numbers) > 1 else 0):
        numbers[place] = _gains_without(window, numbers, _solve(window, numbers, wanted), place, wanted).argmax(1)
    return numbers


def _gains_without(
    window: GaborWindow, numbers: Tensor, coefficients: Tensor, place: int, wanted: Tensor
) -> Float[Tensor, "neuron gabor"]:
    """Return what every Gabor would explain of what all components but one leave over."""
    others = [other for other in range(len(numbers)) if other != place]
    return window.gains(wanted - _contributions(window, numbers[others], coefficients[:, others]).sum(1))


def _refine(window: GaborWindow, numbers: Tensor, coefficients: Tensor, responses: Tensor) -> Components:
    """Find the maximum between the Gabors of the grid, along each of its axes."""
    variance = _contributions(window, numbers, coefficients).square().sum(0)
    axes = (window.octaves, *(torch.arange(length, dtype=torch.float32) for length in window.shape[1:]))
    peaks = []
    for place, own in enumerate(numbers):
        gains = _gains_without(window, numbers, coefficients, place, responses)
        along = enumerate(axes)
        peaks.append([_peak(gains, own, math.prod(window.shape[n + 1 :]), places, is_circular=n == 1) for n, places in along])
    octave, *others = (torch.stack(along) for along in zip(*peaks, strict=True))
    return Components(numbers, coefficients, variance, torch.exp2(octave), *others)


def _peak(gains: Tensor, own: Tensor, stride: int, places: Tensor, *, is_circular: bool) -> Float[Tensor, "neuron"]:
    """Return where along one axis the gain is largest, at most half way to a neighbour; its own place at the border."""
    length = len(places)
    along = own // stride % length
    middle = gains.gather(1, own[:, None])[:, 0]
    left, right = (
        gains.gather(1, (own + ((along + shift) % length - along) * stride)[:, None])[:, 0] - middle for shift in (-1, 1)
    )
    gaps = places.diff()  # on a circle all are the same
    below, above = gaps[(along - 1).clamp_min(0)], gaps[along.clamp_max(length - 2)]
    rise, fall = -left / below, right / above
    bend = fall - rise
    is_inside = (bend < 0) & (is_circular | ((along > 0) & (along < length - 1)))
    shift = torch.where(is_inside, -(rise * above + fall * below) / (2 * bend), 0.0)
    return places[along] + shift.clamp(-below / 2, above / 2)
