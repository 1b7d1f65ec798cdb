"""Windows that occlude images place by place: for any towers, and exactly but faster for Gabor towers with projective fields."""

import math
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.analyses.comparable_maps import channel_names
from dina.analyses.separable_fields import SeparableFields
from dina.models.towers.image.feature_stack import FeatureStack
from dina.models.towers.image.gabor_bank import SeparableGabors
from dina.models.towers.image.gabor_energy import SEMI_SATURATION, GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import LikelihoodComparison

Fill = Literal["mean", "blur"]
REACH = 3.0  # a window ends at this many deviations from its centre
WINDOWS_AT_ONCE = 32
SURROUND = 2  # places on either side that count as surround in the normalisation of a Gabor tower

# Values (batch, channel, height, width) and the row and column of their first place.
Block = tuple[Tensor, tuple[int, int]]


@dataclass(frozen=True)
class Sweep:
    """One Gaussian window swept over the image; centres and standard deviation are in pixels.

    It fades the image to grey ("mean") or to itself blurred by a Gaussian as wide as the window ("blur"). With
    ``is_contrast_held``, a tower whose gain follows the contrast of the whole image keeps the gain of the whole image. Otherwise any
    window changes the map everywhere, because it lowers that contrast.
    """

    name: str
    deviation_px: float
    fill: Fill
    rows: tuple[float, ...]
    columns: tuple[float, ...]
    is_contrast_held: bool = True

    def weights(self, centre: float, n_pixels: int) -> Float[np.ndarray, "pixel"]:
        """Return the window along one axis: 1 at its centre, 0 beyond three deviations."""
        distance = (np.arange(n_pixels) - centre) / self.deviation_px
        return np.asarray(np.exp(-0.5 * distance**2) * (np.abs(distance) <= REACH))

    def difference(self, images: Float[Tensor, "image channel height width"]) -> Float[Tensor, "image channel height width"]:
        """Return what is added to images where a window hides them wholly."""
        return (blur(images, self.deviation_px) if self.fill == "blur" else 0.0) - images


@dataclass(frozen=True, eq=False)
class OccludedImages:
    """Maps of occluded images, and their scores for the responses to the whole images.

    ``map_distance`` is squared, between the maps of the occluded and of the whole image, over channels of structure.
    """

    map_distance: Float[np.ndarray, "image row column"]
    score: Float[np.ndarray, "image row column"]


def blur(images: Float[Tensor, "image channel height width"], deviation: float) -> Float[Tensor, "image channel height width"]:
    """Blur images by a Gaussian; beyond the border they continue as their mirror image where it reaches, else as grey."""
    half = int(np.ceil(REACH * deviation))
    place = torch.arange(-half, half + 1, dtype=torch.float32, device=images.device)
    kernel = torch.exp(-0.5 * (place / deviation) ** 2)
    kernel = kernel / kernel.sum()
    for axis in (-1, -2):
        turned = images.transpose(axis, -1)
        reach = min(half, turned.shape[-1] - 1)
        padded = F.pad(F.pad(turned.flatten(0, 1), (reach, reach), mode="reflect"), (half - reach, half - reach))
        images = F.conv1d(padded.flatten(0, 1)[:, None], kernel[None, None])[:, 0].view_as(turned).transpose(axis, -1)
    return images.contiguous()


