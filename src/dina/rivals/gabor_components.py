"""Principal components of V1-like features of the training images: what decoders predict when pixels are too crude."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32

from dina.checks import check_count
from dina.models.eigenvectors import eigenvectors_of
from dina.models.encoding_weights import multiply_maps
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.rivals.image_components import ImageComponents
from dina.shapes import ContrastImages

PLACES_ALONG = 9
"""Places of the grid along the shorter side of the image: coarser than the encoding models', which confine weights."""

IMAGES_AT_ONCE = 64


@runtime_checkable
class ImageDescription(Protocol):
    """Z-scored numbers that stand for an image, learnt from the training images.

    Attributes
    ----------
    deviation
        What each number was divided by: its standard deviation over the training images.
    """

    @property
    def deviation(self) -> Float32[np.ndarray, "component"]:
        """Standard deviation of each component over the training images before z-scoring."""
        ...

    def encode(self, images: ContrastImages) -> Float32[np.ndarray, "stimulus component"]:
        """Return the z-scored components of images."""
        ...


@dataclass(frozen=True, eq=False)
class GaborComponents:
    """Components of Gabor energies, rectified phases and luminance, each with unit variance over the training images.

    Parameters
    ----------
    tower
        Makes the features, standardised place by place over the training images.
    directions
        By falling variance, shape ``(n_components, n_channels, height, width)``; applied to features they give z-scores.
    deviation
        Standard deviation of the training images along each direction, in standardised features, shape
        ``(n_components,)``.
    """

    tower: GaborEnergy
    directions: Float32[torch.Tensor, "component channel height width"]
    deviation: Float32[np.ndarray, "component"]

    @classmethod
    @torch.no_grad()
    def learn(cls, images: ContrastImages, n_components: int) -> "GaborComponents":
        """Find at most ``n_components`` directions of variance; fewer if the images have fewer.

        Raises
        ------
        DataError
            If ``n_components`` is below 1, or the images are too small for Gabor filters.
        """
        check_count("n_components", n_components, 1)
        n, n_channels, height, width = images.shape
        stride = max(1, round(min(height, width) / PLACES_ALONG))
        tower = GaborEnergy((int(n_channels), int(height), int(width)), stride, n_contrasts=0)
        maps = tower.learn_statistics(torch.from_numpy(images))
        values, vectors = eigenvectors_of(multiply_maps(maps, maps) / n)
        keep = torch.where(values > 1e-5 * values[-1])[0].flip(0)[:n_components]
        variance = values[keep]
        dual = vectors[:, keep] / (variance * n**0.5)
        directions = torch.stack(
            [(maps[:, channel].float().flatten(1).T @ dual).T.reshape(-1, *maps.shape[2:]) for channel in range(maps.shape[1])],
            dim=1,
        )
        return cls(tower, directions, variance.sqrt().numpy())

    @torch.no_grad()
    def encode(self, images: ContrastImages) -> Float32[np.ndarray, "stimulus component"]:
        """Return the z-scored components of images; dimensionless, by falling variance."""
        chunks = [
            self.tower(torch.from_numpy(images[first : first + IMAGES_AT_ONCE])).flatten(1) @ self.directions.flatten(1).T
            for first in range(0, len(images), IMAGES_AT_ONCE)
        ]
        return torch.cat(chunks).numpy()


DESCRIPTIONS: dict[str, type[ImageComponents] | type[GaborComponents]] = {"pixels": ImageComponents, "gabors": GaborComponents}
"""Descriptions of images by name."""
