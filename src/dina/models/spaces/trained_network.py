"""Layers of a network that others trained on photographs, as a feature space: what Gabor channels cannot see."""

from functools import cache
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from dina.checks import DataError
from dina.models.spaces.components import ComponentSpace, some_images
from dina.models.spaces.space import SpaceFit
from dina.models.towers.image.efficientnet import SMALLEST_SIDE, EfficientNetLayers, encoder_identity, read_efficientnet
from dina.models.towers.tower import MapShape

LAYERS = ("block_0", "block_2", "block_4", "block_7", "block_10")
"""Early layers help neurons of V1 most, middle ones those of V4; later ones have few places and add little."""


class TrainedNetwork(ComponentSpace):
    """Five layers of EfficientNet-Lite0, each with the same total variance, read as a whole.

    The network never learns here, and its weights are not saved with the towers: only their digest is, and another network is
    refused.
    """

    label = "trained encoder"
    permuted_seed: ClassVar[int | None] = None  # of the permutation of the weights

    scale: Tensor
    digest: Tensor

    def __init__(self, image_shape: MapShape, map_shape: MapShape) -> None:
        super().__init__(image_shape, map_shape)
        self.register_buffer("scale", torch.ones(len(LAYERS)))
        self.register_buffer("digest", torch.zeros(0, dtype=torch.uint8))

    @classmethod
    def explain_absence(cls, image_shape: MapShape) -> str:
        """Return why the encoder cannot be used; "" if it can."""
        n_channels, *size = image_shape
        if n_channels not in (1, 3):
            return f"The trained encoder needs images with 1 or 3 channels; these have {n_channels}."
        if min(size) < SMALLEST_SIDE:
            return f"The trained encoder needs images of at least {SMALLEST_SIDE} pixels along each side; these have {size[0]} x {size[1]}."
        return encoder_identity().missing

    def fit(self, images: Tensor, maps: Tensor, responses: Float[Tensor, "stimulus neuron"]) -> SpaceFit:
        """Learn the scale of each layer and the components, then ridge weights."""
        self.digest = _digest_of(_network(self.image_shape, self.permuted_seed)).to(images.device)
        self.scale = torch.ones_like(self.scale)
        rows = some_images(len(images))
        some = slice(None) if rows is None else rows
        raw = torch.split(self.raw(images[some], maps[some]), self._lengths(), dim=1)
        self.scale = torch.stack([1 / layer.var(0, correction=0).sum().sqrt().clamp_min(1e-12) for layer in raw])
        if rows is not None:
            del raw
            return self.fit_some(rows, images, maps, responses)
        return self.fit_raw(torch.cat([layer * scale for layer, scale in zip(raw, self.scale, strict=True)], dim=1), responses)

    def raw(self, images: Tensor, maps: Tensor) -> Float[Tensor, "batch raw_feature"]:
        """Return the layers, each times its scale.

        Raises
        ------
        DataError
            If the network is another one than that of the fit.
        """
        network = _network(self.image_shape, self.permuted_seed)
        if not torch.equal(self.digest.cpu(), _digest_of(network)):
            raise DataError("The trained encoder is another one than these towers were fitted with. Fit them again.")
        layers = network.look_up(images.cpu(), None)
        found = [layers[name].flatten(1).to(images.device) * scale for name, scale in zip(LAYERS, self.scale, strict=True)]
        return torch.cat(found, dim=1)

    def _lengths(self) -> list[int]:
        shapes = _network(self.image_shape, self.permuted_seed).layer_shapes
        return [n_channels * height * width for n_channels, height, width in (shapes[name] for name in LAYERS)]


class PermutedNetwork(TrainedNetwork):
    """The same network with the entries of each weight permuted: the control of what it learnt from photographs."""

    label = "trained encoder with permuted weights"
    permuted_seed = 0


@cache
def _network(image_shape: MapShape, permuted_seed: int | None) -> EfficientNetLayers:
    return read_efficientnet(image_shape, permuted_seed, LAYERS[-1])


def _digest_of(network: EfficientNetLayers) -> Tensor:
    return torch.frombuffer(bytearray(network.digest), dtype=torch.uint8)
