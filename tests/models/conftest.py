"""Neurons made of known Gabors, one that sees nothing, and one that never varies, with the images they saw."""

from typing import NamedTuple

import numpy as np
import pytest

HEIGHT, WIDTH = 48, 96
N_FITTED = 700
# row, column, degrees of the bars (anticlockwise from horizontal as seen), cycles per pixel, whether complex
PLANTED = [
    (20.3, 30.1, 0.0, 1 / 12, True),
    (27.6, 61.4, 90.0, 1 / 12, False),
    (15.2, 50.7, 45.0, 1 / 16, True),
    (30.9, 22.5, 135.0, 1 / 9, False),
]


def gabor(row: float, column: float, angle_deg: float, frequency: float, phase: float) -> np.ndarray:
    """Return a Gabor with an envelope of 0.35 wavelengths, shape ``(HEIGHT, WIDTH)``."""
    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    down, across = down - row, across - column
    angle = np.deg2rad(angle_deg)
    # distance from the central bar: bars run along (cos, sin) with rows upwards
    from_bar = across * np.sin(angle) + down * np.cos(angle)
    envelope = np.exp(-(down**2 + across**2) / (2 * (0.35 / frequency) ** 2))
    wave = envelope * np.cos(2 * np.pi * frequency * from_bar + phase)
    return wave - envelope * wave.sum() / envelope.sum()


class PlantedFields(NamedTuple):
    """Images and responses, the first 700 to fit and the others to judge, and what the first neurons are made of."""

    images: np.ndarray
    responses: np.ndarray
    planted: list[tuple[float, float, float, float, bool]]

    def parts(self, n_fitted: int = N_FITTED) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return images and responses to fit, and those to judge."""
        judged = slice(N_FITTED, None)
        return self.images[:n_fitted], self.responses[:n_fitted], self.images[judged], self.responses[judged]


@pytest.fixture(scope="session")
def planted_fields() -> PlantedFields:
    generator = np.random.default_rng(0)
    images = generator.standard_normal((900, 1, HEIGHT, WIDTH))
    spectrum = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.fftfreq(WIDTH)[None])
    images = np.fft.ifft2(np.fft.fft2(images) / np.maximum(spectrum, 1 / WIDTH)).real  # amplitudes as in natural scenes
    images = (images / images.std()).astype(np.float32)
    responses = np.empty((len(images), len(PLANTED) + 2), dtype=np.float32)
    for number, (*place, is_complex) in enumerate(PLANTED):
        even, odd = (np.einsum("ichw,hw->i", images, gabor(*place, phase)) for phase in (0.0, -np.pi / 2))
        drive = np.hypot(even, odd) if is_complex else np.maximum(even, 0)
        responses[:, number] = drive + drive.std() * generator.standard_normal(len(drive))
    responses[:, -2] = generator.standard_normal(len(images))  # sees nothing
    responses[:, -1] = 3.0  # never varies
    return PlantedFields(images, responses, PLANTED)