def place_windows(size: tuple[int, int], spacing: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return rows and columns of evenly spaced window centres, the outermost half a spacing or less from the border.

    Examples
    --------
    >>> place_windows((4, 8), 4.0)
    ((1.5,), (1.5, 5.5))
    """
    centres = []
    for extent in size:
        n = max(1, round(extent / spacing))
        centres.append(tuple(float(c) for c in (np.arange(n) + 0.5) * extent / n - 0.5))
    return centres[0], centres[1]


@torch.inference_mode()
def occlude_image_by_image(
    towers: AlignedTowers,
    images: Float[Tensor, "image channel height width"],
    neural_maps: Float[Tensor, "image map_channel map_height map_width"],
    n_presentations: Float[Tensor, "image"],
    sweep: Sweep,
) -> OccludedImages:
    """Sweep a window over each image and encode every occluded image anew; this works for any towers.

    Only for Gabor towers can the gain by contrast be held fixed.

    The towers are in evaluation mode; each response, as a neural map, belongs to one image. Only channels of structure count in
    distances.
    """
    tower = towers.image_tower
    n_channels = len(channel_names(tower))
    height, width = images.shape[2:]
    windows = np.stack([np.outer(sweep.weights(r, height), sweep.weights(c, width)) for r in sweep.rows for c in sweep.columns])
    chunks = torch.split(torch.from_numpy(windows.astype(np.float32)).to(images.device)[:, None], WINDOWS_AT_ONCE)
    distance, score = [], []
    for number, difference in enumerate(sweep.difference(images)):
        one = slice(number, number + 1)
        whole = tower(images[one])
        for chunk in chunks:
            occluded = images[one] + chunk * difference
            if sweep.is_contrast_held and isinstance(tower, GaborEnergy):
                maps = tower.at_contrast_of(occluded, images[one].expand_as(occluded))
            else:
                maps = tower(occluded)
            distance.append((maps - whole)[:, :n_channels].square().sum(dim=(1, 2, 3)))
            score.append(towers.comparison(neural_maps[one], maps, n_presentations[one])[0])
    shape = (len(images), len(sweep.rows), len(sweep.columns))
    both = (torch.cat(values).reshape(shape).cpu().double().numpy() for values in (distance, score))
    return OccludedImages(*both)


class GaborOcclusion:
    r"""Some images, encoded once, and what windows over them change.

    A window changes the channels :math:`z` near it, and through the contrast of the whole image a gain and a mean map
    everywhere. The map is :math:`g\,(z - \sum_k c_k E_k)` with knot weights :math:`c`, gain :math:`g = \sum_k c_k g_k`
    and mean maps :math:`E_k` known beforehand: inner products with :math:`z` and :math:`E_k`, and what these evoke in
    the neurons, are computed once, and only the local change :math:`\Delta z` for every window. No map is encoded anew.
    The towers must be a Gabor image tower and projective fields, compared by likelihood; see `applies`.
    """

    def __init__(
        self,
        towers: AlignedTowers,
        images: Float[Tensor, "image channel height width"],
        neural_maps: Float[Tensor, "image map_channel map_height map_width"],
    ) -> None:
        tower, neural, comparison = towers.image_tower, towers.neural_tower, towers.comparison
        if (
            not isinstance(tower, GaborEnergy)
            or not isinstance(neural, ProjectiveFields)
            or not isinstance(comparison, LikelihoodComparison)
        ):
            raise TypeError("GaborOcclusion needs a Gabor tower that meets projective fields in a likelihood; check `applies`.")
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
        image, neural = towers.image_tower, towers.neural_tower
        has_places = not (isinstance(image, FeatureStack) and image.taken())  # occlusion changes other features everywhere
        is_gabor = isinstance(image, GaborEnergy) and isinstance(neural, ProjectiveFields)
        return has_places and is_gabor and isinstance(towers.comparison, LikelihoodComparison)

    @torch.inference_mode()
    def occlude(self, sweep: Sweep) -> OccludedImages:
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
            norm = (evoked * self.neural.whiten(evoked.flatten(0, 1)).view_as(evoked)).sum(2).double()
            agreement = torch.stack([window[1] for window in windows], dim=1)
            rows.append((torch.stack([window[0] for window in windows], dim=1), self.scale * (agreement - 0.5 * norm)))
        distance, score = (torch.stack(parts, dim=1).cpu().numpy() for parts in zip(*rows, strict=True))
        return OccludedImages(distance, score)

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
        """Return of the local change: squared norm, products with the basis and the evidence, and the response that it evokes."""
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


class _ScaleChanges:
    """One scale of a Gabor tower with the responses to some images kept, so that a change is computed only locally, exactly.

    The filters are linear: the response to a changed image is the response to the image plus the response to the change. The
    latter is 0 beyond the reach of the filters. Rectification and pooling are therefore repeated only within this reach, and
    normalisation only within reach of its surround. ``is_luminance`` says whether this plane has normalised channels, and with
    ``has_phases`` rectified phases as well.
    """

    def __init__(
        self, scale: nn.Module, plane: Float[Tensor, "batch height width"], *, has_phases: bool, is_luminance: bool
    ) -> None:
        gabors, self.reduction = cast(SeparableGabors, scale.gabors), cast(int, scale.reduction)
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
        """Return the change of this scale's channels where it is not 0, for ``part`` added from ``origin``, a multiple of the reduction."""
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


class _PooledChanges:
    """A plane averaged on the grid without any filter."""

    reduction = 1

    def __init__(self, tower: GaborEnergy) -> None:
        self.rows, self.columns = tower.pool_rows, tower.pool_columns

    def change(self, part: Float[Tensor, "batch height width"], origin: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        rows = self.rows[:, origin[0] : origin[0] + part.shape[1]]
        columns = self.columns[:, origin[1] : origin[1] + part.shape[2]]
        return (rows @ (part @ columns.T))[:, None], (0, 0)


def _scales(tower: GaborEnergy, images: Tensor) -> list[tuple[int, _ScaleChanges | _PooledChanges, slice]]:
    """Return for each part of the tower its plane, what computes its changes, and its channels, in the tower's order."""
    n_planes = 3 if images.shape[1] == 3 else 1
    parts: list[tuple[int, _ScaleChanges | _PooledChanges, slice]] = []
    first = 0
    for plane in range(n_planes):
        for scale in tower.scales:
            changes = _ScaleChanges(scale, _plane(images, plane), has_phases=tower.has_phases, is_luminance=plane == 0)
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


def _reached(reach: Float[Tensor, "place"]) -> tuple[int, int]:
    """Return first and last (excluded) of the places that are reached at all."""
    places = torch.nonzero(reach)[:, 0]
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)


def _box(n_places: int, like: Tensor) -> Float[Tensor, "place same_place"]:
    """Return the matrix that averages over the surround along one axis, within the map."""
    distance = torch.arange(n_places, device=like.device)[:, None] - torch.arange(n_places, device=like.device)[None]
    near = (distance.abs() <= SURROUND).to(like.dtype)
    return near / near.sum(1, keepdim=True)
