"""Estimates each neuron's receptive field from images and responses: as a sum of a few Gabors, or as weights on Gabor channels."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from dina.models.field_centres import estimate_centres
from dina.models.gabor_pursuit import ENVELOPE, MOST_IMAGES, N_ORIENTATIONS, PITCH, Components, GaborGrid, GaborWindow, pursue
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.progress import track
from dina.shapes import ContrastImages, StimulusResponses
from dina.statistics.correlation import correlate_columns

MOSTLY = 0.5  # of the explained variance, from which on the frequency counts as one at the bound of what was looked for
CHANNEL_WINDOW = 2  # places on each side of the centre whose channels a field may use
REACH = 1.5  # places; standard deviation of the window in which the centroid is taken
PENALTY = 8.0  # times features over images
N_SCALES = 3  # the longest; shorter waves say little about place on this grid
N_STEPS = 5  # of the centroid, after which it hardly moves
CHUNK = 64

# Correlation with responses to left-out images from which on a field counts, and is drawn.
WELL_FITTED = 0.2


@dataclass(frozen=True, eq=False)
class FieldProfiles:
    """What each neuron responds to; all NaN for a neuron that never varies, lengths in pixels.

    ``is_at_bound`` is 1 where Gabors of the shortest or longest wavelength tried explain at least half of what all do, so that
    the frequency may lie beyond; 0 elsewhere. It and ``n_gabors`` are NaN where the field is not made of a few Gabors.
    """

    row: Float[np.ndarray, "neuron"]  # of the centre; 0 is the middle of the first pixel
    column: Float[np.ndarray, "neuron"]
    size: Float[np.ndarray, "neuron"]  # standard deviation about the centre, mean of both axes; NaN for a single Gabor
    orientation_deg: Float[np.ndarray, "neuron"]  # of the preferred bars, in [0, 180): 0 horizontal, anticlockwise as seen
    orientation_selectivity: Float[np.ndarray, "neuron"]  # vector sum over orientations, in [0, 1]; NaN for a single Gabor
    frequency: Float[np.ndarray, "neuron"]  # preferred, in cycles per pixel: mean over octaves
    is_at_bound: Float[np.ndarray, "neuron"]
    n_gabors: Float[np.ndarray, "neuron"]
    fit_correlation: Float[np.ndarray, "neuron"]  # of predicted with average responses to images left out of the fit, in [-1, 1]

    @classmethod
    def unknown(cls, n_neurons: int) -> "FieldProfiles":
        """Return profiles of which nothing is known."""
        return cls(*(np.full(n_neurons, np.nan) for _ in fields(cls)))

    def where(self, is_known: Bool[np.ndarray, "neuron"]) -> "FieldProfiles":
        """Return the same with NaN for all other neurons."""
        return FieldProfiles(**{name: np.where(is_known, values, np.nan) for name, values in vars(self).items()})


def fit_field_profiles(
    images: ContrastImages,
    responses: StimulusResponses,
    other_images: Float32[np.ndarray, "other channel height width"],
    other_responses: Float32[np.ndarray, "other neuron"],
) -> FieldProfiles:
    """Describe receptive fields as sums of a few Gabors, or as weights on Gabor channels, whichever predicts better.

    Both are fitted to all neurons, and the one with the larger mean ``fit_correlation`` is taken for the whole recording, so that
    the choice hardly favours the correlation that makes it. Images are in units of contrast; the other images choose and judge.
    ``n_gabors`` is NaN where channels were taken.

    Raises
    ------
    DataError
        If the images are too small for Gabors.
    """
    few, weights = (fit(images, responses, other_images, other_responses) for fit in (fit_gabor_fields, fit_channel_fields))
    return few if _mean(few) > _mean(weights) else weights


def _mean(profiles: FieldProfiles) -> float:
    known = profiles.fit_correlation[np.isfinite(profiles.fit_correlation)]
    return float(known.mean()) if len(known) else 0.0


class _Found:
    """What is known of every neuron so far; ``place`` is its centre in places of the grid, the other lengths are in pixels."""

    def __init__(self, n_neurons: int, n_judged: int) -> None:
        self.row, self.column, self.size, self.octave, self.at_bound, self.n_gabors = torch.full((6, n_neurons), torch.nan)
        self.place, self.vector = torch.zeros(2, n_neurons, 2)
        self.predicted = torch.zeros(n_judged, n_neurons)

    def fit_twice(self, place: Tensor, pitch: int, fit: Callable[[int, int, Tensor], None]) -> None:
        """Fit together the neurons that look at one place, ``pitch`` places from the next; fit again those found elsewhere."""
        pending = torch.arange(len(place))
        for _ in range(2):
            middles, number = torch.unique(place[pending], dim=0, return_inverse=True)
            for each, (row, column) in enumerate(track(middles.tolist(), "Locating receptive fields", total=len(middles))):
                fit(row, column, pending[number == each])
            moved = (self.place / pitch).round().long()
            pending = torch.where((moved - place).abs().amax(1) > 1)[0]
            place[pending] = moved[pending]

    def note_gabors(self, grid: GaborGrid, window: GaborWindow, gabors: Components, members: Tensor) -> None:
        """Take means over the Gabors of some neurons, weighted by the variance that each contributes."""
        share = gabors.variance / gabors.variance.sum(0).clamp_min(1e-30)
        step = float(grid.rows[1] - grid.rows[0])
        row, column = gabors.row + window.rows.start, gabors.column + window.columns.start
        middle = torch.stack([(share * row).sum(0), (share * column).sum(0)], dim=1)
        self.place[members] = middle
        self.row[members] = float(grid.rows[0]) + step * middle[:, 0]
        self.column[members] = float(grid.columns[0]) + step * middle[:, 1]
        apart = step**2 * ((row - middle[:, 0]) ** 2 + (column - middle[:, 1]) ** 2) / 2
        self.size[members] = (share * ((ENVELOPE * gabors.wavelength) ** 2 + apart)).sum(0).sqrt()
        self.octave[members] = (share * torch.log2(1 / gabors.wavelength)).sum(0)
        doubled = 2 * torch.pi * gabors.orientation / N_ORIENTATIONS
        self.vector[members] = torch.stack([(share * doubled.cos()).sum(0), (share * doubled.sin()).sum(0)], dim=1)
        wave = gabors.number // math.prod(window.shape[1:])
        self.at_bound[members] = (share * ((wave == 0) | (wave == len(grid.wavelengths) - 1))).sum(0)
        self.n_gabors[members] = (gabors.variance > 0).sum(0).float()

    def profiles(self, other_responses: np.ndarray) -> FieldProfiles:
        """Turn sums into profiles."""
        is_single = self.n_gabors <= 1  # false where channels were fitted
        is_at_bound = (self.at_bound >= MOSTLY).double().where(self.n_gabors.isfinite(), torch.nan)
        return FieldProfiles(
            row=self.row.double().numpy(),
            column=self.column.double().numpy(),
            size=self.size.masked_fill(is_single, torch.nan).double().numpy(),
            orientation_deg=_bars_of_waves(self.vector),
            orientation_selectivity=self.vector.norm(dim=1).masked_fill(is_single, torch.nan).double().numpy(),
            frequency=torch.exp2(self.octave).double().numpy(),
            is_at_bound=is_at_bound.numpy(),
            n_gabors=self.n_gabors.double().numpy(),
            fit_correlation=correlate_columns(self.predicted.numpy(), np.asarray(other_responses, dtype=np.float32)),
        )


def _bars_of_waves(vector: Tensor) -> Float[np.ndarray, "neuron"]:
    """Return bar orientations, as in `FieldProfiles`, from cosine and sine of twice the angle of wave vectors, rows downwards."""
    angle = torch.rad2deg(torch.atan2(vector[:, 1], vector[:, 0])) / 2
    bars: np.ndarray = torch.remainder(90 - angle, 180).double().numpy()  # at right angles, seen with rows upwards
    return bars


@torch.no_grad()
def fit_gabor_fields(
    images: ContrastImages,
    responses: StimulusResponses,
    other_images: Float32[np.ndarray, "other channel height width"],
    other_responses: Float32[np.ndarray, "other neuron"],
) -> FieldProfiles:
    """Estimate every neuron's receptive field by the one to four Gabors whose responses add up to the neuron's.

    Each Gabor enters by its even phase, its odd phase and its energy, divided by the energy around: together they make
    simple and complex cells. The sum does not spread over whatever resembles the field in natural images, as correlations do,
    and is not bound to a coarse grid. The centre is the mean of the Gabors' places, weighted by the variance that each
    contributes; sizes are those of envelopes and distances. A single Gabor has no size, because its envelope is fixed, and no
    selectivity, which could only be 1. Images are in units of contrast; of more than 4,000, 4,000 evenly spaced ones are used.
    The other images only judge the fit.

    Raises
    ------
    DataError
        If the images are too small for Gabors.

    Notes
    -----
    Wavelengths are from 4 to 16 steps of a grid of about 34 places along the shorter side, about half an octave apart; envelopes
    have a standard deviation of 0.3 wavelengths. See `pursue` for how many Gabors are kept.

    References
    ----------
    Mallat & Zhang (1993), IEEE Trans. Signal Process. 41:3397. https://doi.org/10.1109/78.258082

    Niell & Stryker (2008), J. Neurosci. 28:7520. https://doi.org/10.1523/JNEUROSCI.0623-08.2008
    """
    chosen = np.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES)).round().astype(np.int64)
    images, responses = images[chosen], responses[chosen]
    grid = GaborGrid.of(images)
    judged = GaborGrid.of(other_images, grid.typical)
    wanted = _unit_columns(responses)
    found = _Found(len(wanted.T), len(other_images))

    def fit_window(row: int, column: int, members: Tensor) -> None:
        window = GaborWindow(grid, PITCH * row, PITCH * column)
        components = pursue(window, wanted[:, members])
        found.note_gabors(grid, window, components, members)
        terms = window.of_other_images(judged, components.number)
        found.predicted[:, members] = (terms * components.coefficients[:, None]).sum((0, 2))

    found.fit_twice(grid.find_windows(wanted), PITCH, fit_window)
    return found.profiles(other_responses).where(responses.std(0) > 0)


def _unit_columns(responses: StimulusResponses) -> Tensor:
    wanted = torch.from_numpy(responses).float()
    wanted = wanted - wanted.mean(0)
    return wanted / wanted.norm(dim=0).clamp_min(1e-12)


@torch.no_grad()
def fit_channel_fields(
    images: ContrastImages,
    responses: StimulusResponses,
    other_images: Float32[np.ndarray, "other channel height width"],
    other_responses: Float32[np.ndarray, "other neuron"],
) -> FieldProfiles:
    r"""Estimate every neuron's receptive field by ridge regression on Gabor channels around its place on the map.

    The centre is the centroid of the energy of the weights, :math:`\sum_c w_c(x)^2`, in a Gaussian window that follows it. Unlike
    correlations, weights do not spread over whatever resembles the field in natural images. Sizes are an upper bound, because
    filters and grid have a size themselves. Images are in units of contrast; the other images only judge the fit.

    Raises
    ------
    DataError
        If the images are too small for Gabor channels.

    Notes
    -----
    Simple cells enter as signed linear responses, complex cells as energies, both divided by the energy around. All columns have
    unit norm. The ridge penalty is 8 · features / images, right for a neuron with a quarter of its variance explained.
    """
    channels = _Channels.of(images)
    known, judged = channels.maps(images), channels.maps(other_images)
    wanted = _unit_columns(responses)
    found = _Found(len(wanted.T), len(other_images))

    def fit_cell(row: int, column: int, members: Tensor) -> None:
        _fit_cell(channels, known, judged, wanted, (row, column), members, found)

    found.fit_twice(estimate_centres(known, wanted).long(), 1, fit_cell)
    return found.profiles(other_responses).where(responses.std(0) > 0)


@dataclass(frozen=True, eq=False)
class _Channels:
    """The channels that fields are made of, and where on the screen each of their places lies."""

    tower: GaborEnergy
    energies: list[int]
    signed: list[tuple[int, int]]
    wavelength: Tensor
    angle: Tensor
    rows: Tensor
    columns: Tensor

    @classmethod
    def of(cls, images: ContrastImages) -> "_Channels":
        shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
        tower = GaborEnergy(shape, n_contrasts=0)
        waves = sorted({channel.wavelength_px for channel in tower.channels if channel.wavelength_px})[-N_SCALES:]
        index = {
            (channel.wavelength_px, channel.orientation_deg, channel.kind): number
            for number, channel in enumerate(tower.channels)
            if channel.is_normalised and channel.plane == "luminance" and channel.wavelength_px in waves
        }
        energies = [number for (_, _, kind), number in index.items() if kind == "energy"]
        signed = [
            (number, index[wave, angle, kind.replace("+", "-")])
            for (wave, angle, kind), number in index.items()
            if kind.endswith("+")
        ]
        used = [tower.channels[number] for number in (*energies, *(positive for positive, _ in signed))]
        wavelength = torch.tensor([float(channel.wavelength_px) for channel in used])
        places = {wave: tower.place_positions(wave) for wave in waves}
        return cls(
            tower,
            energies,
            signed,
            wavelength,
            torch.tensor([channel.orientation_deg for channel in used]),
            torch.stack([places[channel.wavelength_px][0] for channel in used]),
            torch.stack([places[channel.wavelength_px][1] for channel in used]),
        )

    def maps(self, images: ContrastImages) -> Tensor:
        """Return the channels of images, (image, channel, row, column), in half precision."""
        parts = []
        for first in range(0, len(images), CHUNK):
            raw = self.tower.raw_maps(torch.from_numpy(images[first : first + CHUNK]))
            positive, negative = (raw[:, [pair[side] for pair in self.signed]] for side in (0, 1))
            parts.append(torch.cat([raw[:, self.energies], positive - negative], dim=1).half())
        return torch.cat(parts)


def _fit_cell(
    channels: _Channels, known: Tensor, judged: Tensor, wanted: Tensor, place: tuple[int, int], members: Tensor, found: _Found
) -> None:
    """Fit the neurons that look at one place of the grid, together."""
    height, width = known.shape[2:]
    row, column = place
    rows = slice(max(row - CHANNEL_WINDOW, 0), min(row + CHANNEL_WINDOW + 1, height))
    columns = slice(max(column - CHANNEL_WINDOW, 0), min(column + CHANNEL_WINDOW + 1, width))
    window, other = (maps[:, :, rows, columns].float().flatten(1) for maps in (known, judged))
    mean = window.mean(0)
    norm = (window - mean).norm(dim=0).clamp_min(1e-6)
    window, other = (window - mean) / norm, (other - mean) / norm
    n_images, n_features = window.shape
    gram = window.T @ window
    gram.diagonal().add_(PENALTY * n_features / n_images)
    weights = torch.cholesky_solve(window.T @ wanted[:, members], torch.linalg.cholesky(gram))
    found.predicted[:, members] = other @ weights
    shape = (len(channels.wavelength), rows.stop - rows.start, columns.stop - columns.start)
    energy = weights.square().reshape(*shape, -1)
    _locate(channels, energy, rows, columns, members, found)


def _locate(channels: _Channels, energy: Tensor, rows: slice, columns: slice, members: Tensor, found: _Found) -> None:
    """Take centroid, spread, orientation and frequency of energies (channel, row, column, neuron)."""
    down = channels.rows[:, rows][:, :, None, None]
    across = channels.columns[:, columns][:, None, :, None]
    pitch = float((channels.rows[0, -1] - channels.rows[0, 0]) / (channels.rows.shape[1] - 1))
    reach = REACH * pitch
    inside = energy.square()  # emphasises the peak, to begin with
    for _ in range(N_STEPS + 1):
        total = inside.sum((0, 1, 2)).clamp_min(1e-30)
        row, column = ((inside * along).sum((0, 1, 2)) / total for along in (down, across))
        inside = energy * torch.exp(-0.5 * ((down - row) ** 2 + (across - column) ** 2) / reach**2)
    total = inside.sum((0, 1, 2)).clamp_min(1e-30)
    spread = (inside * ((down - row) ** 2 + (across - column) ** 2)).sum((0, 1, 2)) / (2 * total)
    found.row[members], found.column[members] = row, column
    for axis, (at, positions) in enumerate(((row, channels.rows), (column, channels.columns))):
        found.place[members, axis] = (positions.mean(0)[:, None] - at).abs().argmin(0).float()
    # the window narrows a Gaussian: its precision adds to the field's own
    found.size[members] = (1 / (1 / spread.clamp_min(1e-6) - 1 / reach**2).clamp_min(1 / (4 * reach) ** 2)).sqrt()
    by_channel = inside.sum((1, 2)) / total
    doubled = torch.deg2rad(2 * channels.angle)
    found.vector[members] = torch.stack([by_channel.T @ doubled.cos(), by_channel.T @ doubled.sin()], dim=1)
    found.octave[members] = by_channel.T @ torch.log2(1 / channels.wavelength)
