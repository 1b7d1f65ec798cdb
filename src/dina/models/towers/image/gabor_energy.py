"""A V1-like image tower: Gabor energies and rectified phases by scale and orientation, contrast-normalised."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.image.contrast_gain import ContrastGain, expect_by_place, solve_knots
from dina.models.towers.image.gabor_bank import GaborChannel, SeparableGabors, list_channels, sample_places
from dina.models.towers.tower import FeatureMaps, ImageBatch, ImageTower, MapShape, check_image_size

SMALLEST_IMAGE = 16
BASE_WAVELENGTH = 8  # pixels; longer waves are filtered in a reduced image, so that every filter costs the same
SEMI_SATURATION = 0.3  # energy around at which normalisation halves a response, in contrast times filter norm
IMAGES_AT_ONCE = 16  # whose maps stay in the processor's cache
CHANNELS_AT_ONCE = 8  # that are put in order
PLACES_ALONG = 17  # of the map along the shorter side of the image, where no stride is given


class GaborEnergy(ImageTower):
    """Channels with a meaning: one map per scale, orientation and kind of V1 cell.

    At each wavelength and orientation a quadrature pair of Gabor filters gives the energy (a complex cell) and the
    half-rectified responses of four phases (simple cells). Both are divided by the energy around (contrast
    normalisation); the energy is kept plain, too. Every channel is averaged within the cells of a coarse grid and
    standardised place by place with the statistics of the training images (`learn_statistics`). Contrast of the
    whole image then sets a gain, see `ContrastGain`. Contrastive training may reweigh the channels (``gain``).

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images in pixels, at least 16 × 16.
    stride
        Distance between places of the map, in pixels; None for 17 places along the shorter side.
    n_orientations
        Evenly spaced over 180 degrees.
    n_contrasts
        Number of knots of the contrast gain; 0 for maps that do not depend on the contrast of the whole image.
    has_phases
        Whether rectified phases are among the channels; energies alone make a map a third as large.

    Attributes
    ----------
    channels
        Descriptions of the first channels; the last ``n_contrasts`` are the knots of contrast.

    References
    ----------
    Adelson & Bergen (1985), J. Opt. Soc. Am. A 2:284. https://doi.org/10.1364/JOSAA.2.000284

    Heeger (1992), Vis. Neurosci. 9:181. https://doi.org/10.1017/S0952523800009640
    """

    mean: Tensor
    deviation: Tensor
    pool_rows: Tensor
    pool_columns: Tensor

    def __init__(
        self,
        image_shape: MapShape,
        stride: int | None = None,
        n_orientations: int = 4,
        n_contrasts: int = 8,
        *,
        has_phases: bool = True,
    ) -> None:
        check_image_size(image_shape, SMALLEST_IMAGE, "Gabor energy")
        n_in, height, width = image_shape
        step = max(1, round(min(height, width) / PLACES_ALONG)) if stride is None else stride
        grid = (max(2, round(height / step)), max(2, round(width / step)))
        wavelengths = list_octaves(min(height, width))
        channels = list_channels(wavelengths, n_orientations, n_in, has_phases=has_phases)
        super().__init__(image_shape, (len(channels) + n_contrasts, *grid), ("local", "global"))
        self.channels: list[GaborChannel] = channels
        self.n_orientations = n_orientations
        self.has_phases = has_phases
        self.gain = nn.Parameter(torch.ones(len(channels)))
        self.contrast = ContrastGain((len(channels), *grid), n_contrasts) if n_contrasts else None
        self.scales = nn.ModuleList(_Scale((height, width), wave, n_orientations, grid) for wave in wavelengths)
        self.register_buffer("pool_rows", _averaging(height, grid[0]), persistent=False)
        self.register_buffer("pool_columns", _averaging(width, grid[1]), persistent=False)
        self.register_buffer("mean", torch.zeros(len(channels), *grid))
        self.register_buffer("deviation", torch.ones(len(channels), *grid))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set every gain to 1: this tower starts from known filters, not from chance."""
        self.gain.data.fill_(1.0)

    def forward(self, images: ImageBatch, masked: tuple[str, ...] = ()) -> FeatureMaps:
        """Return feature maps; channels of a pathway named in ``masked`` are at what their contrast lets expect."""
        self.check_input(images, masked)
        return self.at_contrast_of(images, images, masked)

    def at_contrast_of(self, images: ImageBatch, others: ImageBatch, masked: tuple[str, ...] = ()) -> FeatureMaps:
        """Return feature maps with the gain that the contrast of ``others`` sets, one other image for each image."""
        return self.weigh(self.standard_maps(images), others, masked)

    def standard_maps(self, images: ImageBatch) -> Float[Tensor, "batch gabor_channel map_height map_width"]:
        """Return the channels standardised place by place over the training images, before any gain."""
        parts = torch.split(images, IMAGES_AT_ONCE)
        return torch.cat([(self.raw_maps(part) - self.mean) / self.deviation for part in parts])

    def weigh(
        self,
        standard: Float[Tensor, "batch gabor_channel map_height map_width"],
        images: ImageBatch,
        masked: tuple[str, ...] = (),
    ) -> FeatureMaps:
        """Return the feature maps made from standardised channels: gains of channels and of contrast."""
        keep = torch.tensor([channel.pathway not in masked for channel in self.channels], device=images.device)
        factor = (self.gain * keep)[:, None, None]
        if self.contrast is None:
            return standard * factor
        maps = self.contrast(standard, self.contrast.knot_weights(images))
        knots = maps[:, len(self.channels) :] * (0.0 if "global" in masked else 1.0)
        return torch.cat([maps[:, : len(self.channels)] * factor, knots], dim=1)

    @torch.no_grad()
    def learn_statistics(
        self, images: Float[Tensor, "stimulus channel height width"], chunk: int = 64
    ) -> Float[Tensor, "stimulus gabor_channel map_height map_width"]:
        """Learn mean, deviation and dependence on contrast from the training images, and return their maps in half precision.

        The maps are standardised, minus their expectation at their contrast, without any gain and without the channels of
        contrast: an encoding model is fitted on them.
        """
        n_channels, height, width = self.mean.shape
        # place by place: what local ridge regression reads of a place lies side by side
        by_place = torch.empty(height, width, len(images), n_channels, dtype=torch.float16, device=self.mean.device)
        raw = by_place.permute(2, 3, 0, 1)
        total = torch.zeros_like(self.mean, dtype=torch.float64)
        square = torch.zeros_like(total)
        for first in range(0, len(images), chunk):
            maps = self.raw_maps(images[first : first + chunk].to(self.mean.device))
            total += maps.sum(0, dtype=torch.float64)
            square += maps.square().sum(0, dtype=torch.float64)
            raw[first : first + chunk] = maps.half()
        mean = total / len(images)
        variance = (square / len(images) - mean.square()).clamp_min(0)
        # a place that hardly varies (a border, a masked region) is divided by a typical deviation, not by nothing
        floor = 0.05 * variance.mean(dim=(1, 2), keepdim=True).sqrt() + 1e-6
        self.mean.copy_(mean)
        self.deviation.copy_(variance.sqrt().maximum(floor))
        knots = None
        if self.contrast is not None:
            self.contrast.place_knots(images)
            knots = self.contrast.knot_weights(images.to(self.mean.device))
            self._expect_at_knots(self.contrast, raw, knots)
        mean_at, deviation_at = (each.permute(1, 2, 0).contiguous()[:, :, None] for each in (self.mean, self.deviation))
        for first in range(0, len(images), chunk):
            part = by_place[:, :, first : first + chunk]
            standard = (part.float() - mean_at) / deviation_at
            if self.contrast is not None and knots is not None:
                standard = standard - expect_by_place(knots[first : first + chunk], self.contrast.expected)
            part.copy_(standard)
        return raw

    def _expect_at_knots(self, contrast: ContrastGain, raw: Tensor, knots: Tensor) -> None:
        """Learn the standardised maps that are expected at each knot of contrast."""
        for first in range(0, raw.shape[1], CHANNELS_AT_ONCE):
            some = raw[:, first : first + CHANNELS_AT_ONCE].transpose(0, 1).contiguous()
            for channel, values in enumerate(some, start=first):
                standard = (values.float() - self.mean[channel]) / self.deviation[channel]
                contrast.expected[:, channel] = solve_knots(knots, standard.flatten(1)).reshape(-1, *standard.shape[1:])

    def place_positions(self, wavelength: int) -> tuple[Float[Tensor, "map_height"], Float[Tensor, "map_width"]]:
        """Return the pixel row and column on which each place of the map is centred, for channels of one wavelength.

        Scales differ by a fraction of a place, because each samples the image in its own steps.
        """
        scale = next(s for s in self.scales if isinstance(s, _Scale) and s.wavelength == wavelength)
        rows, columns = (
            pool @ centres for pool, centres in zip((scale.pool_rows, scale.pool_columns), scale.sampled, strict=True)
        )
        return rows, columns

    def raw_maps(self, images: ImageBatch) -> FeatureMaps:
        """Return energies, phases, luminance and colour on the grid, before any statistics."""
        planes = [images.mean(1, keepdim=True)]
        if images.shape[1] == 3:  # colour: red–green and blue–yellow opponent planes
            planes += [images[:, :1] - images[:, 1:2], images[:, 2:] - 0.5 * (images[:, :1] + images[:, 1:2])]
        maps = []
        for number, plane in enumerate(planes):
            for scale in self.scales:
                maps += self._kinds(scale, plane, is_luminance=number == 0)
        maps += [self.pool_rows @ (plane @ self.pool_columns.T) for plane in planes]
        return torch.cat(maps, dim=1)

    def _kinds(self, scale: nn.Module, plane: Tensor, *, is_luminance: bool) -> list[Tensor]:
        """Return the channels of one plane at one wavelength, in the order of `list_channels`."""
        assert isinstance(scale, _Scale)  # made in __init__; tells the type checker
        even, odd = scale(plane[:, 0])
        kinds = [torch.sqrt(even.square() + odd.square() + 1e-8)]
        if self.has_phases and is_luminance:
            kinds += [F.relu(even), F.relu(-even), F.relu(odd), F.relu(-odd)]
        plain = scale.pool(torch.cat(kinds, dim=1))
        energy = plain[:, : self.n_orientations]
        if not is_luminance:
            return [energy]
        surround = F.avg_pool2d(energy.mean(1, keepdim=True), 5, stride=1, padding=2, count_include_pad=False)
        # simple cells are kept normalised only: their contrast is already in the plain energy
        return [energy, plain / (surround + SEMI_SATURATION)]


