"""An image tower learnt from scratch: a local pathway of small filters and a global one of large filters."""

import math

import torch
from torch import nn

from dina.models.towers.depthwise import DepthwiseConv2d
from dina.models.towers.tower import FeatureMaps, ImageBatch, ImageTower, MapShape, check_image_size

SMALLEST_IMAGE = 8
# Of the images that a CPU encodes together, per thread: what a layer leaves of them is small enough to lie in memory that was freed
# before. For larger blocks the system is asked each time, and clears every page.
PIXELS_AT_ONCE = 2**17


class TwoPathway(ImageTower):
    """A local and a global convolutional pathway, merged to a few channels on a coarse grid.

    Local: 7 × 7, 3 × 3, 3 × 3 filters. Global: 15 × 15 filters at stride 4, a depth-wise 7 × 7, 1 × 1. Both reach
    the same grid (9 × 34 places for 68 × 270 pixels) and are merged by a 1 × 1 convolution. Group normalisation
    treats every image by itself, so that a map does not depend on the other images of the batch.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images in pixels, at least 8 × 8.
    n_channels
        Channels of the feature maps.
    width
        Channels inside each pathway.

    Raises
    ------
    DataError
        If the images are smaller than 8 × 8 pixels.
    """

    def __init__(self, image_shape: MapShape, n_channels: int = 8, width: int = 32) -> None:
        check_image_size(image_shape, SMALLEST_IMAGE, "two-pathway")
        n_in, height, size = image_shape[0], image_shape[1], min(image_shape[1:])
        # small images keep a grid of at least six places along their shorter side
        last, middle = (2 if size >= 44 else 1), (2 if size >= 22 else 1)
        grid = [-(-extent // (2 * middle * last)) for extent in (height, image_shape[2])]
        super().__init__(image_shape, (n_channels, grid[0], grid[1]), ("local", "global"))
        # normalised on the coarse grid only: at full resolution it would cost as much as the filters themselves
        self.local = nn.Sequential(
            nn.Conv2d(n_in, width, 7, stride=2, padding=3), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=middle, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=last, padding=1), nn.GroupNorm(4, width), nn.ReLU(),
        )  # fmt: skip
        self.global_ = nn.Sequential(
            nn.Conv2d(n_in, width, 15, stride=2 * middle, padding=7), nn.ReLU(),
            DepthwiseConv2d(width, 7, stride=last), nn.ReLU(),
            nn.Conv2d(width, width, 1), nn.GroupNorm(4, width), nn.ReLU(),
        )  # fmt: skip
        self.merge = nn.Conv2d(2 * width, n_channels, 1)

    def forward(self, images: ImageBatch, masked: tuple[str, ...] = ()) -> FeatureMaps:
        """Return feature maps; a pathway named in ``masked`` ("local", "global") is 0 before the merge."""
        self.check_input(images, masked)
        if images.device.type != "cpu":
            return self._encode(images, masked)
        at_once = max(1, PIXELS_AT_ONCE * torch.get_num_threads() // math.prod(images.shape[2:]))
        return torch.cat([self._encode(some, masked) for some in torch.split(images, at_once)])

    def _encode(self, images: ImageBatch, masked: tuple[str, ...]) -> FeatureMaps:
        found = {"local": self.local(images), "global": self.global_(images)}
        parts = [0.0 * maps if name in masked else maps for name, maps in found.items()]
        return self.merge(torch.cat(parts, dim=1))
