"""Separable pathways that see every image in grey and at one size, so that weights learnt on one recording fit another."""

import torch
import torch.nn.functional as F

from dina.models.towers.image.separable_pathways import SeparablePathways
from dina.models.towers.tower import FeatureMaps, ImageBatch, ImageTower, MapShape, check_image_size

SHORTER_SIDE = 34  # pixels of the images that the pathways see: two for each place of the map
SMALLEST_SIDE = 8


class ScaledPathways(ImageTower):
    """`SeparablePathways` behind a change of size: the shorter side becomes 34 pixels, and colours become grey.

    The weights then do not depend on the size of the images, only the number of places along the longer side does.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images in pixels, at least 8 × 8.
    n_channels
        As in `SeparablePathways`.

    Raises
    ------
    DataError
        If the images are smaller than 8 × 8 pixels.
    """

    def __init__(self, image_shape: MapShape, n_channels: int = 32) -> None:
        check_image_size(image_shape, SMALLEST_SIDE, "scaled")
        _, height, width = image_shape
        scale = SHORTER_SIDE / min(height, width)
        self.seen = round(height * scale), round(width * scale)
        pathways = SeparablePathways((1, *self.seen), n_channels)
        super().__init__(image_shape, pathways.map_shape, pathways.pathways)
        self.separable = pathways

    def forward(self, images: ImageBatch, masked: tuple[str, ...] = ()) -> FeatureMaps:
        """Return feature maps; the channels of a pathway named in ``masked`` ("local", "global") are 0."""
        self.check_input(images, masked)
        grey = images.mean(1, keepdim=True)
        if tuple(grey.shape[2:]) != self.seen:
            grey = F.interpolate(grey, self.seen, mode="bilinear", antialias=True)
        maps: torch.Tensor = self.separable(grey, masked)
        return maps
