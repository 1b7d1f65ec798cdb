"""Resizing, centring and scaling of feature maps, the same on every device and from run to run."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# Per sample: scale to [0, 1]; subtract each channel's mean over places; or leave alone.
Centring = Literal["min_max", "centred", "none"]


def resize_bilinear(
    maps: Float[Tensor, "batch channel height width"], size: tuple[int, int]
) -> Float[Tensor, "batch channel out_height out_width"]:
    """Resize maps bilinearly (pixel centres aligned, as ``torch.nn.functional.interpolate`` does).

    Written as two small matrix products: unlike torch's own kernel its gradient is the same from run to run on a GPU.

    Examples
    --------
    >>> resize_bilinear(torch.tensor([[[[0.0, 1.0]]]]), (1, 4)).flatten().tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    height, width = maps.shape[-2:]
    if (height, width) == size:
        return maps
    rows, columns = _weights(height, size[0], maps), _weights(width, size[1], maps)
    return rows @ (maps @ columns.T)


def resize_places(
    places: Float[Tensor, "batch place channel"], size: tuple[int, int], new_size: tuple[int, int]
) -> Float[Tensor, "batch new_place channel"]:
    """Resize maps as `resize_bilinear` does, whose places are in rows one after the other, ``size`` giving height and width."""
    if size == new_size:
        return places
    rows, columns = (_weights(old, new, places) for old, new in zip(size, new_size, strict=True))
    return torch.kron(rows, columns) @ places


def _weights(n_in: int, n_out: int, like: Tensor) -> Tensor:
    """Return the interpolation matrix (n_out, n_in)."""
    unit = torch.eye(n_in, device=like.device, dtype=torch.float32)[None]
    return F.interpolate(unit, size=n_out, mode="linear", align_corners=False)[0].T.to(like.dtype)


def centre_maps(
    maps: Float[Tensor, "batch channel height width"], centring: Centring
) -> Float[Tensor, "batch channel height width"]:
    """Scale each sample's maps as ``centring`` says.

    "min_max" (published) makes maps non-negative: two unrelated ones have a cosine near 0.9. "centred" uses the whole range.

    Examples
    --------
    >>> maps = torch.tensor([[[[1.0, 3.0]]]])
    >>> centre_maps(maps, "min_max").flatten().tolist(), centre_maps(maps, "centred").flatten().tolist()
    ([0.0, 1.0], [-1.0, 1.0])
    """
    if centring == "none":
        return maps
    if centring == "centred":
        return maps - maps.mean(dim=(2, 3), keepdim=True)
    low, high = maps.amin(dim=(1, 2, 3), keepdim=True), maps.amax(dim=(1, 2, 3), keepdim=True)
    return (maps - low) / (high - low).clamp_min(1e-8)


def scale_maps(maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
    """Return maps with mean 0 and mean square 1 each; a constant map becomes 0."""
    centred = maps - maps.mean(dim=(1, 2, 3), keepdim=True)
    return centred / (centred.square().mean(dim=(1, 2, 3), keepdim=True) + 1e-6).sqrt()
