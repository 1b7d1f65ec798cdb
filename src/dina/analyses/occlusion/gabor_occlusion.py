"""Occlusion of a Gabor tower that meets projective fields in a likelihood: exact, and computed only where the window reaches."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.analyses.occlusion.gabor_changes import GaborChanges
from dina.analyses.occlusion.occlusion_windows import OcclusionEffects, Sweep
from dina.analyses.separable_fields import SeparableFields
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import LikelihoodComparison


class GaborOcclusion:
    r"""Some images, encoded once, and what windows over them change.

    A window changes the channels :math:`z` near it, and through the contrast of the whole image a gain and a mean map
    everywhere. The map is :math:`g\,(z - \sum_k c_k E_k)` with knot weights :math:`c`, gain :math:`g = \sum_k c_k g_k`
    and mean maps :math:`E_k` known beforehand: inner products with :math:`z` and :math:`E_k`, and what these evoke in
    the neurons, are computed once, and only the local change :math:`\Delta z` for every window. No map is encoded anew.

    Parameters
    ----------
    towers
        With a Gabor image tower and projective fields, compared by likelihood; see `applies`.
    images
        In units of contrast, on the towers' device.
    neural_maps
        Of the response to each image.
    """

    def __init__(
        self,
        towers: AlignedTowers,
        images: Float[Tensor, "image channel height width"],
        neural_maps: Float[Tensor, "image map_channel map_height map_width"],
    ) -> None:
        tower, neural, comparison = towers.image_tower, towers.neural_tower, towers.comparison
        assert isinstance(tower, GaborEnergy)  # asked by `applies`; tells the type checker
        assert isinstance(neural, ProjectiveFields)  # likewise
        assert isinstance(comparison, LikelihoodComparison)  # likewise
        with torch.inference_mode():
            self.tower, self.neural, self.scale = tower, neural, float(comparison.log_scale.exp())
            self.images, self.fields = images, SeparableFields(neural)
            self.changes = _scales(tower, images)
            n = len(tower.channels)
            self.gain = tower.gain[:, None, None]
            self.knot_gain = images.new_ones(0) if tower.contrast is None else tower.contrast.gain
            expected = images.new_zeros(0, *tower.mean.shape) if tower.contrast is None else tower.contrast.expected
            self.factor = self.gain / tower.deviation
            standard = (tower.raw_maps(images) - tower.mean) * self.factor
            self.standard, self.expected = standard, expected * self.gain
            self.evidence, knots = neural_maps[:, :n], neural_maps[:, n:]
            shared = -self.expected.flatten(1)[None].expand(len(images), -1, -1)
            flat = torch.cat([standard.flatten(1)[:, None], shared], dim=1)
            self.gram = (flat @ flat.transpose(1, 2)).double()
            self.agreement = torch.einsum("ikp,ip->ik", flat, self.evidence.flatten(1)).double()
            self.knot_agreement = knots.sum(dim=(2, 3)).double()
            evoked = [self.fields.predict(standard, slice(0, n))[:, None]]
            evoked.append(-self.fields.predict(self.expected, slice(0, n))[None].expand(len(images), -1, -1))
            self.evoked = torch.cat(evoked, dim=1)
            plane = images.new_ones(1, 1, *tower.mean.shape[1:])
            knot_evoked = [self.fields.predict(plane, slice(n + k, n + k + 1)) for k in range(len(self.knot_gain))]
            self.knot_evoked = torch.cat([*knot_evoked, images.new_zeros(0, neural.n_neurons)])
            luminance = images.mean(1)
            self.luminance, self.n_pixels = luminance, luminance[0].numel()
            self.sums = (luminance.sum(dim=(1, 2), dtype=torch.float64), luminance.square().sum(dim=(1, 2), dtype=torch.float64))
            self.whole = self._coefficients(*self.sums)

    @staticmethod
    def applies(towers: AlignedTowers) -> bool:
        """Tell whether these towers are of the kind for which this is exact."""
        is_gabor = isinstance(towers.image_tower, GaborEnergy) and isinstance(towers.neural_tower, ProjectiveFields)
        return is_gabor and isinstance(towers.comparison, LikelihoodComparison)

    @torch.inference_mode()
    def occlude(self, sweep: Sweep) -> OcclusionEffects:
        """Sweep a window over all images together."""
        height, width = self.images.shape[2:]
        difference = sweep.difference(self.images)
        columns = [sweep.weights(centre, width) for centre in sweep.columns]
        rows = []
        for centre in sweep.rows:
            down = sweep.weights(centre, height)
            windows = [self._window(difference, down, across, sweep.is_contrast_held) for across in columns]
            evoked = torch.stack([window[2] for window in windows], dim=1)
            # all windows of a row at once: dividing by the noise costs one factorisation
            own = (evoked * self.neural.whiten(evoked.flatten(0, 1)).view_as(evoked)).sum(2).double()
            agreement = torch.stack([window[1] for window in windows], dim=1)
            rows.append((torch.stack([window[0] for window in windows], dim=1), self.scale * (agreement - 0.5 * own)))
        distance, score = (torch.stack(parts, dim=1).cpu().numpy() for parts in zip(*rows, strict=True))
        return OcclusionEffects(distance, score)

    def _window(self, difference: Tensor, down: np.ndarray, across: np.ndarray, is_held: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return for every image: squared distance of maps, agreement with the response, and what is evoked."""
        (top, bottom), (left, right) = (self._extent(weights) for weights in (down, across))
        block = (..., slice(top, bottom), slice(left, right))
        window = torch.from_numpy(np.outer(down[top:bottom], across[left:right]).astype(np.float32)).to(difference.device)
        part = difference[block] * window
        knots, factors = self.whole if is_held else self._at_new_contrast(part.mean(1), self.luminance[block])
        square, products, agreement, evoked = self._local(part, (top, left))
        moved = factors - self.whole[1]
        gain = factors[:, 0]
        distance = gain**2 * square + 2 * gain * (moved * products).sum(1) + torch.einsum("ik,ikl,il->i", moved, self.gram, moved)
        agreed = (factors * self.agreement).sum(1) + gain * agreement + (knots * self.knot_agreement).sum(1)
        total = torch.einsum("ik,ikn->in", factors.float(), self.evoked) + gain.float()[:, None] * evoked
        return distance, agreed, total + knots.float() @ self.knot_evoked

    def _local(self, part: Tensor, origin: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return of the local change: squared norm, products with the basis and the evidence, and what it evokes."""
        n = len(self.images)
        square, agreement = (part.new_zeros(n, dtype=torch.float64) for _ in range(2))
        products = part.new_zeros(n, 1 + len(self.expected), dtype=torch.float64)
        evoked = part.new_zeros(n, self.neural.n_neurons)
        for plane, changes, channels in self.changes:
            found, (row, column) = changes.change(_plane(part, plane), origin)
            block = (slice(row, row + found.shape[2]), slice(column, column + found.shape[3]))
            found = found * self.factor[channels][(..., *block)]
            square += found.square().sum(dim=(1, 2, 3), dtype=torch.float64)
            products[:, 0] += (found * self.standard[:, channels][(..., *block)]).sum(dim=(1, 2, 3), dtype=torch.float64)
            products[:, 1:] -= found.flatten(1) @ self.expected[:, channels][(..., *block)].flatten(1).T
            agreement += (found * self.evidence[:, channels][(..., *block)]).sum(dim=(1, 2, 3), dtype=torch.float64)
            evoked += self.fields.predict(found, channels, (row, column))
        return square, products, agreement, evoked

    def _at_new_contrast(self, change: Tensor, luminance: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coefficients of images whose luminance changes within a block."""
        total = change.sum(dim=(1, 2), dtype=torch.float64)
        square = (change * (2 * luminance + change)).sum(dim=(1, 2), dtype=torch.float64)
        return self._coefficients(self.sums[0] + total, self.sums[1] + square)

    def _coefficients(self, total: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
        """Return the knot weights at the contrast that these sums over pixels give, and the factors of the basis."""
        contrast = (square / self.n_pixels - (total / self.n_pixels) ** 2).clamp_min(0).sqrt().float()
        if self.tower.contrast is None:
            return contrast.new_zeros(len(contrast), 0).double(), contrast.new_ones(len(contrast), 1).double()
        # an image of two pixels, as far from grey as the contrast says, has just this contrast
        knots = self.tower.contrast.knot_weights(torch.stack([contrast, -contrast], dim=1)[:, None, None]).double()
        gain = knots @ self.knot_gain.double()
        return knots, torch.cat([gain[:, None], gain[:, None] * knots], dim=1)

    def _extent(self, weights: np.ndarray) -> tuple[int, int]:
        """Return the pixels that a window reaches, widened to whole cells of every reduction."""
        step = max(changes.reduction for _, changes, _ in self.changes)
        inside = np.flatnonzero(weights)
        return int(inside[0]) // step * step, min(len(weights), math.ceil((inside[-1] + 1) / step) * step)


class _PooledChanges:
    """A plane averaged on the grid without any filter."""

    reduction = 1

    def __init__(self, tower: GaborEnergy) -> None:
        self.rows, self.columns = tower.pool_rows, tower.pool_columns

    def change(self, part: Float[Tensor, "batch height width"], origin: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        rows = self.rows[:, origin[0] : origin[0] + part.shape[1]]
        columns = self.columns[:, origin[1] : origin[1] + part.shape[2]]
        return (rows @ (part @ columns.T))[:, None], (0, 0)


def _scales(tower: GaborEnergy, images: Tensor) -> list[tuple[int, GaborChanges | _PooledChanges, slice]]:
    """Return for each part of the tower its plane, what computes its changes, and its channels, in the tower's order."""
    n_planes = 3 if images.shape[1] == 3 else 1
    parts: list[tuple[int, GaborChanges | _PooledChanges, slice]] = []
    first = 0
    for plane in range(n_planes):
        for scale in tower.scales:
            changes = GaborChanges(scale, _plane(images, plane), has_phases=tower.has_phases, is_luminance=plane == 0)
            parts.append((plane, changes, slice(first, first + changes.n_channels)))
            first += changes.n_channels
    pooled = _PooledChanges(tower)
    return parts + [(plane, pooled, slice(first + plane, first + plane + 1)) for plane in range(n_planes)]


def _plane(images: Float[Tensor, "batch channel height width"], number: int) -> Float[Tensor, "batch height width"]:
    """Return luminance (0), red–green (1) or blue–yellow (2), as the tower makes them."""
    if number == 0:
        return images.mean(1)
    red, green = images[:, 0], images[:, 1]
    return red - green if number == 1 else images[:, 2] - 0.5 * (red + green)