class _Scale(nn.Module):
    """One wavelength: the image reduced so that a cycle has about eight pixels, filtered, and pooled to the grid."""

    pool_rows: Tensor
    pool_columns: Tensor

    def __init__(self, size: tuple[int, int], wavelength: int, n_orientations: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.wavelength = wavelength
        self.reduction = max(1, wavelength // BASE_WAVELENGTH)
        reduced = (size[0] // self.reduction, size[1] // self.reduction)
        step = 2 if self.reduction == 1 else 1
        self.gabors = SeparableGabors(reduced, wavelength // self.reduction, n_orientations, step)
        # pixels on which the samples are centred
        self.sampled = [(sample_places(n, step) + 0.5) * self.reduction - 0.5 for n in reduced]
        sampled = self.gabors(torch.zeros(1, *reduced))[0].shape[2:]
        self.register_buffer("pool_rows", _averaging(sampled[0], grid[0]), persistent=False)
        self.register_buffer("pool_columns", _averaging(sampled[1], grid[1]), persistent=False)

    def forward(self, plane: Float[Tensor, "batch height width"]) -> tuple[Tensor, Tensor]:
        reduced = F.avg_pool2d(plane[:, None], self.reduction)[:, 0] if self.reduction > 1 else plane
        even, odd = self.gabors(reduced)
        return even, odd

    def pool(self, maps: Tensor) -> Tensor:
        """Average within the cells of the grid, or interpolate where the maps are coarser than the grid."""
        return self.pool_rows @ (maps @ self.pool_columns.T)


def list_octaves(shorter_side: int) -> tuple[int, ...]:
    """Wavelengths from 4 pixels in octaves, up to about half the shorter side of the image."""
    return tuple(4 * 2**k for k in range(max(1, math.floor(math.log2(shorter_side / 2 / 4)) + 1)))


def _averaging(n_in: int, n_out: int) -> Tensor:
    """Matrix (n_out, n_in) that averages within cells, or interpolates linearly where there are fewer inputs."""
    unit = torch.eye(n_in)[None]
    if n_in >= n_out:
        return F.adaptive_avg_pool1d(unit, n_out)[0].T.contiguous()
    return F.interpolate(unit, size=n_out, mode="linear", align_corners=False)[0].T.contiguous()
