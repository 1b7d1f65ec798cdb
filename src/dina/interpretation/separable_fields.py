"""What every neuron is expected to answer, channel by channel or to a part of a map, from the rows and columns of its field."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from dina.towers.field_basis import hermite_fields
from dina.towers.neural.projective_fields import ProjectiveFields


class SeparableFields:
    r"""The fields of a `ProjectiveFields` tower as products of a pattern along rows and one along columns.

    Gives what ``tower.predict`` gives, in a third of the time, and two things that it does not: the contribution of each
    channel, and the contribution of a block of places. Hermite patterns are products of one-dimensional ones, so that a
    map is first reduced along its rows and then along its columns by plain matrix products.

    Parameters
    ----------
    tower
        Whose weights, centres and width are taken; it must not change afterwards.
    """

    def __init__(self, tower: ProjectiveFields) -> None:
        _, height, width = tower.map_shape
        self.n_neurons, self.order = tower.n_neurons, tower.order
        pairs = [(a, total - a) for total in range(tower.order + 1) for a in range(total + 1)]
        self.pairs = torch.tensor(pairs, device=tower.centre.device)
        row, column = tower.centre.unbind(1)
        self.row_of, self.columns_of, self.members = [], [], []
        for value in torch.unique(row):
            inside = torch.where(row == value)[0]
            columns, number = torch.unique(column[inside], return_inverse=True)
            self.row_of.append(_along(tower, value[None], height, axis=0)[0])
            self.columns_of.append(_along(tower, columns, width, axis=1))
            self.members.append([inside[number == cell] for cell in range(len(columns))])
        self.weights = tower.weights.permute(0, 2, 1).contiguous()  # neuron, channel, basis

    def predict(
        self, maps: Float[Tensor, "batch part height width"], channels: slice, origin: tuple[int, int] = (0, 0)
    ) -> Float[Tensor, "batch neuron"]:
        """Return what a block of places adds to each neuron's expected response.

        Parameters
        ----------
        maps
            Values of some channels within the block; all other channels and places count as 0.
        channels
            Which channels of the tower these are.
        origin
            Row and column of the block's first place.
        """
        result = maps.new_zeros(len(maps), self.n_neurons)
        for members, patterns in self._patterns(maps, origin):
            result[:, members] = patterns.flatten(1) @ self.weights[members, channels].flatten(1).T
        return result

    def predict_by_channel(self, maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel neuron"]:
        """Return what each channel alone adds to each neuron's expected response; the sum over channels is the whole."""
        result = maps.new_zeros(len(maps), maps.shape[1], self.n_neurons)
        for members, patterns in self._patterns(maps, (0, 0)):
            result[:, :, members] = torch.einsum("bck,nck->bcn", patterns, self.weights[members])
        return result

    def _patterns(self, maps: Tensor, origin: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the neurons of each centre near the block with their patterns (batch, channel, basis)."""
        (top, left), (height, width) = origin, maps.shape[2:]
        for rows, columns, members in zip(self.row_of, self.columns_of, self.members, strict=True):
            rows_here = rows[:, top : top + height]
            columns_here = columns[:, :, left : left + width]
            near = torch.where(columns_here.abs().amax(dim=(1, 2)) > 0)[0]
            if not len(near) or not bool(rows_here.any()):
                continue
            by_row = torch.einsum("ah,bchw->bcaw", rows_here, maps)
            patterns = by_row @ columns_here[near].flatten(0, 1).T  # batch, channel, a, near × b
            patterns = patterns.reshape(*patterns.shape[:3], len(near), -1)
            chosen = patterns[:, :, self.pairs[:, 0], :, self.pairs[:, 1]]  # basis, batch, channel, near
            for place, cell in enumerate(near.tolist()):
                yield members[cell], chosen[..., place].permute(1, 2, 0)


def _along(tower: ProjectiveFields, centre: Tensor, n_places: int, axis: int) -> Float[Tensor, "cell order place"]:
    """Return the one-dimensional patterns of every order: fields on a grid of one row or one column."""
    grid = (n_places, 1) if axis == 0 else (1, n_places)
    centres = torch.zeros(len(centre), 2, device=centre.device)
    centres[:, axis] = centre
    width = float(tower.width)
    fields = hermite_fields(grid, centres, width, tower.order).flatten(2)
    # among the patterns of total order n, the one that has all of it along this axis is the last (rows) or the first (columns)
    first = [n * (n + 1) // 2 for n in range(tower.order + 1)]
    own = [start + n if axis == 0 else start for n, start in enumerate(first)]
    return fields[:, own] * math.sqrt(math.sqrt(math.pi) * width)
