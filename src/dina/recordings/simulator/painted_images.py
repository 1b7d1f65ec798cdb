"""Simulated photographs of leaves that hide one another, and the four stimulus sets derived from them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Shaped, UInt8

from dina.randomness import generator_for
from dina.recordings.simulator.session_settings import Condition, SyntheticSettings

MID_GREY, CONTRAST_SCALE = 128.0, 64.0
SMALLEST_LEAF_DEG, LARGEST_LEAF_DEG = 3.0, 34.0
CONTRAST_SPREAD = 1.0
N_LEAVES, N_LARGE_LEAVES = 240, 30
CHUNK = 350  # images painted together; keeps the windows of one leaf in the processor's cache
GREATEST_CONTRAST = 1.9  # clipped there: 8-bit pixels end at 1.98


@dataclass(frozen=True, eq=False)
class SimulatedImages:
    """Images with their categories."""

    pixels: UInt8[np.ndarray, "stimulus 1 height width"]  # 8-bit
    category: Int[np.ndarray, "stimulus"]  # number of the category of each image
    labels: Shaped[np.ndarray, "stimulus"]  # its name
    duplicate_of: Int[np.ndarray, "stimulus"]  # image of which this one is a slightly changed copy, or -1


def to_contrast(pixels: UInt8[np.ndarray, "stimulus 1 height width"]) -> Float32[np.ndarray, "stimulus height width"]:
    """Return contrast, ``(pixel - 128) / 64``, without the channel axis."""
    return (pixels[:, 0].astype(np.float32) - np.float32(MID_GREY)) / np.float32(CONTRAST_SCALE)


def _to_pixels(contrast: np.ndarray) -> np.ndarray:
    """Return 8-bit pixels; values that are too bright or dark are clipped."""
    return np.clip(np.rint(contrast * CONTRAST_SCALE + MID_GREY), 0, 255).astype(np.uint8)[:, None]


def paint_images(settings: SyntheticSettings, seed: int) -> SimulatedImages:
    """Paint the images of a session.

    Leaves fall from the back to the front; their radii follow a power law of exponent -3, which makes the images
    scale-invariant, so that their amplitude spectrum falls as 1/frequency like that of photographs. Category sets the
    leaves' outline, elongation, preferred direction and texture. Images differ in mean luminance and contrast.

    References
    ----------
    Lee, Mumford & Huang (2001), Int. J. Comput. Vis. 41:35. https://doi.org/10.1023/A:1011109015675
    """
    generator = generator_for(seed, "images")
    n = settings.n_stimuli
    prevalence = generator.dirichlet(np.full(settings.n_categories, 4.0))
    category = generator.choice(settings.n_categories, size=n, p=prevalence)
    kinds = _draw_kinds(settings.n_categories, generator)
    radii = _draw_radii(settings, generator)
    chunks = [kinds[category[start : start + CHUNK]] for start in range(0, n, CHUNK)]
    contrast = np.concatenate([_paint_chunk(chunk, radii, settings, generator) for chunk in chunks])
    scale = 0.4 * np.exp(CONTRAST_SPREAD * generator.standard_normal(n)).clip(0.05, 3.5)
    luminance = 0.2 * generator.standard_normal(n)
    contrast -= contrast.mean(axis=(1, 2), keepdims=True)
    contrast *= (scale / contrast.std(axis=(1, 2)))[:, None, None].astype(np.float32)
    contrast += luminance[:, None, None].astype(np.float32)
    duplicate_of = _plant_duplicates(contrast, category, settings.near_duplicates, generator)
    labels = np.array([f"category_{number:02d}" for number in category])
    return SimulatedImages(_to_pixels(contrast), category, labels, duplicate_of)


def _draw_kinds(n_categories: int, generator: np.random.Generator) -> np.ndarray:
    """One row per category: outline exponent, elongation, direction, its spread, texture cycles per degree, its strength."""
    n = n_categories
    outline, elongation = generator.choice([1.0, 2.0, 2.0, 8.0], n), generator.uniform(0.35, 1.0, n)
    direction, spread = generator.uniform(0, np.pi, n), generator.uniform(0.3, 1.5, n)
    cycles, strength = np.exp(generator.uniform(np.log(0.04), np.log(0.25), n)), generator.uniform(0.1, 0.8, n)
    return np.stack([outline, elongation, direction, spread, cycles, strength], axis=1)


def _draw_radii(settings: SyntheticSettings, generator: np.random.Generator) -> np.ndarray:
    """Radii in pixels from back to front: a ground of large leaves, then the power law."""
    low, high = SMALLEST_LEAF_DEG**-2, LARGEST_LEAF_DEG**-2
    uniform = generator.random(N_LEAVES)
    power_law = (low + uniform * (high - low)) ** -0.5
    ground = generator.uniform(0.6 * LARGEST_LEAF_DEG, LARGEST_LEAF_DEG, N_LARGE_LEAVES)
    return np.concatenate([ground, power_law]) / settings.deg_per_pixel


def _paint_chunk(kinds: np.ndarray, radii: np.ndarray, settings: SyntheticSettings, generator: np.random.Generator) -> np.ndarray:
    """Paint a few hundred images together: one leaf on each of them at a time."""
    n, margin = len(kinds), int(1.5 * radii.max()) + 3
    outline, elongation, direction, spread, cycles, strength = (kinds[:, k, None].astype(np.float32) for k in range(6))
    canvas = np.zeros((n, settings.height + 2 * margin, settings.width + 2 * margin), dtype=np.float32)
    flat, stride = canvas.reshape(-1), canvas.shape[2]
    start = np.arange(n)[:, None] * canvas[0].size
    for radius in radii:
        half = int(np.ceil(radius))
        dy, dx = (a.reshape(1, -1) for a in np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32))
        row = generator.integers(margin - half // 2, margin + settings.height + half // 2, size=(n, 1))
        column = generator.integers(margin - half // 2, margin + settings.width + half // 2, size=(n, 1))
        angle, phase, brightness = generator.standard_normal((3, n, 1), dtype=np.float32)
        angle = direction + spread * angle
        cosine, sine = np.cos(angle), np.sin(angle)
        along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
        near = np.abs(along / radius) ** outline + np.abs(across / (radius * elongation)) ** outline < 1
        texture = np.sin(2 * np.pi * cycles * settings.deg_per_pixel * across + 7 * phase)
        position = start + (row * stride + column) + (dy * stride + dx).astype(np.int64)
        flat[position[near]] = (brightness + strength * texture)[near]
    return canvas[:, margin:-margin, margin:-margin].copy()


def _plant_duplicates(
    contrast: np.ndarray, category: np.ndarray, fraction: float, generator: np.random.Generator
) -> Int[np.ndarray, "stimulus"]:
    """Replace some images, in place, by copies of others: slightly fainter, slightly brighter, with a little noise."""
    n = len(contrast)
    duplicate_of = np.full(n, -1, dtype=np.int64)
    order = generator.permutation(n)
    n_copies = int(fraction * n)
    copies, originals = order[:n_copies], order[n_copies : 2 * n_copies]
    duplicate_of[copies] = originals
    grain = generator.standard_normal(contrast[copies].shape, dtype=np.float32)
    spread = contrast[originals].std(axis=(1, 2), keepdims=True)
    contrast[copies] = 0.95 * contrast[originals] + 0.05 * spread * grain + np.float32(0.03)
    category[copies] = category[originals]
    return duplicate_of


def derive_images(
    pixels: UInt8[np.ndarray, "stimulus 1 height width"],
    condition: Condition,
    reference: Float32[np.ndarray, "stimulus neuron"],
    fields: tuple[Float[np.ndarray, "field"], Float[np.ndarray, "field"], float],
) -> UInt8[np.ndarray, "stimulus 1 height width"]:
    """Return the images of one condition other than "natural", under the same identities.

    "white": amplitudes multiplied by frequency. "8D", "4D": projected on the first 8 or 4 dimensions of the reverse correlation
    between images and ``reference``, the responses of a reference population to the natural images. These are brought back to the
    mean contrast of the natural images. "small": grey outside ``fields``, rows and columns of the centres of the receptive fields
    and how far around them images stay, in pixels.
    """
    contrast = to_contrast(pixels)
    if condition == "small":
        return _to_pixels(contrast * _field_mask(*fields, *contrast.shape[1:]))
    derived = (
        _filtered(contrast, _frequency(contrast))
        if condition == "white"
        else _project(contrast, reference, 8 if condition == "8D" else 4)
    )
    derived *= contrast.std() / derived.std()
    return _to_pixels(np.clip(derived, -GREATEST_CONTRAST, GREATEST_CONTRAST))


def low_pass(
    contrast: Float32[np.ndarray, "stimulus height width"], limit: float
) -> Float32[np.ndarray, "stimulus height width"]:
    """Remove every spatial frequency above ``limit`` (cycles per pixel)."""
    return _filtered(contrast, _frequency(contrast) <= limit)


def _field_mask(row: np.ndarray, column: np.ndarray, radius: float, height: int, width: int) -> np.ndarray:
    """Return 1 within ``radius`` pixels of the middle 90 % of the field centres (as a rectangle), 0 elsewhere."""
    mask = np.zeros((height, width), dtype=np.float32)
    (top, bottom), (left, right) = (np.nanpercentile(place, [5, 95]) for place in (row, column))
    mask[max(0, int(top - radius)) : int(bottom + radius) + 1, max(0, int(left - radius)) : int(right + radius) + 1] = 1
    return mask


def _frequency(contrast: np.ndarray) -> np.ndarray:
    rows, columns = np.fft.fftfreq(contrast.shape[1]), np.fft.rfftfreq(contrast.shape[2])
    return np.hypot(rows[:, None], columns)


def _filtered(contrast: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Multiply the amplitude at each spatial frequency by ``gain``, a few hundred images at a time."""
    result, factor = np.empty_like(contrast), torch.from_numpy(gain.astype(np.float32))
    for start in range(0, len(contrast), 400):
        spectrum = torch.fft.rfft2(torch.from_numpy(contrast[start : start + 400])) * factor
        result[start : start + 400] = torch.fft.irfft2(spectrum, s=contrast.shape[1:]).numpy()
    return result


def _project(contrast: np.ndarray, reference: np.ndarray, n_dimensions: int) -> np.ndarray:
    """Keep of each image only its projection on the leading patterns of images × responses."""
    images = torch.from_numpy(contrast.reshape(len(contrast), -1))
    centred = images - images.mean(0)
    responses = torch.from_numpy(reference - reference.mean(0))
    responses = responses / responses.std(0).clamp_min(1e-9)
    correlation = centred.T @ responses
    value, vector = torch.linalg.eigh((correlation.T @ correlation).double())
    patterns = (correlation.double() @ vector[:, -n_dimensions:] / value[-n_dimensions:].sqrt()).float()
    return np.asarray((centred @ patterns @ patterns.T).reshape(contrast.shape).numpy())
