"""Which spatial frequencies images are cut at, and alterations that remove some frequencies or take them from other images."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32

from dina.analyses.altered_gallery import Alter
from dina.analyses.image_filters import NYQUIST, filter_images, low_pass_gain, make_hybrids, rms_contrast
from dina.recordings.recording import Recording
from dina.shapes import ContrastImages

N_CONTRAST_IMAGES = 200
"""Training images from which the contrast that a filter leaves is learnt."""

N_SIMILAR = 20
"""Training images of most similar contrast among which a donor is drawn."""


@dataclass(frozen=True, eq=False)
class FrequencyGrid:
    """At which frequencies images of one size are cut, cycles per pixel.

    Parameters
    ----------
    height, width
        Of the images, pixels.
    cutoffs
        Rising, evenly spaced in octaves, from one cycle along the shorter side to the Nyquist limit.
    edges
        Bounds of the octave bands, falling from half the Nyquist limit; the highest band holds all above the
        first, the lowest all below the last.
    """

    height: int
    width: int
    cutoffs: Float[np.ndarray, "cutoff"]
    edges: Float[np.ndarray, "edge"]

    @classmethod
    def of(cls, height: int, width: int, per_octave: int) -> "FrequencyGrid":
        """Choose the frequencies for images of this size.

        Examples
        --------
        >>> FrequencyGrid.of(8, 40, 1).cutoffs.tolist()
        [0.125, 0.25, 0.5]
        """
        octaves = np.log2(NYQUIST * min(height, width))
        steps = np.arange(int(np.floor(octaves * per_octave + 1e-9)), -1, -1)
        edges = NYQUIST * 2.0 ** -np.arange(1, max(2, int(np.floor(octaves + 1e-9)) + 1))
        return cls(height, width, NYQUIST * 2.0 ** (-steps / per_octave), edges)

    @property
    def ends(self) -> Float[np.ndarray, "cutoff_and_all"]:
        """The cut-offs, then the corner of the frequency plane, where nothing is removed."""
        return np.append(self.cutoffs, NYQUIST * np.sqrt(2.0))

    @property
    def band_centres(self) -> Float[np.ndarray, "band"]:
        """The middle of each octave band, rising; the lowest is taken to be an octave wide."""
        return np.append(np.sqrt(2.0) * self.edges[0], self.edges / np.sqrt(2.0))[::-1]

    def low_pass(self, cutoff: float) -> Float[np.ndarray, "height width"]:
        """Return the gain of a low-pass filter for images of this size."""
        return low_pass_gain(self.height, self.width, float(cutoff))


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
        """Filter images and multiply their deviations from their means by one factor that restores the contrast of the set.

        A filter that removes the mean leaves every image at the mean of the reference.
        """
        left = rms_contrast(filter_images(self.reference, gain)).mean()
        factor = np.float32(rms_contrast(self.reference).mean() / max(float(left), 1e-6))
        filtered = filter_images(images, gain)
        mean = filtered.mean(axis=(2, 3), keepdims=True)
        level = mean if gain[0, 0] > 0 else self.reference.mean(axis=(0, 2, 3), keepdims=True)
        return np.asarray(level + factor * (filtered - mean), dtype=np.float32)

    def alteration(self, gain: Float[np.ndarray, "height width"]) -> Alter:
        """Return `filter` with this gain."""
        return lambda images: self.filter(images, gain)

    def low_passes(self, grid: FrequencyGrid) -> dict[str, Alter]:
        """Return an alteration for each cut-off, rising: nothing above it, contrast equalised."""
        return {f"below {cutoff:.6f}": self.alteration(grid.low_pass(cutoff)) for cutoff in grid.cutoffs}

    def octave_bands(self, grid: FrequencyGrid) -> dict[str, Alter]:
        """Return an alteration for each octave band, rising: nothing else, not even the mean, contrast equalised."""
        gains = [np.ones((grid.height, grid.width)), *map(grid.low_pass, grid.edges), np.zeros((grid.height, grid.width))]
        bands = [upper - lower for upper, lower in pairwise(gains)]
        for band in bands:
            band[0, 0] = 0.0
        return {f"band {number}": self.alteration(band) for number, band in enumerate(reversed(bands))}


def foreign_above(grid: FrequencyGrid, donors: ContrastImages) -> dict[str, Alter]:
    """Return alterations that put donors in place of everything, then of everything above each cut-off."""

    def above(cutoff: float) -> Alter:
        return lambda images: make_hybrids(images, donors, cutoff)

    all_foreign: dict[str, Alter] = {"everything": lambda _: donors}
    return all_foreign | {f"above {cutoff:.6f}": above(float(cutoff)) for cutoff in grid.cutoffs}


def draw_donors(
    images: ContrastImages, train: Float32[np.ndarray, "donor channel height width"], generator: np.random.Generator
) -> ContrastImages:
    """Draw for each image a training image of similar contrast."""
    contrast, of_train = (np.log(rms_contrast(part) + 1e-6) for part in (images, train))
    similar = np.argsort(np.abs(of_train[None, :] - contrast[:, None]), axis=1, kind="stable")[:, :N_SIMILAR]
    drawn = generator.integers(similar.shape[1], size=len(images))
    return train[similar[np.arange(len(images)), drawn]]


def frequency_units(recording: Recording) -> str:
    """Return the unit of spatial frequency that a recording allows."""
    return "cycles/pixel" if recording.deg_per_pixel is None else "cycles/degree"
