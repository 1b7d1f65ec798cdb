"""A convolutional network that has learnt nothing: its weights are drawn at random, once and for all."""

import math

import torch
from torch import nn

from dina.models.towers.image.frozen_network import PIXEL_OF_CONTRAST, FrozenNetwork
from dina.models.towers.tower import MapShape
from dina.randomness import seed_for

SHORT_SIDE = 64  # pixels to which the shorter side of an image is resized, so that fields keep their share of it
LAYERS = ((32, 7, 2), (64, 5, 2), (128, 3, 1))  # channels, side of the filters, stride


def random_network(image_shape: MapShape) -> FrozenNetwork:
    """Return a control for frozen encoders: three rectified convolutions with random weights, the same for every seed of a study.

    Weights are Gaussian with a variance of 2 / (inputs of a unit), so that responses keep their spread from layer to layer; there
    are no biases. What such features reach is due to the architecture – local, rectified, wide – and to whatever reads them.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images, in pixels.

    References
    ----------
    He et al. (2015), https://doi.org/10.1109/ICCV.2015.123

    Examples
    --------
    >>> random_network((1, 68, 270))(torch.zeros(2, 1, 68, 270)).shape
    torch.Size([2, 128, 16, 64])
    """
    generator = torch.Generator().manual_seed(seed_for(0, "random network"))
    parts: list[nn.Module] = []
    n_inputs = 3
    for n_channels, side, stride in LAYERS:
        layer = nn.Conv2d(n_inputs, n_channels, side, stride, padding=side // 2, bias=False)
        with torch.no_grad():
            layer.weight.normal_(0.0, math.sqrt(2 / layer.weight[0].numel()), generator=generator)
        parts += [layer, nn.ReLU()]
        n_inputs = n_channels
    _, height, width = image_shape
    scale = SHORT_SIDE / min(height, width)
    size = round(height * scale), round(width * scale)
    return FrozenNetwork(nn.Sequential(*parts), "", size, mean=(0.5,), deviation=(PIXEL_OF_CONTRAST,))
