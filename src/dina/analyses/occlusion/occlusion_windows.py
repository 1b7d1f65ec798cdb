"""Images that fade to grey or to their own blur under a Gaussian window, and what any tower makes of them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dina.training.aligned_towers import AlignedTowers

Fill = Literal["mean", "blur"]
REACH = 3.0  # a window ends at this many deviations from its centre
WINDOWS_AT_ONCE = 32


@dataclass(frozen=True)
class Sweep:
    """One window swept over the image.

    Parameters
    ----------
    name
        In words of one piece ("medium", "blur").
    deviation_px
        Standard deviation of the Gaussian window, in pixels.
    fill
        What the image fades to: "mean", grey; or "blur", itself blurred by a Gaussian as wide as the window.
    rows, columns
        Centres of the windows, in pixels.
    is_contrast_held
        Whether a tower whose gain follows the contrast of the whole image keeps the gain of the whole image. Else any
        window changes maps everywhere, because it lowers that contrast. Towers without such a gain have nothing to hold.
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
class OcclusionEffects:
    """What becomes of the maps of occluded images, and of their scores for the responses to the whole images.

    Parameters
    ----------
    map_distance
        Squared distance between the maps of the occluded and of the whole image, over channels of structure, shape
        ``(n_images, n_rows, n_columns)``.
    score
        Of the occluded image for its own response, same shape.
    """

    map_distance: Float[np.ndarray, "image row column"]
    score: Float[np.ndarray, "image row column"]


def blur(images: Float[Tensor, "image channel height width"], deviation: float) -> Float[Tensor, "image channel height width"]:
    """Blur images by a Gaussian; beyond the border they go on as their own mirror image where that reaches, else as grey."""
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
    n_channels: int,
) -> OcclusionEffects:
    """Sweep a window over each image by encoding every occluded image anew; works for any towers, and holds no contrast.

    Parameters
    ----------
    towers
        In evaluation mode.
    images
        In units of contrast, on the towers' device.
    neural_maps, n_presentations
        Of the response to each image.
    sweep
        Which windows.
    n_channels
        Channels of structure, the first ones; only they count in distances.
    """
    height, width = images.shape[2:]
    windows = np.stack([np.outer(sweep.weights(r, height), sweep.weights(c, width)) for r in sweep.rows for c in sweep.columns])
    chunks = torch.split(torch.from_numpy(windows.astype(np.float32)).to(images.device)[:, None], WINDOWS_AT_ONCE)
    distance, score = [], []
    for number, difference in enumerate(sweep.difference(images)):
        own = slice(number, number + 1)
        whole = towers.image_tower(images[own])
        for chunk in chunks:
            maps = towers.image_tower(images[own] + chunk * difference)
            distance.append((maps - whole)[:, :n_channels].square().sum(dim=(1, 2, 3)))
            score.append(towers.comparison(neural_maps[own], maps, n_presentations[own])[0])
    shape = (len(images), len(sweep.rows), len(sweep.columns))
    both = (torch.cat(values).reshape(shape).cpu().double().numpy() for values in (distance, score))
    return OcclusionEffects(*both)
