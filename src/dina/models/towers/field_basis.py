"""Smooth local patterns on the grid of a feature map: a Gaussian window times low-order polynomials."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

REACH = 3.0  # a window ends at this many widths from its centre


def hermite_fields(
    grid: tuple[int, int], centres: Float[Tensor, "cell 2"], width: float, order: int
) -> Float[Tensor, "cell basis height width"]:
    r"""Return Hermite polynomials in a Gaussian window around each centre: possible receptive fields in one channel.

    Combinations of these are confined to a Gaussian window and smooth inside it, with ``(order + 1)(order + 2) / 2`` numbers per
    channel instead of one for every place. Grid, centres and the window's standard deviation are in places. The Gaussian has unit
    norm on an endless grid; fields are 0 beyond three widths.

    Notes
    -----
    :math:`h_a(u) = He_a(u) / \sqrt{a!} \cdot e^{-u^2/2}` along each axis with :math:`u` the distance in widths.
    They span the same space as the Hermite functions up to that order, but are not orthonormal: the window enters a
    product of two of them twice, so that patterns of higher order have a smaller norm and ridge shrinks them more.

    Examples
    --------
    >>> hermite_fields((5, 5), torch.tensor([[2.0, 2.0]]), width=1.0, order=2).shape
    torch.Size([1, 6, 5, 5])
    """
    along = [axis_patterns(n_places, centres[:, axis], width, order) for axis, n_places in enumerate(grid)]
    down, across = pattern_orders(order)
    return along[0][:, down, :, None] * along[1][:, across, None, :]


def axis_patterns(
    n_places: int, centres: Float[Tensor, "cell"], width: float, order: int
) -> Float[Tensor, "cell order_and_one place"]:
    """Return the patterns of every order along one axis; one of rows times one of columns is one of `hermite_fields`."""
    distance = (torch.arange(n_places, dtype=torch.float32, device=centres.device) - centres[:, None]) / width
    window = torch.exp(-0.5 * distance.square()) * (distance.abs() <= REACH)
    polynomials = [torch.ones_like(distance), distance]
    for n in range(1, order):
        polynomials.append(distance * polynomials[n] - n * polynomials[n - 1])
    patterns = [p * window / math.sqrt(math.factorial(n)) for n, p in enumerate(polynomials[: order + 1])]
    return torch.stack(patterns, dim=1) / math.sqrt(math.sqrt(math.pi) * width)


def pattern_orders(order: int) -> tuple[list[int], list[int]]:
    """Return the order along rows and the order along columns of each pattern of `hermite_fields`.

    Examples
    --------
    >>> pattern_orders(1)
    ([0, 0, 1], [0, 1, 0])
    """
    pairs = [(down, total - down) for total in range(order + 1) for down in range(total + 1)]
    down, across = zip(*pairs, strict=True)
    return list(down), list(across)


def count_fields(order: int) -> int:
    """Return the number of patterns per centre, ``(order + 1)(order + 2) / 2``."""
    return (order + 1) * (order + 2) // 2
