"""Receptive fields as ridge weights on Gabor channels, and the choice between these and sums of a few Gabors."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from dina.models.gabor_fields import fit_gabor_fields
from dina.models.receptive_fields import FieldProfiles, bars_of_waves, estimate_centres
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.progress import track
from dina.shapes import ContrastImages, StimulusResponses
from dina.statistics.correlation import correlate_columns

HALF_WINDOW = 2  # places on each side of the centre whose channels a field may use
REACH = 1.5  # places; standard deviation of the window in which the centroid is taken
PENALTY = 8.0  # times features over images
N_SCALES = 3  # the longest; shorter waves say little about place on this grid
N_STEPS = 5  # of the centroid, after which it hardly moves
CHUNK = 64


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
    wanted = torch.from_numpy(responses).float()
    wanted = wanted - wanted.mean(0)
    wanted = wanted / wanted.norm(dim=0).clamp_min(1e-12)
    start = estimate_centres(known, wanted)
    found = _Found(len(wanted.T), len(other_images))
    pending = torch.arange(wanted.shape[1])
    for _ in range(2):  # those that turn out to look elsewhere are fitted again there
        cells, number = torch.unique(start[pending].long(), dim=0, return_inverse=True)
        for cell, place in enumerate(track(cells, "Locating receptive fields", total=len(cells))):
            members = pending[number == cell]
            _fit_cell(channels, known, judged, wanted, place, members, found)
        moved = torch.stack([found.grid_row, found.grid_column], dim=1).round()
        pending = torch.where((moved - start).abs().amax(1) > 1)[0]
        start[pending] = moved[pending]
    return found.profiles(channels, other_responses).where(responses.std(0) > 0)


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


class _Found:
    """What is known of every neuron so far."""

    def __init__(self, n_neurons: int, n_judged: int) -> None:
        self.row, self.column, self.grid_row, self.grid_column, self.size = (
            torch.full((n_neurons,), torch.nan) for _ in range(5)
        )
        self.vector = torch.zeros(n_neurons, 2)
        self.octave = torch.full((n_neurons,), torch.nan)
        self.predicted = torch.zeros(n_judged, n_neurons)

    def profiles(self, channels: _Channels, other_responses: np.ndarray) -> FieldProfiles:
        """Turn sums into profiles."""
        return FieldProfiles(
            row=self.row.double().numpy(),
            column=self.column.double().numpy(),
            size=self.size.double().numpy(),
            orientation_deg=bars_of_waves(self.vector),
            orientation_selectivity=self.vector.norm(dim=1).double().numpy(),
            frequency=torch.exp2(self.octave).double().numpy(),
            is_at_bound=np.full(len(self.row), np.nan),
            n_gabors=np.full(len(self.row), np.nan),
            fit_correlation=correlate_columns(self.predicted.numpy(), np.asarray(other_responses, dtype=np.float32)),
        )


def _fit_cell(
    channels: _Channels, known: Tensor, judged: Tensor, wanted: Tensor, place: Tensor, members: Tensor, found: _Found
) -> None:
    """Fit the neurons that look at one place of the grid, together."""
    height, width = known.shape[2:]
    row, column = (int(number) for number in place)
    rows = slice(max(row - HALF_WINDOW, 0), min(row + HALF_WINDOW + 1, height))
    columns = slice(max(column - HALF_WINDOW, 0), min(column + HALF_WINDOW + 1, width))
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
    for grid, at, positions in ((found.grid_row, row, channels.rows), (found.grid_column, column, channels.columns)):
        grid[members] = (positions.mean(0)[:, None] - at).abs().argmin(0).float()
    # the window narrows a Gaussian: its precision adds to the field's own
    found.size[members] = (1 / (1 / spread.clamp_min(1e-6) - 1 / reach**2).clamp_min(1 / (4 * reach) ** 2)).sqrt()
    by_channel = inside.sum((1, 2)) / total
    doubled = torch.deg2rad(2 * channels.angle)
    found.vector[members] = torch.stack([by_channel.T @ doubled.cos(), by_channel.T @ doubled.sin()], dim=1)
    found.octave[members] = by_channel.T @ torch.log2(1 / channels.wavelength)


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
