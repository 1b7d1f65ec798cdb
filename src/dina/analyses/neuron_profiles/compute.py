"""One row for every neuron: how it responds, where it looks, what it prefers, where it lies, what it contributes."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int

from dina.analyses.decoded import Decoded
from dina.analyses.image_axes import stimulus_coordinates
from dina.analyses.neuron_profiles.profile_findings import compare_with_planted, describe_profiles
from dina.analyses.neuron_readout import margin_units
from dina.analyses.neuron_strength import measure_strength
from dina.analyses.query_trials import mean_contributions, rank_on_training
from dina.checks import DataError
from dina.models.field_profiles import FieldProfiles
from dina.models.fit_fields import fit_field_profiles
from dina.statistics.finding import Finding
from dina.statistics.sparseness import treves_rolls_sparseness

N_RANKING_IMAGES = 500
CONTRIBUTIONS = ("contribution", "training_contribution")
FIELD_COLUMNS = ("field_row", "field_column", "field_size", "orientation_deg", "frequency", "is_at_bound", "n_gabors")
SINGLE = "Every field is a single Gabor, whose envelope is fixed: neither its size nor its selectivity is measured."

UNITS = {
    "mean_response": "arbitrary",
    "field_row": "pixel",
    "field_column": "pixel",
    "field_size": "pixel",
    "field_azimuth_deg": "degree",
    "field_elevation_deg": "degree",
    "field_size_deg": "degree",
    "orientation_deg": "degree",
    "frequency": "cycles/pixel",
    "frequency_cpd": "cycles/degree",
    "planted_centre_error_deg": "degree",
    "position_x_um": "um",
    "position_y_um": "um",
    "position_depth_um": "um",
}
"""Units of columns; contributions are in the units of margins, all others are dimensionless."""


@dataclass(frozen=True, eq=False)
class NeuronProfilesResult:
    """The table of neurons.

    Parameters
    ----------
    columns
        Name → one value per neuron, shape ``(n_neurons,)``; NaN where it cannot be known.
    reasons
        Name of a column → why it is NaN everywhere.
    population_sparseness
        Treves–Rolls sparseness of the population response to each training image, shape ``(n_images,)``; NaN where responses
        can be negative.
    stimulus_id
        Identities of the training images.
    image_shape
        (height, width) of the images in pixels, within which fields lie.
    margin_units
        Of contributions: "nat" for log likelihoods, else "1".
    statistics
        The findings.
    """

    columns: dict[str, Float[np.ndarray, "neuron"]]
    reasons: dict[str, str]
    population_sparseness: Float[np.ndarray, "image"]
    stimulus_id: Int[np.ndarray, "image"]
    image_shape: tuple[int, int]
    margin_units: str = "1"
    statistics: tuple[Finding, ...] = field(default=())

    def to_dataset(self) -> xr.Dataset:
        """Return the table with one variable per column, and population sparseness by training image."""
        units = UNITS | dict.fromkeys(CONTRIBUTIONS, self.margin_units)
        variables = {
            name: ("neuron", values, {"units": units.get(name, "1"), "reason": self.reasons.get(name, "")})
            for name, values in self.columns.items()
        }
        height, width = self.image_shape
        return xr.Dataset(
            {**variables, "population_sparseness": ("training_image", self.population_sparseness, {"units": "1"})},
            coords=stimulus_coordinates({"training_image": self.stimulus_id}),
            attrs={"image_height": height, "image_width": width},
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the table, one row per neuron, numbered from 0 in the order of the recording."""
        frame = pd.DataFrame(self.columns)
        frame.index.name = "neuron_index"
        return frame

    def findings(self) -> tuple[Finding, ...]:
        """Return medians over neurons, and in simulations the error of what was estimated."""
        return self.statistics


