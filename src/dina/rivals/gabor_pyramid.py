"""A pyramid of Gabor wavelets over the whole image: energies and phases by spatial frequency, orientation and place."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.models.towers.image.gabor_bank import SeparableGabors
from dina.shapes import ContrastImages

N_ORIENTATIONS = 8
SHORTEST_WAVELENGTH = 4  # pixels; published: 32 cycles across 128 pixels
IMAGES_AT_ONCE = 64


class GaborPyramid:
    """Wavelets at 1, 2, 4 … cycles across the shorter side of the image, as many along it as there are cycles.

    At each spatial frequency and each of eight orientations a quadrature pair of wavelets stands at every place of a grid
    one wavelength apart. Three numbers come from each pair: the contrast energy (the root of the sum of the two squares)
    and the even and the odd response themselves. Each is z-scored over the training images (`learn`). Colour images have the
    wavelets of luminance and after them those of a red–green and of a blue–yellow plane; the source showed grey images.

    Parameters
    ----------
    height, width
        Of the images, in pixels.

    Attributes
    ----------
    wavelengths
        Pixels per cycle, by falling length.

    References
    ----------
    Kay et al. (2008), Nature 452:352. https://doi.org/10.1038/nature06713
    """

    def __init__(self, height: int, width: int) -> None:
        side = min(height, width)
        longest = [round(side / 2**octave) for octave in range(side.bit_length())]
        self.wavelengths = tuple(length for length in longest if length >= SHORTEST_WAVELENGTH) or (side,)
        self._scales = [SeparableGabors((height, width), length, N_ORIENTATIONS, length) for length in self.wavelengths]
        self._mean = torch.zeros(())
        self._deviation = torch.ones(())

    @torch.no_grad()
    def learn(self, images: ContrastImages) -> Float[Tensor, "stimulus kind wavelet 1"]:
        """Learn means and deviations from training images; return their z-scores (energy, even, odd) in half precision."""
        raw = self._wavelets(images)
        self._mean = raw.float().mean(0)
        deviation = torch.stack([raw[:, kind].float().std(0, correction=0) for kind in range(raw.shape[1])])
        # a wavelet that hardly varies (at a border, under a mask) is divided by a typical deviation, not by nothing
        self._deviation = deviation.maximum(0.05 * deviation.mean(dim=(1, 2), keepdim=True) + 1e-6)
        return self._standardise(raw)

    @torch.no_grad()
    def encode(self, images: ContrastImages) -> Float[Tensor, "stimulus kind wavelet 1"]:
        """Return the z-scores of images (energy, even, odd) in half precision."""
        return self._standardise(self._wavelets(images))

    def _standardise(self, raw: Tensor) -> Tensor:
        for first in range(0, len(raw), IMAGES_AT_ONCE):
            part = slice(first, first + IMAGES_AT_ONCE)
            raw[part] = ((raw[part].float() - self._mean) / self._deviation).half()
        return raw

    def _wavelets(self, images: ContrastImages) -> Float[Tensor, "stimulus kind wavelet 1"]:
        """Return the responses plane by plane, and within a plane of all scales, the coarsest first."""
        chunks = []
        for first in range(0, len(images), IMAGES_AT_ONCE):
            pairs = [s(plane) for plane in _planes(images[first : first + IMAGES_AT_ONCE]) for s in self._scales]
            even, odd = (torch.cat([p.flatten(1) for p in parts], 1) for parts in zip(*pairs))
            chunks.append(torch.stack([(even.square() + odd.square()).sqrt(), even, odd], dim=1)[..., None].half())
        return torch.cat(chunks)


def _planes(images: ContrastImages) -> list[Float[Tensor, "image height width"]]:
    """Return luminance, and of colour images the opponent planes of `dina.models.towers.image.gabor_energy.GaborEnergy`."""
    planes = [images.mean(axis=1)]
    if images.shape[1] == 3:
        planes += [images[:, 0] - images[:, 1], images[:, 2] - 0.5 * (images[:, 0] + images[:, 1])]
    return [torch.from_numpy(np.ascontiguousarray(plane)) for plane in planes]
