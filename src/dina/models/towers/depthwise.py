"""Filters that read one channel each, in single precision on a CPU."""

import torch
from torch import Tensor, nn


class DepthwiseConv2d(nn.Conv2d):
    """A convolution whose filters read one channel each; on a CPU it stays in single precision under autocast.

    In bfloat16 the library that torch computes with takes five times as long for the gradients of such filters where they are
    larger than 3 × 3 or skip places. Their share of all multiplications is small.

    Parameters
    ----------
    n_channels
        Channels of the maps, before and after.
    extent
        Height and width of the filters, odd; maps are padded by half of it.
    stride
        Step from place to place.
    bias
        Whether each channel has an offset.
    """

    def __init__(self, n_channels: int, extent: int, stride: int = 1, *, bias: bool = True) -> None:
        super().__init__(n_channels, n_channels, extent, stride=stride, padding=extent // 2, groups=n_channels, bias=bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Return filtered maps."""
        if maps.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(maps)
        with torch.autocast("cpu", enabled=False):
            return super().forward(maps.to(self.weight.dtype)).to(maps.dtype)
