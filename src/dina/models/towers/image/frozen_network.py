"""Features of one layer of a network that never learns, and two controls: shuffled weights, and random ones."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.checks import DataError
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.map_geometry import resize_bilinear
from dina.models.towers.tower import MapShape
from dina.randomness import seed_for

# How much of the range of a pixel, black 0 to white 1, one unit of contrast is in 8-bit images; grey is 0.5.
PIXEL_OF_CONTRAST = 64 / 255

PLACES_ALONG = 9
SHORT_SIDE = 64  # pixels to which the shorter side of an image is resized, so that fields keep their share of it
LAYERS = ((32, 7, 2), (64, 5, 2), (128, 3, 1))  # channels, side of the filters, stride


class FrozenNetwork(nn.Module):
    """Any network behind the preparation that it expects of images, read out at any layer; no weight learns.

    Contrast becomes pixels from 0 to 1, grey images get three equal channels, the image is resized, and each channel is
    shifted and scaled as the network's authors did.

    Parameters
    ----------
    network
        Takes ``(batch, channel, height, width)``.
    layer
        Dotted name of the part whose output is read, as in ``network.named_modules()``; "" for the output of the whole.
    size
        (height, width) to which images are resized; None leaves them as they are.
    mean, deviation
        Of each channel, in pixels from 0 to 1; one number for all, or one for each of three channels.

    Raises
    ------
    DataError
        If the network has no such layer.

    Examples
    --------
    >>> network = FrozenNetwork(nn.Sequential(nn.Conv2d(3, 5, 4, stride=4), nn.ReLU()), layer="0", mean=(0.5,), deviation=(0.5,))
    >>> network(torch.zeros(2, 1, 8, 16)).shape
    torch.Size([2, 5, 2, 4])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        network: nn.Module,
        layer: str = "",
        size: tuple[int, int] | None = None,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        deviation: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        names = {name for name, _ in network.named_modules()}
        if layer not in names:
            some = ", ".join(sorted(name for name in names if name)[:8])
            raise DataError(f"The network has no layer {layer!r}. Choose one of its parts, for example: {some}.")
        self.network = network.eval().requires_grad_(False)
        self.layer = layer
        self.size = size
        self.reading = f"layer {layer!r}, size {size}"
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None])

    def forward(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch feature feature_height feature_width"]:
        """Return the features of images in units of contrast; a layer without places gives maps of one place.

        Raises
        ------
        DataError
            If the layer gives neither maps nor one row of numbers for each image.
        """
        pixels = 0.5 + PIXEL_OF_CONTRAST * images
        pixels = pixels.expand(-1, 3, -1, -1) if images.shape[1] == 1 else pixels
        pixels = pixels if self.size is None else resize_bilinear(pixels, self.size)
        found: list[Any] = []
        hook = self.network.get_submodule(self.layer).register_forward_hook(lambda part, taken, given: found.append(given))
        try:
            self.network((pixels - self.mean) / self.deviation)
        finally:
            hook.remove()
        given = found[-1]
        features = given if isinstance(given, Tensor) else given[0]
        if features.ndim not in (2, 4) or len(features) != len(images):
            raise DataError(
                f"A layer must give (image, feature) or (image, feature, height, width); {self.layer or 'the network'} gives"
                f" {tuple(features.shape)} for {len(images)} images. Choose another layer, or wrap it in a module that reorders it."
            )
        return features if features.ndim == 4 else features[:, :, None, None]


class GaborFeatures(nn.Module):
    """Gabor energies, rectified phases and luminance on a coarse grid: the frozen encoder that needs no download."""

    def __init__(self, image_shape: MapShape) -> None:
        super().__init__()
        stride = max(1, round(min(image_shape[1:]) / PLACES_ALONG))
        self.tower = GaborEnergy(image_shape, stride, n_contrasts=0).requires_grad_(False)

    def forward(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch feature feature_height feature_width"]:
        """Return the features of images in units of contrast."""
        return self.tower.raw_maps(images)


@torch.no_grad()
def permute_weights(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Shuffle the numbers inside every weight of a network, in place: a control that keeps each layer's mean and spread.

    Raises
    ------
    DataError
        If the network has no weights.
    """
    weights = [weight for _, weight in sorted(network.named_parameters()) if weight.numel() > 1]
    if isinstance(network, GaborFeatures) or not weights:
        raise DataError("A control with random weights needs a network with weights; Gabor filters have none. Name a network.")
    for weight in weights:
        weight.copy_(weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight))
    return network


def weight_digest(network: nn.Module) -> bytes:
    """Return a SHA-256 over all weights and buffers, by name, and over each part's ``reading`` (its layer and image size)."""
    digest = hashlib.sha256()
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    for name, part in network.named_modules():
        if isinstance(reading := getattr(part, "reading", None), str):
            digest.update(f"{name}: {reading}".encode())
    return digest.digest()


def random_network(image_shape: MapShape) -> FrozenNetwork:
    """Return a control for frozen encoders: three rectified convolutions with random weights, the same for every seed of a study.

    Weights are Gaussian with a variance of 2 / (inputs of a unit), so that responses keep their spread from layer to layer; there
    are no biases. Such features reach what local, rectified, wide architecture and their readout allow without learning.

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
