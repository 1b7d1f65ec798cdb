"""Matching pursuit with Gabors: a dense grid of them over the image, and the few whose responses add up to a neuron's."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dina.checks import DataError
from dina.models.field_centres import estimate_centres
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
CHUNK = 16  # images at once: what is made of them stays in the processor's cache
GABORS_AT_ONCE = 256  # whose terms are multiplied with each other
MOST_COMPONENTS = 4
NONLINEAR = 4  # row, column, wavelength and orientation of a Gabor
HALF_WINDOW = 6  # places on each side of a window's middle
PITCH = 4  # places between the middles of windows
COARSE = 2  # every so many places, wavelengths and orientations are looked at to begin with
MOST_IMAGES = 4000  # three gigabytes of Gabors at the usual size; of more images so many evenly spaced ones are used
RIDGE = 1e-3  # times the sum of squares of a term, which is 1


def list_wavelengths(height: int, width: int) -> tuple[int, ...]:
    """Return the wavelengths of the Gabors, in pixels, for images of some size."""
    n_waves = 1 + math.floor(PER_OCTAVE * math.log2(COARSEST / FINEST))
    wanted = [round(FINEST * _step(height, width) * 2 ** (number / PER_OCTAVE)) for number in range(n_waves)]
    return tuple(wave for wave in wanted if wave <= min(height, width) / 2)


def _step(height: int, width: int) -> int:
    return max(1, round(min(height, width) / PLACES_ALONG))


@dataclass(frozen=True, eq=False)
class GaborGrid:
    """Even and odd responses of Gabors all over the image, divided by the energy around them.

    ``wavelengths`` are in pixels, ascending; ``rows`` and ``columns`` are the pixels on which Gabors are centred. ``maps``, in
    half precision, have axes image, wavelength, phase (2), orientation, row, column. ``typical`` is the mean energy around, which
    is added to that of every place before dividing.
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
        step = _step(height, width)
        waves = list_wavelengths(height, width)
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

    def find_windows(self, responses: Float[Tensor, "image neuron"]) -> Int[Tensor, "neuron 2"]:
        """Return row and column of the window, ``PITCH`` places from the next, that each neuron looks at.

        There the even, odd and energy responses together correlate most with it.
        """
        some = self.maps[:, ::COARSE, :, ::COARSE, ::COARSE, ::COARSE]
        n_images, n_waves, _, *along = some.shape
        terms = torch.empty(n_images, n_waves, TERMS, *along, dtype=some.dtype)
        for each, part in zip(torch.split(terms, CHUNK), torch.split(some, CHUNK), strict=True):
            each[:, :, :2] = part
            each[:, :, 2] = part.float().square().sum(2).sqrt().half()
        centre = estimate_centres(terms.flatten(1, 3), responses)
        return (COARSE * centre / PITCH).round().long()


class GaborWindow:
    """The Gabors in a window of the grid, each as three terms made orthogonal to each other over the training images.

    The window reaches ``half`` places to each side of its middle. A Gabor's number counts through ``shape``: wavelengths,
    orientations, rows, columns. ``octaves`` are log2 of the wavelengths in whole pixels, so not evenly spaced.
    """

    def __init__(self, grid: GaborGrid, row: int, column: int, half: int = HALF_WINDOW) -> None:
        self.rows = slice(max(row - half, 0), min(row + half + 1, len(grid.rows)))
        self.columns = slice(max(column - half, 0), min(column + half + 1, len(grid.columns)))
        self.octaves = torch.tensor(grid.wavelengths, dtype=torch.float32).log2()
        self.terms, self.shape = self._terms(grid)
        self.mean = self.terms.mean(1)
        self.terms -= self.mean[:, None]
        gram = _products(self.terms)
        gram.diagonal(dim1=1, dim2=2).mul_(1 + SINGULAR).add_(1e-9)
        lower = torch.linalg.cholesky(gram)
        self.whiten = torch.linalg.solve_triangular(lower, torch.eye(TERMS).expand_as(lower), upper=False).permute(1, 2, 0)
        for some in torch.split(self.terms, CHUNK, dim=1):
            _whiten(some, self.whiten)

    def _terms(self, grid: GaborGrid) -> tuple[Float[Tensor, "term image gabor"], tuple[int, ...]]:
        phases = grid.maps[..., self.rows, self.columns].movedim(2, 0)
        terms = torch.empty(TERMS, *phases.shape[1:])
        for some, part in zip(torch.split(terms, CHUNK, dim=1), torch.split(phases, CHUNK, dim=1), strict=True):
            some[:2] = part.contiguous()  # put in order, then made longer: that is quicker than both at once
            torch.hypot(some[0], some[1], out=some[2])
        return terms.flatten(2), tuple(phases.shape[2:])

    def of_images(self, images: Int[Tensor, "some"]) -> "GaborWindow":
        """Return the window over some of the training images; its terms are orthogonal over all of them."""
        part = copy(self)
        first, last = int(images[0]), int(images[-1]) + 1
        # one piece is not copied: it takes hundreds of megabytes
        part.terms = self.terms[:, first:last] if last - first == len(images) else self.terms[:, images]
        return part

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


