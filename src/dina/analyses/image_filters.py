"""Filters of images by spatial frequency without border artefacts, the frequencies they are set to, and the contrast they leave."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32
from scipy.fft import dctn, idctn

from dina.analyses.altered_gallery import Alter
from dina.checks import DataError
from dina.shapes import ContrastImages

# Highest spatial frequency along an axis that pixels can show, cycles per pixel.
NYQUIST = 0.5

# Width over which a filter falls from 1 to 0, octaves: narrow against a band, wide enough to ring little.
EDGE_OCTAVES = 0.25

# Training images from which the contrast that a filter leaves is learnt.
N_CONTRAST_IMAGES = 200

# Training images of most similar contrast among which a donor is drawn.
N_SIMILAR = 20

# Factor in [0, 1] for every coefficient of the cosine transform; the first belongs to the mean of the image.
Gain = Float[np.ndarray, "height width"]


def low_pass_gain(height: int, width: int, cutoff: float) -> Gain:
    r"""Return the gain of a low-pass filter for images of this size in pixels.

    The gain is ½ at the cut-off (cycles per pixel; infinity lets everything pass) and falls from 1 to 0 as a raised cosine
    over a quarter of an octave about it.

    Raises
    ------
    DataError
        If the cut-off is not positive.
    """
    if not cutoff > 0:
        raise DataError(f"A cut-off must be above 0 cycles per pixel; got {cutoff}. Give a positive frequency.")
    frequency = np.hypot(np.arange(height)[:, None] / (2 * height), np.arange(width) / (2 * width))
    return fall_off(frequency, cutoff, EDGE_OCTAVES)


def fall_off(frequency: Float[np.ndarray, "height width"], cutoff: float, octaves: float) -> Gain:
    """Return a gain that falls over so many octaves as a raised cosine in the logarithm of frequency, ½ at the cut-off.

    Examples
    --------
    >>> fall_off(np.array([[1.0, 2.0, 4.0]]), 2.0, 2.0).tolist()
    [[1.0, 0.5, 0.0]]
    """
    with np.errstate(divide="ignore"):
        distance = np.log2(frequency / cutoff)
    gain: np.ndarray = 0.5 - 0.5 * np.sin(np.pi * np.clip(distance / octaves, -0.5, 0.5))
    return gain


def filter_images(images: ContrastImages, gain: Gain) -> ContrastImages:
    """Multiply every spatial frequency of the images by its gain.

    Frequencies are those of the cosine transform: an image is continued beyond its border by its mirror image, so that
    opposite borders do not meet, as they would in a Fourier transform.
    """
    spectrum = dctn(images, axes=(2, 3), norm="ortho")
    spectrum *= gain.astype(np.float32)
    return np.asarray(idctn(spectrum, axes=(2, 3), norm="ortho", overwrite_x=True), dtype=np.float32)


def make_hybrids(low: ContrastImages, high: ContrastImages, cutoff: float) -> ContrastImages:
    """Add the content of one image below the cut-off (cycles per pixel) to that of another above it.

    Unlike a filtered image, a hybrid has natural contrast at every frequency, so that it resembles unfiltered images.

    References
    ----------
    Oliva, Torralba & Schyns (2006), ACM Trans. Graph. 25:527. https://doi.org/10.1145/1141911.1141919
    """
    return high + filter_images(low - high, low_pass_gain(low.shape[2], low.shape[3], cutoff))


def rms_contrast(images: ContrastImages) -> Float[np.ndarray, "stimulus"]:
    """Return the standard deviation of each image about its own mean, in units of contrast."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    return flat.std(axis=1)


@dataclass(frozen=True, eq=False)
class FrequencyGrid:
    """At which frequencies images of one size in pixels are cut, cycles per pixel.

    ``cutoffs`` rise, evenly spaced in octaves, from one cycle along the shorter side to the Nyquist limit. ``edges`` are the
    bounds of the octave bands and fall from half the Nyquist limit; the highest band holds everything above the first, the
    lowest everything below the last.
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

    def low_pass(self, cutoff: float) -> Gain:
        """Return the gain of a low-pass filter for images of this size."""
        return low_pass_gain(self.height, self.width, float(cutoff))


@dataclass(frozen=True, eq=False)
class Equaliser:
    """Restores the contrast of filtered images by one factor for all images, learnt from ``reference`` training images."""

    reference: ContrastImages

    @classmethod
    def learn(cls, train: ContrastImages) -> "Equaliser":
        """Take evenly spaced training images as reference."""
        step = max(1, len(train) // N_CONTRAST_IMAGES)
        return cls(train[::step][:N_CONTRAST_IMAGES])

    def filter(self, images: ContrastImages, gain: Gain) -> ContrastImages:
        """Filter images and multiply their deviations from their means by one factor that restores the contrast of the set.

        A filter that removes the mean leaves every image at the mean of the reference.
        """
        left = rms_contrast(filter_images(self.reference, gain)).mean()
        factor = np.float32(rms_contrast(self.reference).mean() / max(float(left), 1e-6))
        filtered = filter_images(images, gain)
        mean = filtered.mean(axis=(2, 3), keepdims=True)
        level = mean if gain[0, 0] > 0 else self.reference.mean(axis=(0, 2, 3), keepdims=True)
        return np.asarray(level + factor * (filtered - mean), dtype=np.float32)

    def alteration(self, gain: Gain) -> Alter:
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


def draw_donors(
    images: ContrastImages, train: Float32[np.ndarray, "donor channel height width"], generator: np.random.Generator
) -> ContrastImages:
    """Draw for each image a training image of similar contrast."""
    contrast, of_train = (np.log(rms_contrast(part) + 1e-6) for part in (images, train))
    similar = np.argsort(np.abs(of_train[None, :] - contrast[:, None]), axis=1, kind="stable")[:, :N_SIMILAR]
    drawn = generator.integers(similar.shape[1], size=len(images))
    return train[similar[np.arange(len(images)), drawn]]
