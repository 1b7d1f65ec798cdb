"""New images of the same texture: noise whose filter responses get the histograms of an image, nothing in its place."""

from itertools import pairwise

import numpy as np
from jaxtyping import Complex, Float

from dina.analyses.image_filters import fall_off
from dina.shapes import ContrastImages

N_ORIENTATIONS = 4
N_ITERATIONS = 4
"""Rounds of matching; the histograms hardly change after the third."""

SMALLEST_BAND = 8
"""The lowest band has wavelengths up to about this fraction of the shorter side: lower ones are left to the residual."""


def match_texture(images: ContrastImages, generator: np.random.Generator) -> ContrastImages:
    """Synthesise for each image one that shares its texture and none of its layout.

    White noise is given, in turn, the histogram of pixels and the histograms of a steerable decomposition (octaves × four
    orientations) of the image. It matches marginal statistics only: a simpler texture than Portilla & Simoncelli's, which
    also matches correlations between filters. Channels of a colour image are treated one by one, from the same noise.

    Parameters
    ----------
    images
        In units of contrast.
    generator
        Of the noise.

    References
    ----------
    Heeger & Bergen (1995), Proc. SIGGRAPH, 229. https://doi.org/10.1145/218380.218446
    """
    height, width = images.shape[2:]
    filters = steerable_filters(height, width)
    result = np.empty_like(images)
    for number, image in enumerate(images):
        noise = generator.standard_normal((height, width))
        for channel, plane in enumerate(image.astype(np.float64)):
            result[number, channel] = _match_plane(plane, noise, filters)
    return result


def steerable_filters(height: int, width: int) -> Complex[np.ndarray, "band height half_width"]:
    r"""Return the filters of a steerable decomposition in the frequency plane of ``rfft2``; their squares sum to 1.

    A high-pass and a low-pass residual, and octave bands times :math:`\cos^3` of the angle to each of four orientations.

    Examples
    --------
    >>> filters = steerable_filters(16, 24)
    >>> bool(np.allclose((np.abs(filters) ** 2).sum(axis=0), 1.0))
    True
    """
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    n_octaves = max(1, int(np.log2(min(height, width) / SMALLEST_BAND)))
    gains = [fall_off(frequency, 0.35 / 2**octave, 1.0) for octave in range(n_octaves + 1)]
    turned = []
    for number in range(N_ORIENTATIONS):
        cosine = np.cos(angle - np.pi * number / N_ORIENTATIONS)
        turned.append(1j * cosine**3 / np.sqrt(1.25))  # four shifted cos^6 add up to 1.25
    bands = [np.sqrt(np.clip(upper - lower, 0, 1)) for upper, lower in pairwise(gains)]
    filters = [np.sqrt(1 - gains[0]) + 0j, *(band * turn for band in bands for turn in turned), np.sqrt(gains[-1]) + 0j]
    return np.stack(filters)


def _match_plane(
    plane: Float[np.ndarray, "height width"], noise: Float[np.ndarray, "height width"], filters: np.ndarray
) -> Float[np.ndarray, "height width"]:
    """Return the noise after it has taken on the histograms of one plane."""
    size = plane.shape
    pixels = np.sort(plane, axis=None)
    targets = np.sort(np.fft.irfft2(np.fft.rfft2(plane) * filters, s=size).reshape(len(filters), -1), axis=1)
    texture = _take_histogram(noise, pixels)
    for _ in range(N_ITERATIONS):
        responses = np.fft.irfft2(np.fft.rfft2(texture) * filters, s=size)
        matched = np.stack([_take_histogram(one, target) for one, target in zip(responses, targets, strict=True)])
        texture = np.fft.irfft2((np.fft.rfft2(matched) * filters.conj()).sum(axis=0), s=size)
        texture = _take_histogram(texture, pixels)
    return texture


def _take_histogram(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Replace values by others in ascending order, so that the smallest becomes the smallest and so on."""
    result = np.empty(values.size)
    result[np.argsort(values, axis=None, kind="stable")] = ordered
    return result.reshape(values.shape)
