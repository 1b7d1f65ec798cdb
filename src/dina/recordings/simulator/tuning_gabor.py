"""Gabor subunits, rectified or energy-type, with contrast normalisation and surround suppression."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32

from dina.recordings.simulator.settings import SyntheticSettings

CHUNK = 400  # images filtered together
SEMI_SATURATION = 0.7  # contrast at which normalisation sets in
SURROUND_WEIGHT = 0.7
CENTRE_POOL_DEG, SURROUND_POOL_DEG = 6.0, 18.0


def field_limits(settings: SyntheticSettings) -> tuple[float, float, float, float]:
    """Return (top, bottom, left, right) in pixels: where the field centres lie.

    By default the middle 70 % of the height, and the part of the width from 16 to 57 %, as in a recording from the
    left hemisphere with three screens around the mouse.
    """
    if settings.field_region is not None:
        top, bottom, left, right = settings.field_region
        return float(top), float(bottom), float(left), float(right)
    return 0.15 * settings.height, 0.85 * settings.height, 0.16 * settings.width, 0.57 * settings.width


@dataclass(frozen=True, eq=False)
class GaborSubunits:
    """A pool of subunits that cover the field limits at random.

    Parameters
    ----------
    row, column
        Centre in pixels, shape ``(n_subunits,)``.
    size
        Standard deviation of the Gaussian envelope in pixels.
    orientation
        Of the bars, radians in [0, π).
    frequency
        Cycles per pixel.
    phase
        Radians; simple subunits only.
    is_complex
        True: energy of two phases; False: rectified.
    deg_per_pixel
        Scale of the image.
    """

    row: Float[np.ndarray, "subunit"]
    column: Float[np.ndarray, "subunit"]
    size: Float[np.ndarray, "subunit"]
    orientation: Float[np.ndarray, "subunit"]
    frequency: Float[np.ndarray, "subunit"]
    phase: Float[np.ndarray, "subunit"]
    is_complex: Bool[np.ndarray, "subunit"]
    deg_per_pixel: float

    @classmethod
    def draw(cls, settings: SyntheticSettings, generator: np.random.Generator) -> "GaborSubunits":
        """Draw the pool."""
        n, scale = settings.n_subunits, settings.deg_per_pixel
        top, bottom, left, right = field_limits(settings)
        highest = 0.12 if settings.frequency_limit_cpd is None else min(0.12, 0.8 * settings.frequency_limit_cpd)
        frequency_cpd = settings.spatial_frequency_cpd * np.exp(0.4 * generator.standard_normal(n))
        frequency_cpd = frequency_cpd.clip(min(0.02, highest), highest)
        size_deg = (0.28 / frequency_cpd * np.exp(0.2 * generator.standard_normal(n))).clip(3.0, 9.0)
        return cls(
            row=generator.uniform(top, bottom, n),
            column=generator.uniform(left, right, n),
            size=size_deg / scale,
            orientation=generator.uniform(0, np.pi, n),
            frequency=frequency_cpd * scale,
            phase=generator.uniform(0, 2 * np.pi, n),
            is_complex=generator.random(n) < settings.complex_fraction,
            deg_per_pixel=scale,
        )

    def filters(self, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the two phases of each Gabor, each of shape (height * width, n_subunits), zero mean and unit norm."""
        rows, columns = torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32)
        dy = rows[:, None] - _float(self.row)
        dx = columns[:, None] - _float(self.column)
        size, angle = _float(self.size), _float(self.orientation)
        envelope = torch.exp(-(dy**2) / (2 * size**2))[:, None] * torch.exp(-(dx**2) / (2 * size**2))[None]
        wave = (dy[:, None] * torch.cos(angle) - dx[None] * torch.sin(angle)) * (2 * np.pi * _float(self.frequency))
        wave += torch.where(torch.from_numpy(self.is_complex), 0.0, _float(self.phase))
        even, odd = (self._balanced(envelope * f(wave), envelope) for f in (torch.cos, torch.sin))
        return even.reshape(height * width, -1), odd.reshape(height * width, -1)

    @staticmethod
    def _balanced(gabor: torch.Tensor, envelope: torch.Tensor) -> torch.Tensor:
        gabor -= envelope * (gabor.sum((0, 1)) / envelope.sum((0, 1)))
        gabor /= torch.linalg.vector_norm(gabor, dim=(0, 1)).clamp_min(1e-12)
        return gabor

    def respond(self, contrast: Float32[np.ndarray, "stimulus height width"]) -> Float32[np.ndarray, "stimulus subunit"]:
        """Filter, rectify or take the energy, and divide by local contrast in centre and surround.

        Normalisation follows Heeger (1992), https://doi.org/10.1017/S0952523800009640: the drive over
        the square root of semi-saturation² + local contrast² + weight · surrounding contrast².
        """
        height, width = contrast.shape[1:]
        even, odd = self.filters(height, width)
        is_complex = torch.from_numpy(self.is_complex)
        odd = odd[:, is_complex].contiguous()
        rows = np.rint(self.row).astype(int).clip(0, height - 1)
        columns = np.rint(self.column).astype(int).clip(0, width - 1)
        result = np.empty((len(contrast), len(self.row)), dtype=np.float32)
        for start in range(0, len(contrast), CHUNK):
            images = torch.from_numpy(contrast[start : start + CHUNK])
            flat = images.reshape(len(images), -1)
            drive = flat @ even
            drive[:, is_complex] = torch.sqrt(drive[:, is_complex] ** 2 + (flat @ odd) ** 2)
            drive[:, ~is_complex] = drive[:, ~is_complex].clamp_min(0)
            local = (images - blur(images, CENTRE_POOL_DEG / self.deg_per_pixel)) ** 2
            centre = blur(local, CENTRE_POOL_DEG / self.deg_per_pixel)[:, rows, columns]
            surround = blur(local, SURROUND_POOL_DEG / self.deg_per_pixel)[:, rows, columns]
            # the norm of a filter grows with its area: the same contrast drives all sizes alike
            drive /= _float(self.size) * 3.5
            result[start : start + CHUNK] = drive / torch.sqrt(SEMI_SATURATION**2 + centre + SURROUND_WEIGHT * surround)
        return result


def blur(images: torch.Tensor, deviation: float) -> torch.Tensor:
    """Blur (stimulus, height, width) by a Gaussian of this standard deviation in pixels; weights sum to 1 at the borders."""

    def weights(length: int) -> torch.Tensor:
        place = torch.arange(length, dtype=torch.float32)
        kernel = torch.exp(-((place[:, None] - place) ** 2) / (2 * deviation**2))
        return kernel / kernel.sum(1, keepdim=True)

    return weights(images.shape[1]) @ (images @ weights(images.shape[2]).T)


def _float(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