def _products(terms: Float[Tensor, "term image gabor"]) -> Float[Tensor, "gabor term term"]:
    """Return the inner products of the terms of each Gabor, of few at a time: their products stay in the processor's cache."""
    gram = torch.empty(terms.shape[2], TERMS, TERMS)
    for some, part in zip(torch.split(terms, GABORS_AT_ONCE, dim=2), torch.split(gram, GABORS_AT_ONCE), strict=True):
        for row in range(TERMS):
            for column in range(row + 1):
                part[:, row, column] = part[:, column, row] = (some[row] * some[column]).sum(0)
    return gram


def _whiten(terms: Tensor, rows: Tensor) -> None:
    """Multiply the three terms by lower triangular matrices, in place: the last term first, since it needs the others."""
    for row in reversed(range(TERMS)):
        terms[row] *= rows[row, row]
        for column in range(row):
            terms[row].addcmul_(terms[column], rows[row, column])


@dataclass(frozen=True, eq=False)
class Components:
    """Gabors that together explain each neuron; where a neuron has fewer than others, their variance is 0.

    ``number`` counts the Gabors of the window, ``variance`` is a fraction of the response's, ``wavelength`` is in pixels;
    ``orientation``, ``row`` and ``column`` are positions in the window's ``shape``, which parabolas may have refined.
    """

    number: Int[Tensor, "component neuron"]
    coefficients: Float[Tensor, "term component neuron"]
    variance: Float[Tensor, "component neuron"]
    wavelength: Float[Tensor, "component neuron"]
    orientation: Float[Tensor, "component neuron"]
    row: Float[Tensor, "component neuron"]
    column: Float[Tensor, "component neuron"]


def pursue(window: GaborWindow, responses: Float[Tensor, "image neuron"], *, is_refined: bool = True) -> Components:
    r"""Choose one to four Gabors for every neuron; responses have zero mean and unit sum of squares.

    Gabors are added one by one: the one that explains most of what is left, after which each of the earlier ones may be
    exchanged for a better one. A further one is kept only if the residual sum of squares :math:`S` falls by more than the
    best of many Gabors would make it fall in noise: :math:`n \ln(S_{k-1} / S_k) > 7 \ln n + 2 \ln m`, with n images, seven
    numbers to a Gabor (three coefficients, place, wavelength, orientation), and m Gabors to choose from.

    Positions are refined between those of the grid only if ``is_refined``, which takes half of the time.
    """
    n_images, n_neurons = responses.shape
    least = (TERMS + NONLINEAR) * math.log(n_images) + 2 * math.log(math.prod(window.shape))
    numbers = torch.zeros(MOST_COMPONENTS, n_neurons, dtype=torch.long)
    coefficients = torch.zeros(TERMS, MOST_COMPONENTS, n_neurons)
    growing, chosen = torch.arange(n_neurons), torch.zeros(0, n_neurons, dtype=torch.long)
    residual, left = responses, torch.full((n_neurons,), torch.inf)  # the first is kept, however little it explains
    for n_components in range(1, MOST_COMPONENTS + 1):
        wanted = responses[:, growing]
        tried = _exchange(window, torch.cat([chosen, window.gains(residual).argmax(1)[None]]), wanted)
        found = _solve(window, tried, wanted)
        residual = wanted - _contributions(window, tried, found).sum(1)
        now = residual.square().sum(0)
        is_better = n_images * torch.log(left / now.clamp_min(1e-12)) > least
        growing, chosen, residual, left = growing[is_better], tried[:, is_better], residual[:, is_better], now[is_better]
        if not len(growing):
            break
        numbers[:n_components, growing], coefficients[:, :n_components, growing] = chosen, found[:, :, is_better]
    variance = _contributions(window, numbers, coefficients).square().sum(0)
    axes = (window.octaves, *(torch.arange(length, dtype=torch.float32) for length in window.shape[1:]))
    if is_refined:
        octave, *others = _refine(window, numbers, coefficients, responses, axes)
    else:
        octave, *others = (along[at] for along, at in zip(axes, torch.unravel_index(numbers, window.shape), strict=True))
    return Components(numbers, coefficients, variance, torch.exp2(octave), *others)


