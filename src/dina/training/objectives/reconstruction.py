"""Reconstruction objectives: a head must rebuild the image, or its features, from the maps; no pair is a negative."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.models.towers.tower import MapShape
from dina.shapes import ContrastImages
from dina.training.objectives.heads import IMAGES_AT_ONCE, PlaceHead, TargetObjective, scale_maps
from dina.training.objectives.objective import EncodedBatch, Objective


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
