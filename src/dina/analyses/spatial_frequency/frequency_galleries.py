"""Galleries of filtered images: low-passed, one octave alone, or with foreign content above a cut-off."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from dina.analyses.image_contrast import rms_contrast
from dina.analyses.image_filters import filter_images, low_pass_gain, make_hybrids
from dina.analyses.spatial_frequency.frequency_grid import FrequencyGrid
from dina.shapes import ContrastImages

N_CONTRAST_IMAGES = 200
"""Training images from which the contrast that a filter leaves is learnt."""

N_ALIKE = 20
"""Training images of most similar contrast among which a donor is drawn."""


@dataclass(frozen=True, eq=False)
class Equaliser:
    """Brings the contrast of filtered images back, by one factor for all images.

    Parameters
    ----------
    reference
        Training images, from which factors are learnt.
    """

    reference: ContrastImages

    @classmethod
    def learn(cls, train: ContrastImages) -> "Equaliser":
        """Take evenly spaced training images as reference."""
        step = max(1, len(train) // N_CONTRAST_IMAGES)
        return cls(train[::step][:N_CONTRAST_IMAGES])

    def filter(self, images: ContrastImages, gain: Float[np.ndarray, "height width"]) -> ContrastImages:
        """Filter images and multiply their deviations from their means by what gives the set its contrast back.

        A filter that removes the mean leaves every image at the mean of the reference.
        """
        kept = rms_contrast(filter_images(self.reference, gain)).mean()
        factor = np.float32(rms_contrast(self.reference).mean() / max(float(kept), 1e-6))
        filtered = filter_images(images, gain)
        own = filtered.mean(axis=(2, 3), keepdims=True)
        level = own if gain[0, 0] > 0 else self.reference.mean(axis=(0, 2, 3), keepdims=True)
        return np.asarray(level + factor * (filtered - own), dtype=np.float32)


def low_passed(images: ContrastImages, grid: FrequencyGrid, equaliser: Equaliser) -> Iterator[ContrastImages]:
    """Yield the images low-passed at each cut-off, contrast equalised."""
    for cutoff in grid.cutoffs:
        yield equaliser.filter(images, low_pass_gain(images.shape[2], images.shape[3], float(cutoff)))


def octave_bands(images: ContrastImages, grid: FrequencyGrid, equaliser: Equaliser) -> Iterator[ContrastImages]:
    """Yield each octave band of the images alone, rising in frequency, without their means, contrast equalised."""
    height, width = images.shape[2:]
    gains = [np.ones((height, width))] + [low_pass_gain(height, width, float(edge)) for edge in grid.edges]
    nothing = np.zeros((height, width))
    for upper, lower in reversed(list(zip(gains, [*gains[1:], nothing], strict=True))):
        band = upper - lower
        band[0, 0] = 0.0
        yield equaliser.filter(images, band)


def draw_donors(
    images: ContrastImages, train: Float32[np.ndarray, "donor channel height width"], generator: np.random.Generator
) -> ContrastImages:
    """Draw for each image a training image of similar contrast."""
    own, other = (np.log(rms_contrast(part) + 1e-6) for part in (images, train))
    alike = np.argsort(np.abs(other[None, :] - own[:, None]), axis=1, kind="stable")[:, :N_ALIKE]
    drawn = generator.integers(alike.shape[1], size=len(images))
    return train[alike[np.arange(len(images)), drawn]]


def replaced_above(images: ContrastImages, donors: ContrastImages, grid: FrequencyGrid) -> Iterator[ContrastImages]:
    """Yield the donors whole, then hybrids: images below each cut-off and donors above it."""
    yield donors
    for cutoff in grid.cutoffs:
        yield make_hybrids(images, donors, float(cutoff))
