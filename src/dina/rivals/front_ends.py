"""What an encoding model sees of an image: feature maps by Gabor filters, with colour opponency, or by a network."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dina.data.pairs import Pairs
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.rivals.encoding_network import NetworkFrontEnd
from dina.shapes import ContrastImages

IMAGES_AT_ONCE = 64


@runtime_checkable
class FrontEnd(Protocol):
    """Feature maps whose every channel and place is standardised over the training images.

    Attributes
    ----------
    chosen
        What validation chose, after `learn`.
    """

    chosen: dict[str, str | float]

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> Float[Tensor, "stimulus channel height width"]:
        """Learn from training pairs, choose by validation pairs, and return the maps of the training images."""
        ...

    def encode(self, images: ContrastImages) -> Iterator[Float[Tensor, "image channel height width"]]:
        """Yield the maps of images, some at a time, in order."""
        ...


class GaborFrontEnd:
    """Gabor energies, rectified phases and luminance; on colour images the energies of opponent planes as well."""

    def __init__(self) -> None:
        self.chosen: dict[str, str | float] = {}
        self.tower: GaborEnergy

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> Float[Tensor, "stimulus channel height width"]:
        """Learn the statistics of the channels, and return the maps of the training images in half precision."""
        self.tower = _gabors(train.images)
        return self.tower.learn_statistics(torch.from_numpy(train.images))

    def encode(self, images: ContrastImages) -> Iterator[Float[Tensor, "image channel height width"]]:
        """Yield standardised maps."""
        for first in range(0, len(images), IMAGES_AT_ONCE):
            yield self.tower(torch.from_numpy(images[first : first + IMAGES_AT_ONCE]))


class OpponentFrontEnd(GaborFrontEnd):
    """As `GaborFrontEnd`, and the on and off halves of luminance and of each opponent colour plane.

    A neuron that answers to red but not to green, or to dark but not to light, is not linear in the planes; in these
    halves it is. Grey images have luminance alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._mean: Tensor
        self._deviation: Tensor

    @torch.no_grad()
    def learn(self, train: Pairs, validation: Pairs, seed: int) -> Float[Tensor, "stimulus channel height width"]:
        """Learn the statistics of all channels, and return the maps of the training images in half precision."""
        maps = super().learn(train, validation, seed)
        halves = torch.cat([self._halves(train.images[i : i + IMAGES_AT_ONCE]) for i in range(0, len(maps), IMAGES_AT_ONCE)])
        self._mean = halves.mean(0)
        deviation = halves.std(0, correction=0)
        self._deviation = deviation.maximum(0.05 * deviation.mean(dim=(1, 2), keepdim=True) + 1e-6)
        return torch.cat([maps, ((halves - self._mean) / self._deviation).to(maps.dtype)], dim=1)

    def encode(self, images: ContrastImages) -> Iterator[Float[Tensor, "image channel height width"]]:
        """Yield standardised maps."""
        for number, maps in enumerate(super().encode(images)):
            first = number * IMAGES_AT_ONCE
            halves = (self._halves(images[first : first + IMAGES_AT_ONCE]) - self._mean) / self._deviation
            yield torch.cat([maps, halves], dim=1)

    def _halves(self, images: ContrastImages) -> Tensor:
        values = torch.from_numpy(np.ascontiguousarray(images))
        planes = [values.mean(1)]
        if values.shape[1] == 3:  # red–green and blue–yellow, as in the Gabor channels
            planes += [values[:, 0] - values[:, 1], values[:, 2] - 0.5 * (values[:, 0] + values[:, 1])]
        halves = torch.stack([part for plane in planes for part in (F.relu(plane), F.relu(-plane))], dim=1)
        return F.adaptive_avg_pool2d(halves, self.tower.map_shape[1:])


def _gabors(images: ContrastImages) -> GaborEnergy:
    channels, height, width = (int(extent) for extent in images.shape[1:])
    return GaborEnergy((channels, height, width), n_contrasts=0)


FRONT_ENDS: dict[str, type[GaborFrontEnd] | type[OpponentFrontEnd] | type[NetworkFrontEnd]] = {
    "gabor": GaborFrontEnd,
    "opponent": OpponentFrontEnd,
    "network": NetworkFrontEnd,
}
"""Front ends by name."""
