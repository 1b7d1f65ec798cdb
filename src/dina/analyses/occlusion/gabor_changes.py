"""What a small change of an image changes in one scale of a Gabor tower: computed within its reach, nowhere else."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.image.gabor_bank import SeparableGabors
from dina.models.towers.image.gabor_energy import SEMI_SATURATION

SURROUND = 2  # places on either side that count as surround in the tower's normalisation

Block = tuple[Tensor, tuple[int, int]]
"""Values (batch, channel, height, width) and the row and column of their first place."""


class GaborChanges:
    """One scale of a Gabor tower with the responses to some images kept, so that a change needs to be computed only locally.

    The filters are linear: their response to a changed image is that to the image plus that to the change, which is
    not 0 within reach of the filters only. There, and only there, rectification and pooling are done again; and
    normalisation within reach of its surround. The result is exact.

    Parameters
    ----------
    scale
        A scale of a Gabor tower: ``reduction``, ``gabors``, ``pool_rows``, ``pool_columns``.
    plane
        One plane (luminance or a colour) of the images.
    has_phases
        Whether rectified phases are among the channels of this plane.
    is_luminance
        Whether normalised channels are.
    """

    def __init__(
        self, scale: nn.Module, plane: Float[Tensor, "batch height width"], *, has_phases: bool, is_luminance: bool
    ) -> None:
        gabors, self.reduction = scale.gabors, int(scale.reduction)  # type: ignore[arg-type]
        assert isinstance(gabors, SeparableGabors)  # what every scale is made of; tells the type checker
        self.pool_rows, self.pool_columns = scale.get_buffer("pool_rows"), scale.get_buffer("pool_columns")
        self.has_phases, self.is_luminance = has_phases and is_luminance, is_luminance
        self.n_orientations = len(gabors.even_rows)
        self.columns = gabors.columns.reshape(1 + 2 * self.n_orientations, -1, gabors.columns.shape[1])
        self.even_rows = gabors.even_rows.reshape(*gabors.even_rows.shape[:2], 3, -1)
        self.odd_rows = gabors.odd_rows.reshape(*gabors.odd_rows.shape[:2], 2, -1)
        self.even, self.odd = gabors(self._reduce(plane))
        self.kinds = self._kinds(self.even, self.odd)
        self.plain = self.pool_rows @ (self.kinds @ self.pool_columns.T)
        self.box_rows, self.box_columns = (_box(extent, plane) for extent in self.plain.shape[2:])
        self.surround = self.box_rows @ self._energy(self.plain) @ self.box_columns.T
        self.normalised = self.plain / (self.surround + SEMI_SATURATION)
        self.n_channels = self.n_orientations + self.plain.shape[1] if is_luminance else self.n_orientations

    def change(self, part: Float[Tensor, "batch height width"], origin: tuple[int, int]) -> Block:
        """Return the change of this scale's channels where it is not 0.

        Parameters
        ----------
        part
            What is added to the plane within a block of pixels.
        origin
            Its first row and column, multiples of the reduction.
        """
        part = self._reduce(part)
        top, left = origin[0] // self.reduction, origin[1] // self.reduction
        columns = self.columns[:, :, left : left + part.shape[2]]
        even_rows, odd_rows = (rows[..., top : top + part.shape[1]] for rows in (self.even_rows, self.odd_rows))
        c0, c1 = _reached(columns.abs().amax(dim=(0, 2)))
        r0, r1 = _reached(even_rows.abs().amax(dim=(0, 2, 3)))
        along = torch.einsum("bhw,tcw->bthc", part, columns[:, c0:c1])
        pair = along[:, 1:].reshape(len(part), self.n_orientations, 2, *along.shape[2:])
        odd = torch.einsum("orth,bothc->borc", odd_rows[:, r0:r1], pair)
        even = torch.einsum("orth,bothc->borc", even_rows[:, r0:r1, :2], pair)
        even = even + torch.einsum("orh,bhc->borc", even_rows[:, r0:r1, 2], along[:, 0])
        block = (..., slice(r0, r1), slice(c0, c1))
        kinds = self._kinds(self.even[block] + even, self.odd[block] + odd) - self.kinds[block]
        rows, columns = self.pool_rows[:, r0:r1], self.pool_columns[:, c0:c1]
        g0, g1 = _reached(rows.amax(dim=1))
        h0, h1 = _reached(columns.amax(dim=1))
        plain = rows[g0:g1] @ (kinds @ columns[h0:h1].T)
        if not self.is_luminance:
            return plain, (g0, h0)
        return self._normalise(plain, (g0, h0))

    def _normalise(self, plain: Tensor, origin: tuple[int, int]) -> Block:
        """Return the changes of plain energies and of normalised kinds, within reach of the surround."""
        (g0, h0), (n_rows, n_columns) = origin, plain.shape[2:]
        e0, f0 = max(0, g0 - SURROUND), max(0, h0 - SURROUND)
        e1 = min(self.plain.shape[2], g0 + n_rows + SURROUND)
        f1 = min(self.plain.shape[3], h0 + n_columns + SURROUND)
        box_rows, box_columns = self.box_rows[e0:e1, g0 : g0 + n_rows], self.box_columns[f0:f1, h0 : h0 + n_columns]
        block = (..., slice(e0, e1), slice(f0, f1))
        surround = self.surround[block] + box_rows @ self._energy(plain) @ box_columns.T
        padded = F.pad(plain, (h0 - f0, f1 - h0 - n_columns, g0 - e0, e1 - g0 - n_rows))
        normalised = (self.plain[block] + padded) / (surround + SEMI_SATURATION) - self.normalised[block]
        return torch.cat([padded[:, : self.n_orientations], normalised], dim=1), (e0, f0)

    def _reduce(self, plane: Tensor) -> Tensor:
        return F.avg_pool2d(plane[:, None], self.reduction)[:, 0] if self.reduction > 1 else plane

    def _kinds(self, even: Tensor, odd: Tensor) -> Tensor:
        kinds = [torch.sqrt(even.square() + odd.square() + 1e-8)]
        if self.has_phases:
            kinds += [F.relu(even), F.relu(-even), F.relu(odd), F.relu(-odd)]
        return torch.cat(kinds, dim=1)

    def _energy(self, plain: Tensor) -> Tensor:
        return plain[:, : self.n_orientations].mean(1, keepdim=True)


def _reached(reach: Float[Tensor, "place"]) -> tuple[int, int]:
    """Return first and last (excluded) of the places that are reached at all."""
    places = torch.nonzero(reach)[:, 0]
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)


def _box(n_places: int, like: Tensor) -> Float[Tensor, "place same_place"]:
    """Return the matrix that averages over the surround along one axis, within the map."""
    distance = torch.arange(n_places, device=like.device)[:, None] - torch.arange(n_places, device=like.device)[None]
    near = (distance.abs() <= SURROUND).to(like.dtype)
    return near / near.sum(1, keepdim=True)
