"""Heads that read numbers out of feature maps, and the fixed numbers that they are trained to read."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.map_geometry import scale_maps
from dina.models.towers.tower import FeatureMaps, MapShape
from dina.shapes import ContrastImages
from dina.training.objectives.objective import EncodedBatch, Objective

MOST_INPUTS = 4096
FLOOR = 1e-6
IMAGES_AT_ONCE = 64


class TargetObjective(Objective):
    """An objective with targets that are standardised by the training images; its head reads them from either tower's map."""

    head: nn.Module
    mean: Tensor
    deviation: Tensor

    def describe(self, images: ContrastImages, map_shape: MapShape) -> Float[Tensor, "stimulus target"]:
        """Return Gabor energies and luminance, see `describe_by_gabors`."""
        return describe_by_gabors(images, map_shape)

    def learn_scale(self, target: Float[Tensor, "stimulus target"], n_per_scale: int = 1) -> None:
        """Learn mean and deviation of the targets of training images, see `standardise_targets`."""
        mean, deviation = standardise_targets(target, n_per_scale)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def scaled_target(self, batch: EncodedBatch) -> Float[Tensor, "batch target"]:
        """Return the standardised targets of a batch."""
        return (batch.target - self.mean) / self.deviation

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the unexplained fraction of the targets' variance, averaged over both towers; 1 for their mean."""
        target = self.scaled_target(batch)
        errors = [(self.head(maps).flatten(1) - target).square().mean() for maps in (batch.neural_maps, batch.image_maps)]
        return (errors[0] + errors[1]) / 2


class MapHead(nn.Module):
    """One linear layer from the whole feature map, averaged over neighbouring places where the map is large.

    Maps enter centred and with a mean square of 1, as a cosine sees them, so that towers of any scale can be read.
    """

    def __init__(self, map_shape: MapShape, n_outputs: int) -> None:
        super().__init__()
        n_channels, height, width = map_shape
        while n_channels * height * width > MOST_INPUTS and height * width > 1:
            height, width = -(-height // 2), -(-width // 2)
        self.grid = (height, width)
        self.linear = nn.Linear(n_channels * height * width, n_outputs)

    def forward(self, maps: FeatureMaps) -> Float[Tensor, "batch output"]:
        """Return the numbers read from each map."""
        return self.linear(F.adaptive_avg_pool2d(scale_maps(maps), self.grid).flatten(1))


class PlaceHead(nn.Module):
    """The same linear layer at every place of the feature map; maps enter as in `MapHead`."""

    def __init__(self, n_map_channels: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(n_map_channels, n_outputs, 1)

    def forward(self, maps: FeatureMaps) -> Float[Tensor, "batch output map_height map_width"]:
        """Return the numbers read at each place of each map."""
        return self.linear(scale_maps(maps))


def standardise_targets(
    target: Float[Tensor, "stimulus target"], n_per_scale: int = 1
) -> tuple[Float[Tensor, "target"], Float[Tensor, "target"]]:
    """Return mean and deviation of each target over the training images.

    ``n_per_scale`` neighbouring columns (the places of one channel) share a deviation. A column that hardly varies gets a
    twentieth of the typical deviation, or 1 where nothing varies.
    """
    values = target.double()
    variance = values.var(0, correction=0).reshape(-1, n_per_scale).mean(1).repeat_interleave(n_per_scale)
    deviation = variance.sqrt()
    typical = float(deviation.mean())
    return values.mean(0).float(), deviation.clamp_min(0.05 * typical if typical > 0 else 1.0).float()


@torch.no_grad()
def describe_by_gabors(images: ContrastImages, map_shape: MapShape) -> Float[Tensor, "stimulus target"]:
    """Return Gabor energies and luminance of every image on the grid of the towers' maps, in half precision.

    Columns are ordered as (channel, row of places, column of places).
    """
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    tower = GaborEnergy(shape, n_contrasts=0, has_phases=False)
    chunks = [
        F.interpolate(tower.raw_maps(chunk), size=map_shape[1:], mode="bilinear", antialias=True).flatten(1).half()
        for chunk in torch.split(torch.from_numpy(images), IMAGES_AT_ONCE)
    ]
    return torch.cat(chunks)
