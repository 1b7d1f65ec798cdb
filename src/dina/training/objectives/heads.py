"""Objectives with a head that reads known numbers from the maps: the category, the pixels, features of the image."""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.map_geometry import scale_maps
from dina.models.towers.tower import FeatureMaps, MapShape
from dina.shapes import ContrastImages
from dina.training.objectives.contrastive import symmetric_info_nce
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


class Classification(Objective):
    r"""Cross-entropy of the category, read by one linear head from either tower's map, categories weighing alike.

    A control for contrastive training: maps trained in this way never compare one image with another.

    Notes
    -----
    With weight :math:`w_c = n / (K n_c)` of a category with :math:`n_c` of :math:`n` training images

    .. math:: L = -\sum_i w_{c_i} \big[\log p(c_i \mid f(x_i)) + \log p(c_i \mid h(r_i))\big] \big/ 2 \sum_i w_{c_i}

    Images of unknown category, or of one that no training image has, take no part.
    """

    needs: ClassVar[Literal["pairs", "categories", "features"]] = "categories"
    weight: Tensor

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Count the categories of the training images and make the head."""
        counts = torch.bincount(category[category >= 0]).clamp_min(1)
        self.register_buffer("weight", (counts.sum() / (len(counts) * counts)).float())
        self.head = MapHead(map_shape, len(counts))

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats; the logarithm of the number of categories is chance."""
        is_known = batch.category >= 0
        category = batch.category.clamp_min(0)
        weight = self.weight[category] * is_known
        rows = torch.arange(len(category), device=category.device)
        both = [-self.head(maps).log_softmax(1)[rows, category] for maps in (batch.neural_maps, batch.image_maps)]
        return (weight * (both[0] + both[1])).sum() / (2 * weight.sum()).clamp_min(1e-12)


class _Reconstruction(TargetObjective):
    """Rebuild, at every place of the map, the same numbers from the image's map and from the response's map."""

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Learn the scale of the targets from the training images and make the head."""
        n_places = map_shape[1] * map_shape[2]
        self.learn_scale(target, n_places)
        self.head = PlaceHead(map_shape[0], target.shape[1] // n_places)


class ReconstructPixels(_Reconstruction):
    """Rebuild the image: at every place of the map the pixels that it covers, by one linear head for both towers.

    The image is averaged to a whole number of pixels for each place. Because both towers share the head, the map of a response
    must come to hold the same information about the image as the map of the image.
    """

    def describe(self, images: ContrastImages, map_shape: MapShape) -> Float[Tensor, "stimulus target"]:
        """Return the pixels of each image, ordered as (pixel of the place, row of places, column of places)."""
        _, height, width = map_shape
        side = max(1, min(images.shape[2] // height, images.shape[3] // width))
        chunks = [
            F.pixel_unshuffle(F.adaptive_avg_pool2d(chunk, (side * height, side * width)), side).flatten(1).half()
            for chunk in torch.split(torch.from_numpy(images), IMAGES_AT_ONCE)
        ]
        return torch.cat(chunks)


class ReconstructFeatures(_Reconstruction):
    """Rebuild fixed feature maps of the image: Gabor energies and luminance on the grid of the map."""


class ReconstructMaps(Objective):
    """Rebuild the maps of the image tower from responses, by one gain and offset for each channel.

    The image tower stays as it began: a tower trained for this would make all its maps equal.
    """

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Make gains and offsets."""
        self.gain = nn.Parameter(torch.ones(map_shape[0], 1, 1))
        self.offset = nn.Parameter(torch.zeros(map_shape[0], 1, 1))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set gains to 1 and offsets to 0."""
        self.gain.fill_(1.0)
        self.offset.zero_()

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the unexplained fraction of the variance of the batch's image maps; 1 for their mean."""
        image = scale_maps(batch.image_maps.detach())
        rebuilt = scale_maps(batch.neural_maps) * self.gain + self.offset
        spread = (image - image.mean(0)).square().sum().clamp_min(1e-6)
        return (rebuilt - image).square().sum() / spread


FIRST_TEMPERATURE = 0.07


class _Privileged(TargetObjective):
    """Read the user's features of every image from both towers' maps by one linear head."""

    needs: ClassVar[Literal["pairs", "categories", "features"]] = "features"

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Learn mean and deviation of the features from the training images and make the head."""
        self.learn_scale(target)
        self.head = MapHead(map_shape, target.shape[1])


class PrivilegedRegression(_Privileged):
    """Regression of z-scored features, for example of a frozen CLIP vision model, on the maps of both towers.

    References
    ----------
    Horikawa & Kamitani (2017), Nat. Commun. 8:15037. https://doi.org/10.1038/ncomms15037. They regress features on
    voxels one by one; here the maps of two towers lie between.
    """


class PrivilegedContrastive(_Privileged):
    """Symmetric InfoNCE between what the head reads and the features themselves, for either tower.

    Features are z-scored by training images; scores are cosines divided by a learnt temperature.

    References
    ----------
    Liu et al. (2023, BrainCLIP), https://doi.org/10.48550/arXiv.2302.12971. They read a brain encoder alone; here
    the image tower is trained towards the same features, so that both meet.
    """

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Learn mean and deviation of the features from the training images; make head and temperature."""
        super().start(map_shape, target, category)
        self.log_temperature = nn.Parameter(torch.zeros(()))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set the temperature to its start."""
        self.log_temperature.fill_(math.log(FIRST_TEMPERATURE))

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats, averaged over both towers."""
        target = _unit(self.scaled_target(batch))
        temperature = self.log_temperature.clamp(math.log(0.001), math.log(100.0)).exp()
        losses = [
            symmetric_info_nce(_unit(self.head(maps)) @ target.T / temperature, batch.group)
            for maps in (batch.neural_maps, batch.image_maps)
        ]
        return (losses[0] + losses[1]) / 2


def _unit(rows: Tensor) -> Tensor:
    return rows / (rows.square().sum(1, keepdim=True) + FLOOR).sqrt()
