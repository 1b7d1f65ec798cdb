"""Numbers that stand for an image in linear decoders: principal components of its pixels or of its Gabor features."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32

from dina.checks import check_count
from dina.models.global_ridge import eigenvectors_of, multiply_maps
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.shapes import ContrastImages

# Images are averaged over square blocks until they have at most this many values.
MAX_PIXELS = 5_000

# Places of the grid of Gabors along the shorter side of the image: coarser than the encoding models', which confine weights.
PLACES_ALONG = 9

IMAGES_AT_ONCE = 64


@runtime_checkable
class ImageDescription(Protocol):
    """Z-scored numbers that stand for an image; ``deviation`` is their standard deviation over training images before that."""

    @property
    def deviation(self) -> Float32[np.ndarray, "component"]:
        """Standard deviation of each component over the training images before z-scoring."""
        ...

    def encode(self, images: ContrastImages) -> Float32[np.ndarray, "stimulus component"]:
        """Return the z-scored components of images."""
        ...


@dataclass(frozen=True, eq=False)
class ImageComponents:
    """Pixel components of the training images, each with unit variance over them.

    Square blocks of ``block`` pixels are averaged first. ``mean`` and ``deviation`` (positive) are in units of contrast;
    ``directions`` are orthonormal, by falling variance.
    """

    block: int
    mean: Float32[np.ndarray, "value"]
    directions: Float32[np.ndarray, "component value"]
    deviation: Float32[np.ndarray, "component"]

    @classmethod
    def learn(cls, images: ContrastImages, n_components: int) -> "ImageComponents":
        """Find at most ``n_components`` directions of variance; fewer if the images have fewer.

        Raises
        ------
        DataError
            If ``n_components`` is below 1.
        """
        check_count("n_components", n_components, 1)
        n, n_channels, height, width = images.shape
        block = max(1, int(np.ceil(np.sqrt(n_channels * height * width / MAX_PIXELS))))
        values = _average_blocks(images, block)
        mean = values.mean(axis=0, dtype=np.float64).astype(np.float32)
        values = values - mean
        # the smaller of the two Gram matrices has all the variances that are not 0
        by_image = n <= values.shape[1]
        gram = (values @ values.T if by_image else values.T @ values).astype(np.float64) / n
        variance, vectors = (part.numpy() for part in torch.linalg.eigh(torch.from_numpy(gram)))
        keep = np.flatnonzero(variance > 1e-6 * variance[-1])[::-1][:n_components]
        deviation = np.sqrt(variance[keep]).astype(np.float32)
        directions = vectors[:, keep].T.astype(np.float32)
        if by_image:
            directions = directions @ values / (deviation[:, None] * np.float32(np.sqrt(n)))
        return cls(block, mean, np.ascontiguousarray(directions), deviation)

    def encode(self, images: ContrastImages) -> Float32[np.ndarray, "stimulus component"]:
        """Return the z-scored components of images; dimensionless, by falling variance."""
        return (_average_blocks(images, self.block) - self.mean) @ self.directions.T / self.deviation


@dataclass(frozen=True, eq=False)
class GaborComponents:
    """Components of Gabor energies, rectified phases and luminance, each with unit variance over the training images.

    The tower's features are standardised place by place. ``directions`` have axes component, channel, row and column, by falling
    variance; applied to features they give z-scores. ``deviation`` is in standardised features.
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


# Descriptions of images by name.
DESCRIPTIONS: dict[str, type[ImageComponents] | type[GaborComponents]] = {"pixels": ImageComponents, "gabors": GaborComponents}


def _average_blocks(images: ContrastImages, block: int) -> Float32[np.ndarray, "stimulus value"]:
    """Average square blocks of pixels; those at the lower and right edge may be smaller."""
    if block > 1:
        for axis in (2, 3):
            edges = np.arange(0, images.shape[axis], block)
            size = np.diff(np.append(edges, images.shape[axis])).astype(np.float32)
            images = np.add.reduceat(images, edges, axis=axis) / size.reshape((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
    return images.reshape(len(images), -1)
