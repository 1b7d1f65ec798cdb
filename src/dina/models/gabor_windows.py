"""Responses of many Gabors to the training images, and those in one window of the screen ready to explain neurons."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dina.checks import DataError
from dina.models.towers.image.gabor_bank import SeparableGabors, sample_places
from dina.shapes import ContrastImages

SMALLEST_IMAGE = 16
PLACES_ALONG = 34  # of the grid along the shorter side of the image
FINEST, COARSEST = 4.0, 16.0  # wavelengths in steps of the grid
PER_OCTAVE = 2
N_ORIENTATIONS = 8
ENVELOPE = 0.3  # standard deviation in wavelengths: fields of mouse V1 have few side bands (Niell & Stryker 2008)
AROUND = 4  # places on each side whose mean energy divides a response
TERMS = 3  # of one Gabor: even phase, odd phase, energy; together they make simple and complex cells
SINGULAR = 1e-3  # of the variance of a term, below which it adds nothing to the other two
CHUNK = 64


@dataclass(frozen=True, eq=False)
class GaborGrid:
    """Even and odd responses of Gabors all over the image, divided by the energy around them.

    Parameters
    ----------
    wavelengths
        In pixels, ascending.
    rows, columns
        Pixels on which the Gabors of each place are centred.
    maps
        Half precision, shape ``(n_images, n_wavelengths, 2, n_orientations, n_rows, n_columns)``.
    typical
        Mean energy around, which is added to that of every place before dividing.
    """

    wavelengths: tuple[int, ...]
    rows: Int[Tensor, "row"]
    columns: Int[Tensor, "column"]
    maps: Tensor
    typical: float

    @classmethod
    def of(cls, images: ContrastImages, typical: float | None = None) -> "GaborGrid":
        """Filter images; ``typical`` comes from the training images, and is learnt if None.

        Raises
        ------
        DataError
            If the images are smaller than 16 × 16 pixels.
        """
        height, width = (int(extent) for extent in images.shape[2:])
        if min(height, width) < SMALLEST_IMAGE:
            raise DataError(
                f"Receptive fields need images of at least {SMALLEST_IMAGE} × {SMALLEST_IMAGE} pixels; got {height} × {width}. Use"
                " larger ones."
            )
        step = max(1, round(min(height, width) / PLACES_ALONG))
        n_waves = 1 + math.floor(PER_OCTAVE * math.log2(COARSEST / FINEST))
        wanted = [round(FINEST * step * 2 ** (number / PER_OCTAVE)) for number in range(n_waves)]
        waves = tuple(wave for wave in wanted if wave <= min(height, width) / 2)
        banks = [SeparableGabors((height, width), wave, N_ORIENTATIONS, step, ENVELOPE) for wave in waves]
        rows, columns = sample_places(height, step), sample_places(width, step)
        maps = torch.empty(len(images), len(waves), 2, N_ORIENTATIONS, len(rows), len(columns), dtype=torch.float16)
        around = torch.empty(len(images), 1, len(rows), len(columns))
        for first in range(0, len(images), CHUNK):
            plane = torch.from_numpy(images[first : first + CHUNK]).mean(1)
            found = torch.stack([torch.stack(bank(plane), dim=1) for bank in banks], dim=1)
            energy = found.square().sum(2).sqrt().mean((1, 2))[:, None]
            around[first : first + CHUNK] = F.avg_pool2d(
                energy, 2 * AROUND + 1, stride=1, padding=AROUND, count_include_pad=False
            )
            maps[first : first + CHUNK] = found
        typical = max(float(around.mean()), 1e-6) if typical is None else typical
        for first in range(0, len(images), CHUNK):
            maps[first : first + CHUNK] /= (around[first : first + CHUNK] + typical)[:, :, None, None]
        return cls(waves, rows, columns, maps, typical)


class GaborWindow:
    """The Gabors in a window of the grid, each as three terms made orthogonal to each other over the training images.

    Parameters
    ----------
    grid
        Of the training images.
    row, column
        Place of the window's middle.
    half
        Places on each side of the middle.

    Attributes
    ----------
    shape
        (wavelengths, orientations, rows, columns); a Gabor's number counts through it.
    octaves
        Logarithm to the base 2 of the wavelengths in pixels, ascending. They are whole pixels, so not evenly spaced.
    """

    def __init__(self, grid: GaborGrid, row: int, column: int, half: int) -> None:
        self.rows = slice(max(row - half, 0), min(row + half + 1, len(grid.rows)))
        self.columns = slice(max(column - half, 0), min(column + half + 1, len(grid.columns)))
        self.octaves = torch.tensor(grid.wavelengths, dtype=torch.float32).log2()
        self.terms, self.shape = self._terms(grid)
        self.mean = self.terms.mean(1)
        self.terms -= self.mean[:, None]
        gram = torch.stack([torch.stack([(one * other).sum(0) for other in self.terms], dim=1) for one in self.terms], dim=1)
        gram.diagonal(dim1=1, dim2=2).mul_(1 + SINGULAR).add_(1e-9)
        lower = torch.linalg.cholesky(gram)
        self.whiten = torch.linalg.solve_triangular(lower, torch.eye(TERMS).expand_as(lower), upper=False).permute(1, 2, 0)
        _whiten(self.terms, self.whiten)

    def _terms(self, grid: GaborGrid) -> tuple[Float[Tensor, "term image gabor"], tuple[int, ...]]:
        even, odd = grid.maps[..., self.rows, self.columns].float().unbind(2)
        terms = torch.empty(TERMS, *even.shape)
        terms[0], terms[1] = even, odd
        torch.hypot(even, odd, out=terms[2])
        return terms.flatten(2), tuple(even.shape[1:])

    def of_gabors(self, number: Int[Tensor, "component neuron"]) -> Float[Tensor, "term image component neuron"]:
        """Return the terms of some Gabors for the training images."""
        return self.terms[:, :, number]

    def of_other_images(
        self, grid: GaborGrid, number: Int[Tensor, "component neuron"]
    ) -> Float[Tensor, "term image component neuron"]:
        """Return the same for other images."""
        terms = self._terms(grid)[0][:, :, number] - self.mean[:, None, number]
        _whiten(terms, self.whiten[:, :, number])
        return terms

    def gains(self, residual: Float[Tensor, "image neuron"]) -> Float[Tensor, "neuron gabor"]:
        """Return how much of the sum of squares of each residual every Gabor would explain."""
        left = residual.T.contiguous()  # in this order the product reads the terms once, in sequence
        found = (left @ self.terms[0]).square_()
        for term in self.terms[1:]:
            found += (left @ term).square_()
        return found


def _whiten(terms: Tensor, rows: Tensor) -> None:
    """Multiply the three terms by lower triangular matrices, in place: the last term first, since it needs the others."""
    for row in reversed(range(TERMS)):
        terms[row] *= rows[row, row]
        for column in range(row):
            terms[row].addcmul_(terms[column], rows[row, column])
