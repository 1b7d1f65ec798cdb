"""Expected responses of all neurons, channel by channel or to a part of a map, from separable receptive fields."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.models.towers.field_basis import axis_patterns, pattern_orders
from dina.models.towers.neural.projective_fields import ProjectiveFields

MAPS_AT_ONCE = 32


class SeparableFields:
    r"""The fields of a `ProjectiveFields` tower as products of a pattern along rows and one along columns.

    Its sums are those of ``tower.predict``. It also gives the contribution of each channel, and of a block of places.
    Hermite patterns are products of one-dimensional ones, so a map is reduced first along its rows and then along its
    columns by plain matrix products. The tower must not change afterwards.
    """

    def __init__(self, tower: ProjectiveFields) -> None:
        _, height, width = tower.map_shape
        self.n_neurons = tower.n_neurons
        self._beside = tower.beside
        rows, row = torch.unique(tower.centre[:, 0], return_inverse=True)
        columns, column = torch.unique(tower.centre[:, 1], return_inverse=True)
        reach = float(tower.width)
        self._rows = axis_patterns(height, rows, reach, tower.order)
        self._columns = axis_patterns(width, columns, reach, tower.order)
        self._down, self._across = (torch.tensor(part, device=row.device) for part in pattern_orders(tower.order))
        members = _groups(row * len(columns) + column, self.n_neurons)
        first = members[:, 0]
        self._members, self._row, self._column = members, row[first], column[first]
        # group, channel, basis, member; a member that is not there has weights of 0
        padded = torch.cat([tower.weights, torch.zeros_like(tower.weights[:1])])[members]
        self._weights = padded.permute(0, 3, 2, 1).contiguous()

    def predict(
        self, maps: Float[Tensor, "batch part height width"], channels: slice, origin: tuple[int, int] = (0, 0)
    ) -> Float[Tensor, "batch neuron"]:
        """Return how much some ``channels`` within a block of places, from row and column ``origin`` on, add to each expected response.

        All other channels and places count as 0. Of whole maps (``channels`` is ``slice(None)``), channels of further feature
        spaces count, too.
        """
        n_placed = self._weights.shape[1]
        if maps.shape[1] > n_placed:
            return self.predict(maps[:, :n_placed], channels) + self._beside.predict(maps[:, n_placed:])
        result = maps.new_zeros(len(maps), self.n_neurons + 1)
        for first in range(0, len(maps), MAPS_AT_ONCE):
            batch = slice(first, first + MAPS_AT_ONCE)
            near, patterns = self._patterns(maps[batch], origin)
            weights = self._weights[near, channels].flatten(1, 2)
            found = torch.bmm(patterns.flatten(2), weights)  # group, batch, member
            result[batch, self._members[near].flatten()] = found.transpose(0, 1).flatten(1)
        return result[:, :-1]

    def predict_by_channel(self, maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel neuron"]:
        """Return what each channel alone adds to each neuron's expected response; the sum over channels is the whole."""
        n_placed = self._weights.shape[1]
        if maps.shape[1] > n_placed:
            beside = maps[:, None, n_placed:] * torch.eye(maps.shape[1] - n_placed, device=maps.device)[:, :, None, None]
            added = self._beside.predict(beside.flatten(0, 1)).view(len(maps), -1, self.n_neurons)
            return torch.cat([self.predict_by_channel(maps[:, :n_placed]), added], dim=1)
        result = maps.new_zeros(len(maps), maps.shape[1], self.n_neurons + 1)
        for first in range(0, len(maps), MAPS_AT_ONCE):
            batch = slice(first, first + MAPS_AT_ONCE)
            near, patterns = self._patterns(maps[batch], (0, 0))
            found = torch.einsum("gbck,gckm->bcgm", patterns, self._weights[near])
            result[batch, :, self._members[near].flatten()] = found.flatten(2)
        return result[:, :, :-1]

    def _patterns(self, maps: Tensor, origin: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return the groups of neurons near the block, and their patterns (group, batch, channel, basis)."""
        (top, left), (height, width) = origin, maps.shape[2:]
        rows, columns = self._rows[..., top : top + height], self._columns[..., left : left + width]
        row, row_place = _seen(rows)
        column, column_place = _seen(columns)
        near = torch.where((row_place[self._row] >= 0) & (column_place[self._column] >= 0))[0]
        by_column = maps @ columns[column].flatten(0, 1).T
        found = rows[row].flatten(0, 1) @ by_column  # batch, channel, row × order, column × order
        n_orders = rows.shape[1]
        down = row_place[self._row[near]][:, None] * n_orders + self._down
        across = column_place[self._column[near]][:, None] * n_orders + self._across
        place = (down * found.shape[3] + across).flatten()
        patterns = found.flatten(2)[:, :, place].reshape(*maps.shape[:2], len(near), len(self._down))
        return near, patterns.permute(2, 0, 1, 3).contiguous()


def _groups(number: Tensor, n_neurons: int) -> Int[Tensor, "group member"]:
    """Return the neurons of each centre in groups of at most twice the mean size, filled up with ``n_neurons``."""
    members = torch.split(torch.argsort(number, stable=True), torch.bincount(number)[torch.unique(number)].tolist())
    size = max(1, 2 * n_neurons // len(members))
    parts = [part for group in members for part in torch.split(group, size)]
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=n_neurons)


def _seen(patterns: Float[Tensor, "centre order place"]) -> tuple[Int[Tensor, "seen"], Int[Tensor, "centre"]]:
    """Return which centres have a pattern that is not 0 here, and for every centre its number among these, or -1."""
    is_seen = patterns.abs().amax(dim=(1, 2)) > 0
    number = torch.where(is_seen, torch.cumsum(is_seen, 0) - 1, -1)
    return torch.where(is_seen)[0], number