def analyse_neuron_profiles(decoded: Decoded) -> NeuronProfilesResult:
    """Describe every neuron by its responses to training images; contributions alone come from the decoder.

    Receptive fields are fitted anew on training images, the same way whatever the towers are, and judged by validation
    images. Without towers, contributions are NaN; without repeats, reliability and signal-to-noise ratio.

    Parameters
    ----------
    decoded
        A finished decoding.
    """
    reasons: dict[str, str] = {}
    strength = measure_strength(decoded.train)
    lifetime, population = _sparseness(decoded, reasons)
    columns = {
        "mean_response": strength.mean_response,
        "reliability": strength.reliability,
        "signal_to_noise": strength.signal_to_noise,
        "lifetime_sparseness": lifetime,
        **_fields(decoded, reasons),
        **_positions(decoded, reasons),
        **_contributions(decoded, reasons),
    }
    if strength.reason:
        reasons |= dict.fromkeys(("reliability", "signal_to_noise"), strength.reason)
    columns |= compare_with_planted(columns, decoded)
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    height, width = (int(extent) for extent in decoded.recording.images.shape[2:])
    statistics = describe_profiles(columns, reasons, decoded)
    units = "1" if decoded.fitted is None else margin_units(decoded.towers)
    return NeuronProfilesResult(columns, reasons, population, decoded.train.stimulus_id, (height, width), units, statistics)


def _sparseness(decoded: Decoded, reasons: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Sparseness over images and over neurons, of average responses in the recording's own units."""
    train = decoded.train
    # a response is at its lowest where it was standardised from zero: rounding may leave it slightly below
    raw = train.averaged() * train.standardiser.deviation + train.standardiser.mean
    tolerance = 1e-4 * np.abs(raw).max(axis=0, initial=0.0)
    if (raw < -tolerance).any():
        reasons["lifetime_sparseness"] = "Sparseness has no meaning for responses below zero; this recording has some."
        return np.full(train.n_neurons, np.nan), np.full(train.n_stimuli, np.nan)
    raw = np.maximum(raw, 0.0)
    return treves_rolls_sparseness(raw), treves_rolls_sparseness(np.ascontiguousarray(raw.T))


def _fields(decoded: Decoded, reasons: dict[str, str]) -> dict[str, np.ndarray]:
    train, validation = decoded.train, decoded.validation
    try:
        found = fit_field_profiles(train.images, train.averaged(), validation.images, validation.averaged())
    except DataError as error:
        found = FieldProfiles.unknown(train.n_neurons)
        reasons |= dict.fromkeys(FIELD_COLUMNS, str(error))
    else:
        if not np.isfinite(found.size).any():
            reasons |= dict.fromkeys(("field_size", "field_size_deg", "orientation_selectivity"), SINGLE)
        if np.isnan(found.n_gabors).all():
            unknown = "Weights on Gabor channels predict responses better here than sums of a few Gabors."
            reasons |= dict.fromkeys(("is_at_bound", "n_gabors"), unknown)
    scale = decoded.recording.deg_per_pixel
    if scale is None:
        unknown = "The recording does not say how many degrees a pixel has."
        names = ("field_azimuth_deg", "field_elevation_deg", "field_size_deg", "frequency_cpd")
        reasons |= dict.fromkeys(names, unknown)
    height, width = decoded.recording.images.shape[2:]
    degrees = np.nan if scale is None else scale
    return {
        "field_row": found.row,
        "field_column": found.column,
        "field_size": found.size,
        "field_azimuth_deg": (found.column - (width - 1) / 2) * degrees,
        "field_elevation_deg": ((height - 1) / 2 - found.row) * degrees,
        "field_size_deg": found.size * degrees,
        "orientation_deg": found.orientation_deg,
        "orientation_selectivity": found.orientation_selectivity,
        "frequency": found.frequency,
        "frequency_cpd": found.frequency / degrees,
        "is_at_bound": found.is_at_bound,
        "n_gabors": found.n_gabors,
        "fit_correlation": found.fit_correlation,
    }


def _positions(decoded: Decoded, reasons: dict[str, str]) -> dict[str, np.ndarray]:
    names = ("position_x_um", "position_y_um", "position_depth_um")
    position = decoded.recording.neuron_position_um
    if position is None:
        reasons |= dict.fromkeys(names, "The recording does not say where its neurons lie.")
        return {name: np.full(decoded.train.n_neurons, np.nan) for name in names}
    return {name: position[:, axis] for axis, name in enumerate(names)}


def _contributions(decoded: Decoded, reasons: dict[str, str]) -> dict[str, np.ndarray]:
    if decoded.fitted is None:
        reasons |= dict.fromkeys(CONTRIBUTIONS, "There are no fitted towers.")
        return {name: np.full(decoded.train.n_neurons, np.nan) for name in CONTRIBUTIONS}
    return dict(zip(CONTRIBUTIONS, (mean_contributions(decoded), rank_on_training(decoded, N_RANKING_IMAGES)), strict=True))
