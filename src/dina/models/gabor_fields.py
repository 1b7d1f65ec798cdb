"""Receptive fields as sums of a few Gabors: finer than any grid, where neurons are such sums."""

import math

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from dina.models.field_profiles import FieldProfiles, bars_of_waves
from dina.models.gabor_pursuit import Components, pursue
from dina.models.gabor_windows import ENVELOPE, N_ORIENTATIONS, GaborGrid, GaborWindow
from dina.models.receptive_fields import estimate_centres
from dina.progress import track
from dina.shapes import ContrastImages, StimulusResponses
from dina.statistics.correlation import correlate_columns

HALF_WINDOW = 6  # places on each side of a window's middle
PITCH = 4  # places between the middles of windows
MOST_IMAGES = 4000  # three gigabytes of Gabors at the usual size; of more images so many evenly spaced ones are used
MOSTLY = 0.5  # of the explained variance, from which on the frequency counts as one at the bound of what was looked for
COARSE = 2  # every so many places, wavelengths and orientations are looked at to begin with


@torch.no_grad()
def fit_gabor_fields(
    images: ContrastImages,
    responses: StimulusResponses,
    other_images: Float32[np.ndarray, "other channel height width"],
    other_responses: Float32[np.ndarray, "other neuron"],
) -> FieldProfiles:
    r"""Estimate every neuron's receptive field by the one to four Gabors whose responses add up to the neuron's.

    Each Gabor enters by its even phase, its odd phase and its energy, divided by the energy around: together they make
    simple and complex cells. Unlike the correlation with single Gabors, their sum does not spread over whatever resembles
    the field in natural images, and unlike weights on a coarse map it is not bound to the places of a grid. The centre is
    the mean of its Gabors' places, weighted by the variance that each contributes; sizes are those of envelopes and
    distances. A single Gabor has neither a size, because its envelope is fixed, nor a selectivity, which could only be 1.

    Parameters
    ----------
    images, responses
        Training images in units of contrast, and the average response to each in any unit; of more than 4,000 images
        4,000 evenly spaced ones are used.
    other_images, other_responses
        Images that were not used for the fit; they only judge it.

    Raises
    ------
    DataError
        If the images are too small for Gabors.

    Notes
    -----
    Wavelengths are from 4 to 16 steps of a grid of about 34 places along the shorter side, about half an octave apart; envelopes have
    a standard deviation of 0.3 wavelengths. See `dina.models.gabor_pursuit.pursue` for how many Gabors are kept.

    References
    ----------
    Mallat & Zhang (1993), IEEE Trans. Signal Process. 41:3397. https://doi.org/10.1109/78.258082

    Niell & Stryker (2008), J. Neurosci. 28:7520. https://doi.org/10.1523/JNEUROSCI.0623-08.2008
    """
    chosen = np.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES)).round().astype(np.int64)
    images, responses = images[chosen], responses[chosen]
    grid = GaborGrid.of(images)
    judged = GaborGrid.of(other_images, grid.typical)
    wanted = torch.from_numpy(responses).float()
    wanted = wanted - wanted.mean(0)
    wanted = wanted / wanted.norm(dim=0).clamp_min(1e-12)
    found = _Found(len(wanted.T), len(other_images))
    place = (COARSE * _rough_centres(grid, wanted) / PITCH).round().long()
    pending = torch.arange(wanted.shape[1])
    for _ in range(2):  # those that turn out to look elsewhere are fitted again there
        windows, number = torch.unique(place[pending], dim=0, return_inverse=True)
        for each, middle in enumerate(track(windows, "Locating receptive fields", total=len(windows))):
            members = pending[number == each]
            row, column = (PITCH * int(at) for at in middle)
            window = GaborWindow(grid, row, column, HALF_WINDOW)
            components = pursue(window, wanted[:, members])
            found.note(grid, window, components, members)
            terms = window.of_other_images(judged, components.number)
            found.predicted[:, members] = (terms * components.coefficients[:, None]).sum((0, 2))
        moved = (found.place / PITCH).round().long()
        pending = torch.where((moved - place).abs().amax(1) > 1)[0]
        place[pending] = moved[pending]
    return found.profiles(other_responses).where(responses.std(0) > 0)


def _rough_centres(grid: GaborGrid, wanted: Tensor) -> Float[Tensor, "neuron 2"]:
    """Return the place, in coarse places, whose even, odd and energy responses together correlate most with each neuron."""
    some = grid.maps[:, ::COARSE, :, ::COARSE, ::COARSE, ::COARSE]
    energy = some.float().square().sum(2, keepdim=True).sqrt().half()
    return estimate_centres(torch.cat([some, energy], dim=2).flatten(1, 3), wanted)


class _Found:
    """What is known of every neuron so far."""

    def __init__(self, n_neurons: int, n_judged: int) -> None:
        self.row, self.column, self.size, self.octave, self.at_bound, self.n_gabors = torch.full((6, n_neurons), torch.nan)
        self.place = torch.zeros(n_neurons, 2)
        self.vector = torch.zeros(n_neurons, 2)
        self.predicted = torch.zeros(n_judged, n_neurons)

    def note(self, grid: GaborGrid, window: GaborWindow, found: Components, members: Tensor) -> None:
        """Take weighted means over the components of some neurons."""
        share = found.variance / found.variance.sum(0).clamp_min(1e-30)
        step = float(grid.rows[1] - grid.rows[0])
        row, column = found.row + window.rows.start, found.column + window.columns.start
        middle = torch.stack([(share * row).sum(0), (share * column).sum(0)], dim=1)
        self.place[members] = middle
        self.row[members] = float(grid.rows[0]) + step * middle[:, 0]
        self.column[members] = float(grid.columns[0]) + step * middle[:, 1]
        apart = step**2 * ((row - middle[:, 0]) ** 2 + (column - middle[:, 1]) ** 2) / 2
        self.size[members] = (share * ((ENVELOPE * found.wavelength) ** 2 + apart)).sum(0).sqrt()
        self.octave[members] = (share * torch.log2(1 / found.wavelength)).sum(0)
        doubled = 2 * torch.pi * found.orientation / N_ORIENTATIONS
        self.vector[members] = torch.stack([(share * doubled.cos()).sum(0), (share * doubled.sin()).sum(0)], dim=1)
        wave = found.number // math.prod(window.shape[1:])
        self.at_bound[members] = (share * ((wave == 0) | (wave == len(grid.wavelengths) - 1))).sum(0)
        self.n_gabors[members] = (found.variance > 0).sum(0).float()

    def profiles(self, other_responses: np.ndarray) -> FieldProfiles:
        """Turn sums into profiles."""
        has_several = self.n_gabors > 1
        return FieldProfiles(
            row=self.row.double().numpy(),
            column=self.column.double().numpy(),
            size=torch.where(has_several, self.size, torch.nan).double().numpy(),
            orientation_deg=bars_of_waves(self.vector),
            orientation_selectivity=torch.where(has_several, self.vector.norm(dim=1), torch.nan).double().numpy(),
            frequency=torch.exp2(self.octave).double().numpy(),
            is_at_bound=(self.at_bound >= MOSTLY).double().numpy(),
            n_gabors=self.n_gabors.double().numpy(),
            fit_correlation=correlate_columns(self.predicted.numpy(), np.asarray(other_responses, dtype=np.float32)),
        )
