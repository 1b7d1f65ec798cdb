"""Alterations that keep only the shape or only the texture of images: phases, silhouettes, contours, textures."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Complex, Float
from scipy.ndimage import gaussian_filter
from skimage.feature import canny

from dina.analyses.image_filters import fall_off, filter_images, low_pass_gain
from dina.shapes import ContrastImages

# Cycles along the shorter side that a silhouette's outline may have.
SILHOUETTE_CYCLES = 6.0

# Standard deviation of the blur before edges are found, pixels.
CONTOUR_BLUR = 1.0

# Of the gradient: where a contour may go on, and where it may begin.
CONTOUR_QUANTILES = (0.7, 0.9)

# Windows that would lie side by side along the shorter side.
WINDOWS_ALONG = 4

N_ORIENTATIONS = 4
# Rounds of matching; the histograms hardly change after the third.
N_ITERATIONS = 4

# The lowest band has wavelengths up to about this fraction of the shorter side: lower ones are left to the residual.
SMALLEST_BAND = 8


@dataclass(frozen=True)
class Alteration:
    """One way to take something from an image; ``words`` say in tables and figures which part it keeps.

    ``alter`` makes of images, a mean amplitude spectrum and a generator altered images whose contrast is not yet matched.
    """

    keeps: Literal["shape", "texture"]
    words: str
    alter: Callable[[ContrastImages, np.ndarray, np.random.Generator], ContrastImages]


def mean_amplitude(images: ContrastImages) -> Float[np.ndarray, "channel height width"]:
    """Return the mean Fourier amplitude of images brought to one contrast, with the mean of the image left out."""
    centred = images - images.mean(axis=(2, 3), keepdims=True)
    scale = np.maximum(centred.std(axis=(1, 2, 3), keepdims=True), 1e-6)
    amplitude: np.ndarray = np.abs(np.fft.fft2(centred / scale)).mean(axis=0)
    return amplitude


def match_contrast(images: ContrastImages, like: ContrastImages) -> ContrastImages:
    """Give each image the mean, channel by channel, and the RMS contrast of another; blank images stay blank."""
    mean = images.mean(axis=(2, 3), keepdims=True)
    spread = (images - mean).reshape(len(images), -1).std(axis=1)
    goal = (like - like.mean(axis=(2, 3), keepdims=True)).reshape(len(like), -1).std(axis=1)
    factor = np.where(spread > 1e-9, goal / np.where(spread > 1e-9, spread, 1.0), 0.0)[:, None, None, None]
    return np.asarray(like.mean(axis=(2, 3), keepdims=True) + factor * (images - mean), dtype=np.float32)


def swap_amplitude(phases_of: ContrastImages, amplitude: Float[np.ndarray, "*image channel height width"]) -> ContrastImages:
    """Give images other Fourier amplitudes and keep their phases."""
    spectrum = np.fft.fft2(phases_of - phases_of.mean(axis=(2, 3), keepdims=True))
    size = np.abs(spectrum)
    turned = np.where(size > 1e-9, spectrum / np.maximum(size, 1e-9), 0.0)
    return np.asarray(np.fft.ifft2(turned * amplitude).real, dtype=np.float32)


def _amplitude_only(images: ContrastImages, generator: np.random.Generator) -> ContrastImages:
    # one set of phases for all channels, so that colours stay where their luminance goes
    noise = generator.standard_normal((len(images), 1, *images.shape[2:]))
    turn = np.exp(1j * np.angle(np.fft.fft2(noise)))
    spectrum = np.fft.fft2(images - images.mean(axis=(2, 3), keepdims=True))
    return np.asarray(np.fft.ifft2(spectrum * turn).real, dtype=np.float32)


def _silhouette(images: ContrastImages) -> ContrastImages:
    height, width = images.shape[2:]
    grey = images.mean(axis=1, keepdims=True)
    smooth = filter_images(grey, low_pass_gain(height, width, SILHOUETTE_CYCLES / min(height, width)))
    two_tone = np.sign(smooth - np.median(smooth, axis=(2, 3), keepdims=True))
    return np.repeat(two_tone.astype(np.float32), images.shape[1], axis=1)


def _contours(images: ContrastImages) -> ContrastImages:
    grey = images.mean(axis=1).astype(np.float64)
    low, high = CONTOUR_QUANTILES
    lines = [
        canny(one, sigma=CONTOUR_BLUR, low_threshold=low, high_threshold=high, use_quantiles=True, mode="nearest")  # type: ignore[no-untyped-call]
        for one in grey
    ]
    # a line of one pixel has hardly any energy at the frequencies that are seen
    drawn = gaussian_filter(np.asarray(lines, dtype=np.float32), sigma=(0.0, 0.7, 0.7))
    return np.repeat(drawn[:, None], images.shape[1], axis=1)


def _local_texture(images: ContrastImages, generator: np.random.Generator) -> ContrastImages:
    height, width = images.shape[2:]
    half = max(2, round(min(height, width) / WINDOWS_ALONG / 2))
    side = 2 * half
    margins = [(half, half + (-extent) % half) for extent in (height, width)]
    padded = np.pad(images, [(0, 0), (0, 0), *margins], mode="reflect")
    window = np.sin(np.pi * (np.arange(side) + 0.5) / side)  # its square, shifted by half, adds up to 1
    window2 = np.outer(window, window).astype(np.float32)
    result = np.zeros_like(padded)
    level = images.mean(axis=(2, 3), keepdims=True)  # of the image: a level for each window would keep the layout of luminance
    for top in range(0, padded.shape[2] - side + 1, half):
        for left in range(0, padded.shape[3] - side + 1, half):
            place = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
            part = padded[place]
            scrambled = _amplitude_only((part - part.mean(axis=(2, 3), keepdims=True)) * window2, generator)
            result[place] += (scrambled + level * window2) * window2
    return result[:, :, half : half + height, half : half + width]


def match_texture(images: ContrastImages, generator: np.random.Generator) -> ContrastImages:
    """Synthesise for each image one that shares its texture and none of its layout.

    White noise is given, in turn, the histogram of pixels and the histograms of a steerable decomposition (octaves × four
    orientations) of the image. It matches marginal statistics only: a simpler texture than Portilla & Simoncelli's, which
    also matches correlations between filters. Channels of a colour image are treated one by one, from the same noise.

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


# Every alteration by name, those that keep shape first.
ALTERATIONS: dict[str, Alteration] = {
    "phase_only": Alteration("shape", "phases only", lambda images, amplitude, _: swap_amplitude(images, amplitude)),
    "silhouette": Alteration("shape", "silhouette", lambda images, *_: _silhouette(images)),
    "contours": Alteration("shape", "contours", lambda images, *_: _contours(images)),
    "amplitude_only": Alteration("texture", "amplitudes only", lambda images, _, generator: _amplitude_only(images, generator)),
    "texture": Alteration("texture", "texture", lambda images, _, generator: match_texture(images, generator)),
    "local_texture": Alteration("texture", "texture in place", lambda images, _, generator: _local_texture(images, generator)),
}