def _contributions(window: GaborWindow, numbers: Tensor, coefficients: Tensor) -> Float[Tensor, "image component neuron"]:
    return (window.of_gabors(numbers) * coefficients[:, None]).sum(0)


def _solve(window: GaborWindow, numbers: Tensor, wanted: Tensor) -> Float[Tensor, "term component neuron"]:
    """Fit all components of each neuron together."""
    terms = window.of_gabors(numbers).permute(3, 1, 0, 2).flatten(2)
    gram = terms.mT @ terms
    gram.diagonal(dim1=1, dim2=2).add_(RIDGE)
    solved = torch.linalg.solve(gram, terms.mT @ wanted.T[:, :, None])[:, :, 0]
    return solved.unflatten(1, (TERMS, -1)).permute(1, 2, 0)


def _exchange(window: GaborWindow, numbers: Tensor, wanted: Tensor) -> Int[Tensor, "component neuron"]:
    """Choose each component anew, the others being as they are; one component alone is the best already."""
    numbers = numbers.clone()
    for place in range(len(numbers) if len(numbers) > 1 else 0):
        numbers[place] = _gains_without(window, numbers, _solve(window, numbers, wanted), place, wanted).argmax(1)
    return numbers


def _gains_without(
    window: GaborWindow, numbers: Tensor, coefficients: Tensor, place: int, wanted: Tensor
) -> Float[Tensor, "neuron gabor"]:
    """Return what every Gabor would explain of what all components but one leave over."""
    others = [other for other in range(len(numbers)) if other != place]
    return window.gains(wanted - _contributions(window, numbers[others], coefficients[:, others]).sum(1))


def _refine(
    window: GaborWindow, numbers: Tensor, coefficients: Tensor, responses: Tensor, axes: Sequence[Tensor]
) -> list[Float[Tensor, "component neuron"]]:
    """Find the maximum between the Gabors of the grid, along each of its axes."""
    peaks = []
    for place, own in enumerate(numbers):
        gains = _gains_without(window, numbers, coefficients, place, responses)
        along = enumerate(axes)
        peaks.append([_peak(gains, own, math.prod(window.shape[n + 1 :]), places, is_circular=n == 1) for n, places in along])
    return [torch.stack(along) for along in zip(*peaks, strict=True)]


def _peak(gains: Tensor, own: Tensor, stride: int, places: Tensor, *, is_circular: bool) -> Float[Tensor, "neuron"]:
    """Return where along one axis the gain is largest, at most half way to a neighbour; its own place at the border."""
    length = len(places)
    along = own // stride % length
    middle = gains.gather(1, own[:, None])[:, 0]
    left, right = (
        gains.gather(1, (own + ((along + shift) % length - along) * stride)[:, None])[:, 0] - middle for shift in (-1, 1)
    )
    gaps = places.diff()  # on a circle all are the same
    below, above = gaps[(along - 1).clamp_min(0)], gaps[along.clamp_max(length - 2)]
    rise, fall = -left / below, right / above
    bend = fall - rise
    is_inside = (bend < 0) & (is_circular | ((along > 0) & (along < length - 1)))
    shift = torch.where(is_inside, -(rise * above + fall * below) / (2 * bend), 0.0)
    return places[along] + shift.clamp(-below / 2, above / 2)
