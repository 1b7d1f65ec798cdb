"""Smooth local patterns on the grid of a feature map: a Gaussian window times low-order polynomials."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

REACH = 3.0  # a window ends at this many widths from its centre


def hermite_fields(
    grid: tuple[int, int], centres: Float[Tensor, "cell 2"], width: float, order: int
) -> Float[Tensor, "cell basis height width"]:
    r"""Return Hermite polynomials in a Gaussian window around each centre: what a receptive field may look like in one channel.

    Weights that are combinations of these are confined to a Gaussian window and smooth inside it, with
    ``(order + 1)(order + 2) / 2`` numbers per channel instead of one for every place.

    Parameters
    ----------
    grid
        (height, width) of the map in places.
    centres
        Row and column of each centre, in places.
    width
        Standard deviation of the window, in places.
    order
        Highest total order of the polynomials; 0 for the Gaussian alone.

    Returns
    -------
    fields
        Shape ``(n_cells, n_basis, height, width)``; the Gaussian has unit norm on an endless grid; 0 beyond three widths.

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
    along = []
    for axis, n_places in enumerate(grid):
        distance = (torch.arange(n_places, dtype=torch.float32, device=centres.device) - centres[:, axis, None]) / width
        window = torch.exp(-0.5 * distance.square()) * (distance.abs() <= REACH)
        polynomials = [torch.ones_like(distance), distance]
        for n in range(1, order):
            polynomials.append(distance * polynomials[n] - n * polynomials[n - 1])
        along.append([p * window / math.sqrt(math.factorial(n)) for n, p in enumerate(polynomials[: order + 1])])
    pairs = [(a, b) for total in range(order + 1) for a in range(total + 1) for b in [total - a]]
    fields = torch.stack([along[0][a][:, :, None] * along[1][b][:, None, :] for a, b in pairs], dim=1)
    return fields / (math.sqrt(math.pi) * width)


def count_fields(order: int) -> int:
    """Return the number of patterns per centre, ``(order + 1)(order + 2) / 2``."""
    return (order + 1) * (order + 2) // 2
