"""Filters of images by spatial frequency without border artefacts, hybrids of two images, and their RMS contrast."""

import numpy as np
from jaxtyping import Float
from scipy.fft import dctn, idctn

from dina.checks import DataError
from dina.shapes import ContrastImages

NYQUIST = 0.5
"""Highest spatial frequency along an axis that pixels can show, cycles per pixel."""

EDGE_OCTAVES = 0.25
"""Width over which a filter falls from 1 to 0, octaves: narrow against a band, wide enough to ring little."""


def low_pass_gain(height: int, width: int, cutoff: float) -> Float[np.ndarray, "height width"]:
    r"""Return the gain of a low-pass filter for every coefficient of the cosine transform, in [0, 1].

    The gain is ½ at the cut-off and falls from 1 to 0 as a raised cosine over a quarter of an octave about it.

    Parameters
    ----------
    height, width
        Of the images, pixels.
    cutoff
        Cycles per pixel, positive; infinity lets everything pass.

    Raises
    ------
    DataError
        If the cut-off is not positive.

    Examples
    --------
    >>> low_pass_gain(1, 4, 0.25).round(2).tolist()
    [[1.0, 1.0, 0.5, 0.0]]
    """
    if not cutoff > 0:
        raise DataError(f"A cut-off must be above 0 cycles per pixel; got {cutoff}. Give a positive frequency.")
    frequency = np.hypot(np.arange(height)[:, None] / (2 * height), np.arange(width) / (2 * width))
    return fall_off(frequency, cutoff, EDGE_OCTAVES)


def fall_off(frequency: Float[np.ndarray, "height width"], cutoff: float, octaves: float) -> Float[np.ndarray, "height width"]:
    """Return a gain that falls from 1 to 0 as a raised cosine in the logarithm of frequency, ½ at the cut-off.

    Parameters
    ----------
    frequency, cutoff
        In one unit.
    octaves
        Width of the fall.

    Examples
    --------
    >>> fall_off(np.array([[1.0, 2.0, 4.0]]), 2.0, 2.0).tolist()
    [[1.0, 0.5, 0.0]]
    """
    with np.errstate(divide="ignore"):
        distance = np.log2(frequency / cutoff)
    gain: np.ndarray = 0.5 - 0.5 * np.sin(np.pi * np.clip(distance / octaves, -0.5, 0.5))
    return gain


def filter_images(images: ContrastImages, gain: Float[np.ndarray, "height width"]) -> ContrastImages:
    """Multiply every spatial frequency of the images by its gain.

    Frequencies are those of the cosine transform: an image is continued beyond its border by its mirror image, so that
    opposite borders do not meet, as they would in a Fourier transform.

    Parameters
    ----------
    images
        In units of contrast.
    gain
        From `low_pass_gain`, or differences of such; its first entry belongs to the mean of the image.

    Examples
    --------
    The mean survives a low-pass filter, detail does not:

    >>> stripes = np.tile(np.array([1.0, 3.0], dtype=np.float32), 4)[None, None, None]
    >>> filter_images(stripes, low_pass_gain(1, 8, 0.05)).round(3).tolist()
    [[[[2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]]]]
    """
    spectrum = dctn(images, axes=(2, 3), norm="ortho")
    spectrum *= gain.astype(np.float32)
    return np.asarray(idctn(spectrum, axes=(2, 3), norm="ortho", overwrite_x=True), dtype=np.float32)


def make_hybrids(low: ContrastImages, high: ContrastImages, cutoff: float) -> ContrastImages:
    """Put the content of one image below the cut-off together with that of another above it.

    Unlike a filtered image, a hybrid has natural contrast at every frequency, so that it resembles unfiltered images.

    Parameters
    ----------
    low, high
        Images that give the content below and above the cut-off; in units of contrast, of one shape.
    cutoff
        Cycles per pixel.

    References
    ----------
    Oliva, Torralba & Schyns (2006), ACM Trans. Graph. 25:527. https://doi.org/10.1145/1141911.1141919
    """
    return high + filter_images(low - high, low_pass_gain(low.shape[2], low.shape[3], cutoff))


def rms_contrast(images: ContrastImages) -> Float[np.ndarray, "stimulus"]:
    """Return the standard deviation of each image about its own mean, in units of contrast.

    Examples
    --------
    >>> rms_contrast(np.array([[[[-1.0, 1.0]]]], dtype=np.float32))
    array([1.])
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    return flat.std(axis=1)


def match_contrast(images: ContrastImages, like: ContrastImages) -> ContrastImages:
    """Bring each image to the mean, channel by channel, and the RMS contrast of another; blank images stay blank.

    Examples
    --------
    >>> dark, light = np.array([[[[-1.0, 1.0]]]], dtype=np.float32), np.array([[[[5.0, 9.0]]]], dtype=np.float32)
    >>> match_contrast(dark, light).tolist()
    [[[[5.0, 9.0]]]]
    """
    mean = images.mean(axis=(2, 3), keepdims=True)
    spread = (images - mean).reshape(len(images), -1).std(axis=1)
    goal = (like - like.mean(axis=(2, 3), keepdims=True)).reshape(len(like), -1).std(axis=1)
    factor = np.where(spread > 1e-9, goal / np.where(spread > 1e-9, spread, 1.0), 0.0)[:, None, None, None]
    return np.asarray(like.mean(axis=(2, 3), keepdims=True) + factor * (images - mean), dtype=np.float32)
