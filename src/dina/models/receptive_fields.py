"""Where receptive fields are estimated on a map, and what is known of a field however it was found."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

WELL_FITTED = 0.2
"""Correlation with responses to left-out images from which on a field counts, and is drawn."""


def estimate_centres(
    maps: Float[Tensor, "stimulus channel height width"], responses: Float[Tensor, "stimulus neuron"], smoothing: float = 1.0
) -> Float[Tensor, "neuron 2"]:
    """Return the row and column, in whole places, where the channels together correlate most with each neuron.

    Squared correlations are summed over channels and smoothed over places (``smoothing`` is the standard deviation in places).
    A neuron that follows no channel gets an arbitrary place.
    """
    height, width = maps.shape[2:]
    centred = responses - responses.mean(0)
    unit = centred / (centred.norm(dim=0) + 1e-6)
    evidence = responses.new_zeros(height, width, responses.shape[1])
    for row in range(height):  # one row of places at a time keeps the correlations small
        place = maps[:, :, row].float()
        place = place - place.mean(0)
        place = place / (place.norm(dim=0) + 1e-6)
        correlation = place.flatten(1).T @ unit
        evidence[row] = correlation.square().unflatten(0, (-1, width)).sum(0)
    rows, columns = (_smoothing_matrix(n, smoothing, responses) for n in (height, width))
    smooth = torch.einsum("ij,jkn->ikn", rows, torch.einsum("kl,jln->jkn", columns, evidence))
    best = smooth.flatten(0, 1).argmax(0)
    return torch.stack([best // width, best % width], dim=1).float()


def _smoothing_matrix(n_places: int, deviation: float, like: Tensor) -> Tensor:
    distance = torch.arange(n_places, device=like.device)[:, None] - torch.arange(n_places, device=like.device)[None]
    # not normalised at the border: half a field off the map is half the evidence
    return torch.exp(-0.5 * (distance / deviation) ** 2).to(like.dtype)


def bars_of_waves(vector: Float[Tensor, "neuron 2"]) -> Float[np.ndarray, "neuron"]:
    """Return bar orientations, as in `FieldProfiles`, from cosine and sine of twice the angle of wave vectors, rows downwards.

    Examples
    --------
    Waves along the horizontal are vertical bars; waves down and to the right, bars up and to the right:

    >>> bars_of_waves(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [90.0, 45.0]
    """
    angle = torch.rad2deg(torch.atan2(vector[:, 1], vector[:, 0])) / 2
    bars: np.ndarray = torch.remainder(90 - angle, 180).double().numpy()  # at right angles, seen with rows upwards
    return bars


@dataclass(frozen=True, eq=False)
class FieldProfiles:
    """What each neuron responds to; all NaN for a neuron that never varies.

    Parameters
    ----------
    row, column
        Centre of the receptive field in pixels, 0 at the middle of the first.
    size
        Standard deviation of the field about the centre, mean of both axes, in pixels; NaN for a single Gabor.
    orientation_deg
        Of the preferred bars, in [0, 180): 0 horizontal, anticlockwise as seen on the screen.
    orientation_selectivity
        Length of the vector sum over orientations, in [0, 1]; NaN for a single Gabor.
    frequency
        Preferred spatial frequency, cycles per pixel: mean over octaves.
    is_at_bound
        1 where Gabors of the shortest or longest wavelength tried explain at least half of what all do, so that the frequency
        may lie beyond; 0 elsewhere; NaN where the field is not made of a few Gabors.
    n_gabors
        How many Gabors make the field; NaN where it is not made of a few.
    fit_correlation
        Between predicted and measured average responses to images that took no part in the fit, in [-1, 1].
    """

    row: Float[np.ndarray, "neuron"]
    column: Float[np.ndarray, "neuron"]
    size: Float[np.ndarray, "neuron"]
    orientation_deg: Float[np.ndarray, "neuron"]
    orientation_selectivity: Float[np.ndarray, "neuron"]
    frequency: Float[np.ndarray, "neuron"]
    is_at_bound: Float[np.ndarray, "neuron"]
    n_gabors: Float[np.ndarray, "neuron"]
    fit_correlation: Float[np.ndarray, "neuron"]

    @classmethod
    def unknown(cls, n_neurons: int) -> "FieldProfiles":
        """Return profiles of which nothing is known."""
        return cls(*(np.full(n_neurons, np.nan) for _ in fields(cls)))

    def where(self, is_known: Bool[np.ndarray, "neuron"]) -> "FieldProfiles":
        """Return the same with NaN for all other neurons."""
        return FieldProfiles(**{name: np.where(is_known, values, np.nan) for name, values in vars(self).items()})
