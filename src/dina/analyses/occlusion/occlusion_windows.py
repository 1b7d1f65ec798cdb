"""Windows that occlude an image place by place, and how much the receptive fields tell about each place."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dina.analyses.comparable_maps import channel_names
from dina.analyses.decoded import Decoded
from dina.analyses.separable_fields import SeparableFields
from dina.models.noise import LowRankNoise
from dina.models.receptive_fields import estimate_centres
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.randomness import generator_for
from dina.training.aligned_towers import AlignedTowers
from dina.training.presets.scratch import reliability_weights

Fill = Literal["mean", "blur"]
REACH = 3.0  # a window ends at this many deviations from its centre
WINDOWS_AT_ONCE = 32
N_FOR_CENTRES = 500
SMOOTHING = 1.0  # places, as in the estimate of centres


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
        Whether a tower whose gain follows the contrast of the whole image keeps the gain of the whole image. Otherwise any
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
    n_channels: int,
) -> OccludedImages:
    """Sweep a window over each image and encode every occluded image anew; this works for any towers, and holds no contrast.

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
        one = slice(number, number + 1)
        whole = towers.image_tower(images[one])
        for chunk in chunks:
            maps = towers.image_tower(images[one] + chunk * difference)
            distance.append((maps - whole)[:, :n_channels].square().sum(dim=(1, 2, 3)))
            score.append(towers.comparison(neural_maps[one], maps, n_presentations[one])[0])
    shape = (len(images), len(sweep.rows), len(sweep.columns))
    both = (torch.cat(values).reshape(shape).cpu().double().numpy() for values in (distance, score))
    return OccludedImages(*both)


def estimate_coverage(decoded: Decoded) -> tuple[Float[np.ndarray, "map_height map_width"], str]:
    r"""Estimate how much the neurons tell about each place of the map, and say in words how it was estimated.

    Parameters
    ----------
    decoded
        Only its towers and training images are read.

    Returns
    -------
    coverage
        Not negative, any unit, shape ``(map_height, map_width)``.
    words
        What it is.

    Notes
    -----
    For projective fields it is the Fisher information that a response has about the channels at a place,
    :math:`\sum_c w_c^\top \Sigma^{-1} w_c`, with :math:`w_c` how much channel :math:`c` there drives each neuron: strong
    and reliable neurons count more, and neurons that share their noise count less. For other towers it is the density
    of the centres estimated from training images, each neuron weighted by its signal-to-noise ratio.
    """
    neural, image = decoded.towers.neural_tower, decoded.towers.image_tower
    if isinstance(neural, ProjectiveFields):
        gain = image.gain if isinstance(image, GaborEnergy) else torch.ones(len(channel_names(image)))
        return _information(neural, gain), "Fisher information of the response about the channels at each place"
    order = generator_for(decoded.seed, "images of coverage").permutation(decoded.train.n_stimuli)
    chosen = np.sort(order[:N_FOR_CENTRES])
    maps = torch.from_numpy(decoded.towers.encode_images(decoded.train.images[chosen]))
    centre = estimate_centres(maps, torch.from_numpy(decoded.train.averaged()[chosen])).numpy()
    weight = reliability_weights(decoded.train).astype(np.float64) ** 2
    down, across = (
        np.exp(-0.5 * ((np.arange(extent)[:, None] - centre[:, axis]) / SMOOTHING) ** 2)
        for axis, extent in enumerate(maps.shape[2:])
    )
    return (down * weight) @ across.T, "density of estimated field centres, weighted by signal-to-noise ratio"


@torch.no_grad()
def _information(tower: ProjectiveFields, channel_gain: Tensor) -> Float[np.ndarray, "map_height map_width"]:
    """Return the Fisher information at each place, summed over the channels of structure, each in its own unit."""
    fields = SeparableFields(tower)
    n_channels, height, width = len(channel_gain), *tower.map_shape[1:]
    noise = LowRankNoise(tower.private, tower.loadings)
    neuron_gain = tower.log_gain.exp()
    single = torch.diag(channel_gain)[:, :, None, None]  # as many maps as channels, each with one channel at one place
    result = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            drive = fields.predict(single, slice(0, n_channels), (row, column))
            reached = torch.where(drive.abs().amax(0) > 0)[0]
            if not len(reached):
                continue
            drive = drive[:, reached]
            result[row, column] = float(noise.total_product(drive * neuron_gain[reached], drive, reached))
    return result.clip(0)
