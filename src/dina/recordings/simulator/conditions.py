"""The five stimulus sets: natural images, and the four sets derived from them."""

import numpy as np
import torch
from jaxtyping import Float, Float32

from dina.recordings.simulator.settings import Condition

WHITENING_DEGREE = 1.0
GREATEST_CONTRAST = 1.9  # clipped there: 8-bit pixels end at 1.98


def derive_images(
    contrast: Float32[np.ndarray, "stimulus height width"],
    condition: Condition,
    reference: Float32[np.ndarray, "stimulus neuron"] | None = None,
    field_mask: Float32[np.ndarray, "height width"] | None = None,
) -> Float32[np.ndarray, "stimulus height width"]:
    """Return the images of one condition, under the same identities.

    Parameters
    ----------
    contrast
        Natural images in units of contrast.
    condition
        "natural": as they are. "white": amplitudes multiplied by frequency to the power 1. "8D", "4D": projected on the first
        8 or 4 dimensions of the reverse correlation between images and ``reference``. "small": grey outside the fields.
    reference
        Responses of a reference population to the natural images; 8D and 4D only.
    field_mask
        1 inside the receptive fields and 0 outside; small only.

    Notes
    -----
    White, 8D and 4D images are brought back to the mean contrast of the natural ones.
    """
    if condition == "natural":
        return contrast
    if condition == "small":
        assert field_mask is not None  # the session passes it for this condition
        return contrast * field_mask
    if condition == "white":
        derived = _whiten(contrast)
    else:
        assert reference is not None  # the session passes it for these conditions
        derived = _project(contrast, reference, 8 if condition == "8D" else 4)
    derived *= contrast.std() / derived.std()
    return np.clip(derived, -GREATEST_CONTRAST, GREATEST_CONTRAST)


def low_pass(
    contrast: Float32[np.ndarray, "stimulus height width"], limit: float
) -> Float32[np.ndarray, "stimulus height width"]:
    """Remove every spatial frequency above ``limit`` (cycles per pixel)."""
    frequency = _frequency(contrast)
    return np.concatenate([_filtered(chunk, (frequency <= limit).astype(np.float32)) for chunk in _chunks(contrast)])


def make_field_mask(
    row: Float[np.ndarray, "neuron"], column: Float[np.ndarray, "neuron"], radius: float, height: int, width: int
) -> Float32[np.ndarray, "height width"]:
    """Return 1 within ``radius`` pixels of the middle 90 % of the field centres (as a rectangle), 0 elsewhere."""
    mask = np.zeros((height, width), dtype=np.float32)
    (top, bottom), (left, right) = (np.nanpercentile(place, [5, 95]) for place in (row, column))
    mask[max(0, int(top - radius)) : int(bottom + radius) + 1, max(0, int(left - radius)) : int(right + radius) + 1] = 1
    return mask


def _frequency(contrast: np.ndarray) -> np.ndarray:
    rows, columns = np.fft.fftfreq(contrast.shape[1]), np.fft.rfftfreq(contrast.shape[2])
    return np.hypot(rows[:, None], columns)


def _chunks(contrast: np.ndarray) -> list[np.ndarray]:
    return [contrast[start : start + 400] for start in range(0, len(contrast), 400)]


def _filtered(contrast: np.ndarray, gain: np.ndarray) -> np.ndarray:
    spectrum = torch.fft.rfft2(torch.from_numpy(contrast)) * torch.from_numpy(gain.astype(np.float32))
    return np.asarray(torch.fft.irfft2(spectrum, s=contrast.shape[1:]).numpy())


def _whiten(contrast: np.ndarray) -> np.ndarray:
    gain = _frequency(contrast) ** WHITENING_DEGREE
    return np.concatenate([_filtered(chunk, gain) for chunk in _chunks(contrast)])


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
