"""Objectives that read known targets from the maps by a head: the category, the pixels, features of the image."""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.models.towers.map_geometry import scale_maps
from dina.models.towers.tower import MapShape
from dina.shapes import ContrastImages
from dina.training.objectives.contrastive import symmetric_info_nce
from dina.training.objectives.heads import FLOOR, IMAGES_AT_ONCE, MapHead, PlaceHead, TargetObjective
from dina.training.objectives.objective import EncodedBatch, Objective

FIRST_TEMPERATURE = 0.07


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
