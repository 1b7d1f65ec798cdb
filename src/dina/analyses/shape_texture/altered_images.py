"""Images that keep only shape or only texture: phases, amplitudes, silhouettes, contours, scrambled windows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from skimage.feature import canny

from dina.analyses.image_filters import filter_images, low_pass_gain
from dina.analyses.shape_texture.matched_texture import match_texture
from dina.shapes import ContrastImages

SILHOUETTE_CYCLES = 6.0
"""Cycles along the shorter side that a silhouette's outline may have."""

CONTOUR_BLUR = 1.0
"""Standard deviation of the blur before edges are found, pixels."""

CONTOUR_QUANTILES = (0.7, 0.9)
"""Of the gradient: where a contour may go on, and where it may begin."""

WINDOWS_ALONG = 4
"""Windows that would lie side by side along the shorter side."""


@dataclass(frozen=True)
class Alteration:
    """One way to take something from an image.

    Parameters
    ----------
    keeps
        "shape" or "texture".
    words
        What it keeps, for tables.
    alter
        From images, a mean amplitude spectrum and a generator to images whose contrast does not matter yet.
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


def swap_amplitude(phases_of: ContrastImages, amplitude: Float[np.ndarray, "*image channel height width"]) -> ContrastImages:
    """Give images other Fourier amplitudes and keep their phases."""
    spectrum = np.fft.fft2(phases_of - phases_of.mean(axis=(2, 3), keepdims=True))
    size = np.abs(spectrum)
    turned = np.where(size > 1e-9, spectrum / np.maximum(size, 1e-9), 0.0)
    return np.asarray(np.fft.ifft2(turned * amplitude).real, dtype=np.float32)


def _phase_only(images: ContrastImages, amplitude: np.ndarray, generator: np.random.Generator) -> ContrastImages:
    return swap_amplitude(images, amplitude)


def _amplitude_only(images: ContrastImages, amplitude: np.ndarray, generator: np.random.Generator) -> ContrastImages:
    # one set of phases for all channels, so that colours stay where their luminance goes
    noise = generator.standard_normal((len(images), 1, *images.shape[2:]))
    turn = np.exp(1j * np.angle(np.fft.fft2(noise)))
    spectrum = np.fft.fft2(images - images.mean(axis=(2, 3), keepdims=True))
    return np.asarray(np.fft.ifft2(spectrum * turn).real, dtype=np.float32)


def _silhouette(images: ContrastImages, amplitude: np.ndarray, generator: np.random.Generator) -> ContrastImages:
    height, width = images.shape[2:]
    grey = images.mean(axis=1, keepdims=True)
    smooth = filter_images(grey, low_pass_gain(height, width, SILHOUETTE_CYCLES / min(height, width)))
    two_tone = np.sign(smooth - np.median(smooth, axis=(2, 3), keepdims=True))
    return np.repeat(two_tone.astype(np.float32), images.shape[1], axis=1)


def _contours(images: ContrastImages, amplitude: np.ndarray, generator: np.random.Generator) -> ContrastImages:
    grey = images.mean(axis=1).astype(np.float64)
    low, high = CONTOUR_QUANTILES
    lines = [
        canny(one, sigma=CONTOUR_BLUR, low_threshold=low, high_threshold=high, use_quantiles=True, mode="nearest")  # type: ignore[no-untyped-call]
        for one in grey
    ]
    # a line of one pixel has hardly any energy at the frequencies that are seen
    drawn = gaussian_filter(np.asarray(lines, dtype=np.float32), sigma=(0.0, 0.7, 0.7))
    return np.repeat(drawn[:, None], images.shape[1], axis=1)


def _local_texture(images: ContrastImages, amplitude: np.ndarray, generator: np.random.Generator) -> ContrastImages:
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
            scrambled = _amplitude_only((part - part.mean(axis=(2, 3), keepdims=True)) * window2, amplitude, generator)
            result[place] += (scrambled + level * window2) * window2
    return result[:, :, half : half + height, half : half + width]


def _texture(images: ContrastImages, amplitude: np.ndarray, generator: np.random.Generator) -> ContrastImages:
    return match_texture(images, generator)


ALTERATIONS: dict[str, Alteration] = {
    "phase_only": Alteration("shape", "phases only", _phase_only),
    "silhouette": Alteration("shape", "silhouette", _silhouette),
    "contours": Alteration("shape", "contours", _contours),
    "amplitude_only": Alteration("texture", "amplitudes only", _amplitude_only),
    "texture": Alteration("texture", "texture, whole image", _texture),
    "local_texture": Alteration("texture", "texture, local windows", _local_texture),
}
"""Every alteration by name, those that keep shape first."""
