"""Gabor filters in quadrature, and the list of channels that a Gabor energy tower makes from them."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Pathway = Literal["local", "global"]

SAMPLES_AT_ONCE = 16  # that are filtered together: they need few pixels
PIXELS_AT_ONCE = 192  # over which products are summed; sums over more are those of parts of one length, as in the whole product


@dataclass(frozen=True)
class GaborChannel:
    """One channel of the map."""

    wavelength_px: int  # pixels per cycle; 0 for a plane pooled without filter
    orientation_deg: float  # of the wave vector, 0 for horizontal modulation; NaN for a plane without filter
    kind: str  # "energy" (complex cell), "even+", "even-", "odd+", "odd-" (rectified phases of simple cells) or "pooled"
    plane: str  # "luminance", "red–green" or "blue–yellow"
    is_normalised: bool  # whether it is divided by the energy around
    pathway: Pathway  # "global" for pooled planes and the longest wavelength, whose filters span most of the image


class SeparableGabors(nn.Module):
    """Quadrature Gabor filters of one wavelength, applied and sampled by matrix products.

    A Gabor with a round envelope is a product of a filter along the rows and one along the columns, so that no two-dimensional
    convolution is needed. Filters have unit norm, even ones zero mean, so that grey gives 0; images are continued beyond their
    border by its pixels. Wavelength and ``step`` between samples are in pixels. ``envelope`` is the standard deviation of the
    Gaussian in wavelengths; a half gives a bandwidth of about 1.1 octaves.
    """

    columns: Tensor
    even_rows: Tensor
    odd_rows: Tensor

    def __init__(self, size: tuple[int, int], wavelength: int, n_orientations: int, step: int, envelope: float = 0.5) -> None:
        super().__init__()
        half = math.ceil(2.5 * envelope * wavelength)
        place = torch.arange(-half, half + 1, dtype=torch.float64)
        weights = torch.exp(-place.square() / (2 * (envelope * wavelength) ** 2))
        angles = [math.pi * number / n_orientations for number in range(n_orientations)]
        columns, even, odd = [_banded(weights, size[1], step)], [], []
        for angle in angles:
            along_x = 2 * math.pi * math.cos(angle) / wavelength * place
            along_y = 2 * math.pi * math.sin(angle) / wavelength * place
            x_cos, x_sin, y_cos, y_sin = (weights * f(p) for p in (along_x, along_y) for f in (torch.cos, torch.sin))
            mean = float((y_cos.sum() * x_cos.sum() - y_sin.sum() * x_sin.sum()) / weights.sum() ** 2)
            wave = torch.outer(y_cos, x_cos) - torch.outer(y_sin, x_sin) - mean * torch.outer(weights, weights)
            quadrature = torch.outer(y_sin, x_cos) + torch.outer(y_cos, x_sin)
            columns += [_banded(x_cos, size[1], step), _banded(x_sin, size[1], step)]
            rows = [_banded(f, size[0], step) for f in (y_cos, y_sin, weights)]
            even.append(torch.cat([rows[0], -rows[1], -mean * rows[2]], dim=1) / wave.norm())
            odd.append(torch.cat([rows[1], rows[0]], dim=1) / quadrature.norm())
        self.register_buffer("columns", torch.cat(columns).float(), persistent=False)
        self._tiles = _list_tiles(self.columns.view(1 + 2 * n_orientations, -1, size[1]))
        self.register_buffer("even_rows", torch.stack(even).float(), persistent=False)
        self.register_buffer("odd_rows", torch.stack(odd).float(), persistent=False)

    def forward(self, plane: Float[Tensor, "batch height width"]) -> tuple[Tensor, Tensor]:
        """Return even and odd responses, each of shape (batch, orientation, sampled rows, sampled columns)."""
        n_orientations = len(self.even_rows)
        along = self._filter_rows(plane)
        even, odd = [], []
        for number in range(n_orientations):
            pair = along[:, 1 + 2 * number : 3 + 2 * number].flatten(1, 2)
            even.append(self.even_rows[number] @ torch.cat([pair, along[:, 0]], dim=1))
            odd.append(self.odd_rows[number] @ pair)
        return torch.stack(even, dim=1), torch.stack(odd, dim=1)

    def _filter_rows(self, plane: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch filter height sample"]:
        """Filter and sample along each row of pixels. Samples next to each other need pixels near them alone."""
        filters = self.columns.view(1 + 2 * len(self.even_rows), -1, plane.shape[2])
        found = plane.new_empty(len(plane), len(filters), plane.shape[1], filters.shape[1])
        for samples, pixels in self._tiles:
            parts = (plane[:, :, some] @ filters[:, samples, some].flatten(0, 1).T for some in pixels)
            found[..., samples] = sum(parts, start=next(parts)).view(*plane.shape[:2], len(filters), -1).transpose(1, 2)
        return found


def _list_tiles(filters: Float[Tensor, "filter sample pixel"]) -> list[tuple[slice, list[slice]]]:
    """Return groups of samples, each with the pixels that its filters reach."""
    n_pixels = filters.shape[2]
    length = math.ceil(n_pixels / math.ceil(n_pixels / PIXELS_AT_ONCE))
    tiles = []
    for first in range(0, filters.shape[1], SAMPLES_AT_ONCE):
        samples = slice(first, min(first + SAMPLES_AT_ONCE, filters.shape[1]))
        reached = torch.where((filters[:, samples] != 0).any(0).any(0))[0]
        low, high = int(reached[0]), int(reached[-1]) + 1
        parts = [slice(max(low, part), min(high, part + length)) for part in range(0, n_pixels, length)]
        tiles.append((samples, [part for part in parts if part.start < part.stop]))
    return tiles


def sample_places(n_pixels: int, step: int) -> Int[Tensor, "place"]:
    """Return every ``step``-th pixel, about as far from both borders; what a filter bank is sampled at.

    Examples
    --------
    >>> sample_places(6, 2)
    tensor([0, 2, 4])
    """
    return torch.arange((n_pixels - 1) % step // 2, n_pixels, step)


def _banded(weights: Tensor, n_pixels: int, step: int) -> Tensor:
    """Matrix (samples, pixels) that applies ``weights`` around every ``step``-th pixel; borders are repeated outwards."""
    half = len(weights) // 2
    centres = sample_places(n_pixels, step)
    matrix = torch.zeros(len(centres), n_pixels, dtype=torch.float64)
    pixel = (centres[:, None] + torch.arange(-half, half + 1)[None]).clamp(0, n_pixels - 1)
    return matrix.scatter_add_(1, pixel, weights.expand(len(centres), -1))


def list_channels(wavelengths: tuple[int, ...], n_orientations: int, n_planes: int, *, has_phases: bool) -> list[GaborChannel]:
    """List the channels in the order in which the tower stacks them."""
    phases = ("even+", "even-", "odd+", "odd-") if has_phases else ()
    planes = ("luminance", "red–green", "blue–yellow") if n_planes == 3 else ("luminance",)
    angles = [180.0 * number / n_orientations for number in range(n_orientations)]
    channels = []
    for plane in planes:
        kinds = [("energy", False)]
        if plane == "luminance":
            kinds += [("energy", True), *((phase, True) for phase in phases)]
        for wavelength in wavelengths:
            pathway: Pathway = "global" if wavelength == max(wavelengths) and len(wavelengths) > 1 else "local"
            for kind, is_normalised in kinds:
                channels += [GaborChannel(wavelength, angle, kind, plane, is_normalised, pathway) for angle in angles]
    return channels + [GaborChannel(0, math.nan, "pooled", plane, False, "global") for plane in planes]
