"""An image tower learnt from few images: depth-separable filters on a fine grid, each pathway with map channels of its own."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from dina.models.towers.batch_norm import BatchNorm2d
from dina.models.towers.depthwise import DepthwiseConv2d
from dina.models.towers.tower import FeatureMaps, ImageBatch, ImageTower, MapShape, check_image_size

SMALLEST_IMAGE = 8
PLACES_ALONG = 17  # of the map, along the shorter side of the image: about as many as the local channels of `default` have
GLOBAL_SHARE = 4  # one in so many channels belongs to the global pathway


class SeparablePathways(ImageTower):
    """A local pathway of small filters, and a global one that sees the image through a coarse grid.

    Local: 7 × 7 filters, then depth-wise 5 × 5 and 1 × 1 filters, twice or more often. Global: the image averaged to the places of
    the map, 7 × 7 filters at every second place, the same pair of filters once, resized to the map. Every layer is normalised over the
    batch. Depth-separable filters have few weights, so that some hundred images can teach them.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images in pixels, at least 8 × 8.
    n_channels
        Channels of the feature maps: the first three quarters are those of the local pathway, the others those of the global one.

    Raises
    ------
    DataError
        If the images are smaller than 8 × 8 pixels.

    References
    ----------
    Chollet (2017), Xception: deep learning with depthwise separable convolutions. https://doi.org/10.1109/CVPR.2017.195
    """

    def __init__(self, image_shape: MapShape, n_channels: int = 32) -> None:
        check_image_size(image_shape, SMALLEST_IMAGE, "separable")
        n_in, *size = image_shape
        n_halvings = max(0, round(math.log2(min(size) / PLACES_ALONG)))
        height, width = (-(-extent // 2**n_halvings) for extent in size)
        super().__init__(image_shape, (n_channels, height, width), ("local", "global"))
        n_global = max(1, n_channels // GLOBAL_SHARE)
        n_local = n_channels - n_global
        strides = [2] * n_halvings + [1] * max(0, 3 - n_halvings)
        blocks = [layer for stride in strides[1:] for layer in _separable(n_local, stride)]
        self.local = nn.Sequential(
            nn.Conv2d(n_in, n_local, 7, stride=strides[0], padding=3, bias=False), *_normalised(n_local), *blocks
        )
        self.global_ = nn.Sequential(
            nn.Conv2d(n_in, n_global, 7, stride=2, padding=3, bias=False), *_normalised(n_global), *_separable(n_global, 1)
        )

    def forward(self, images: ImageBatch, masked: tuple[str, ...] = ()) -> FeatureMaps:
        """Return feature maps; the channels of a pathway named in ``masked`` ("local", "global") are 0."""
        self.check_input(images, masked)
        places = self.map_shape[1:]
        coarse = self.global_(F.adaptive_avg_pool2d(images, places))
        found = {"local": self.local(images), "global": F.interpolate(coarse, places, mode="bilinear")}
        return torch.cat([0.0 * maps if name in masked else maps for name, maps in found.items()], dim=1)


# filters have no offsets: normalisation takes them away, so that an optimiser would move them by rounding alone
def _separable(n_channels: int, stride: int) -> list[nn.Module]:
    of_places = DepthwiseConv2d(n_channels, 5, stride, bias=False)
    return [of_places, nn.Conv2d(n_channels, n_channels, 1, bias=False), *_normalised(n_channels)]


def _normalised(n_channels: int) -> list[nn.Module]:
    return [BatchNorm2d(n_channels), nn.ELU()]
