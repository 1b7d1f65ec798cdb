"""A table of neurons: responses, receptive field, place in cortex, and contribution of each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int

from dina.analyses.analysis import DescribedResult
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import margin_units
from dina.analyses.neuron_strength import measure_strength
from dina.analyses.query_trials import mean_contributions, rank_on_training
from dina.checks import DataError
from dina.models.receptive_fields import WELL_FITTED, FieldProfiles, fit_field_profiles
from dina.randomness import generator_for
from dina.recordings.large_images import length_given, position_given
from dina.shapes import stimulus_coordinates
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.rank_association import spearman_with_interval
from dina.statistics.resampling import resample_counts
from dina.statistics.sparseness import treves_rolls_sparseness

N_RANKING_IMAGES = 500
CONTRIBUTIONS = ("contribution", "training_contribution")
FIELD_COLUMNS = ("field_row", "field_column", "field_size", "orientation_deg", "frequency", "is_at_bound", "n_gabors")
SINGLE = "Every field is a single Gabor, whose envelope is fixed: neither its size nor its selectivity is measured."
MEDIANS = ("reliability", "signal_to_noise", "lifetime_sparseness", "field_size_deg", "frequency_cpd", "fit_correlation")
OF_WAVELENGTHS = ("field_size_deg", "frequency_cpd")  # not known where the wavelength is the longest or shortest tried
STRONG = 1.0  # signal-to-noise ratio from which on a field is expected to be found
MOST_RESAMPLES = 500
FEWEST = 20  # neurons needed to measure retinotopy
N_PERMUTATIONS = 200
CHUNK = 50  # resamples held at a time

Columns = Mapping[str, Float[np.ndarray, "neuron"]]

POSITIONS = ("position_x_um", "position_y_um", "position_depth_um")
# Units of columns; contributions are in the units of margins, all others are dimensionless.
UNITS = {
    "mean_response": "arbitrary",
    **dict.fromkeys(("field_row", "field_column", "field_size"), "pixel"),
    **dict.fromkeys(("field_azimuth_deg", "field_elevation_deg", "field_size_deg", "orientation_deg"), "degree"),
    "frequency": "cycles/pixel",
    "frequency_cpd": "cycles/degree",
    "planted_centre_error_deg": "degree",
    **dict.fromkeys(POSITIONS, "um"),
}


@dataclass(frozen=True, eq=False)
class NeuronProfilesResult(DescribedResult):
    """The table of neurons: name → one value per neuron, NaN where it cannot be known, and why a column is NaN everywhere.

    Population sparseness (Treves–Rolls) is that of the response to each training image; NaN where responses can be negative.
    """

    __repr__ = brief

    columns: dict[str, Float[np.ndarray, "neuron"]]
    reasons: dict[str, str]
    population_sparseness: Float[np.ndarray, "image"]
    stimulus_id: Int[np.ndarray, "image"]  # of the training images
    image_shape: tuple[int, int]  # height and width in pixels, within which fields lie
    margin_units: str = "1"  # of contributions: "nat" for log likelihoods, else "1"

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


def analyse_neuron_profiles(decoded: Decoded) -> NeuronProfilesResult:
    """Describe every neuron by its responses to training images; contributions alone come from the decoder.

    Receptive fields are fitted anew on training images, in the same way for all towers, and tested on validation images.
    Contributions are NaN without towers; reliability and signal-to-noise ratio are NaN without repeats.
    """
    reasons: dict[str, str] = {}
    strength = measure_strength(decoded.train)
    lifetime, population = _sparseness(decoded, reasons, has_negative=bool(strength.rate_reason))
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
    columns |= _compare_with_planted(columns, decoded)
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    height, width = (length_given(decoded.recording, float(extent)) for extent in decoded.recording.images.shape[2:])
    statistics = describe_profiles(columns, reasons, decoded)
    units = "1" if decoded.fitted is None else margin_units(decoded.towers)
    return NeuronProfilesResult(
        columns, reasons, population, decoded.train.stimulus_id, (int(height), int(width)), units, statistics=statistics
    )


def _sparseness(decoded: Decoded, reasons: dict[str, str], *, has_negative: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sparseness over images and over neurons, of average responses in the units of the recording."""
    train = decoded.train
    if has_negative:
        reasons["lifetime_sparseness"] = "Sparseness has no meaning for responses below zero; this recording has some."
        return np.full(train.n_neurons, np.nan), np.full(train.n_stimuli, np.nan)
    raw = np.maximum(train.averaged_raw(), 0.0)
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
        names = ("field_azimuth_deg", "field_elevation_deg", "field_size_deg", "frequency_cpd")
        reasons |= dict.fromkeys(
            names, "The recording does not say how many degrees a pixel has. State deg_per_pixel where the recording is made."
        )
    height, width = decoded.recording.images.shape[2:]
    degrees = np.nan if scale is None else scale
    return {
        "field_row": position_given(decoded.recording, found.row),
        "field_column": position_given(decoded.recording, found.column),
        "field_size": length_given(decoded.recording, found.size),
        "field_azimuth_deg": (found.column - (width - 1) / 2) * degrees,
        "field_elevation_deg": ((height - 1) / 2 - found.row) * degrees,
        "field_size_deg": found.size * degrees,
        "orientation_deg": found.orientation_deg,
        "orientation_selectivity": found.orientation_selectivity,
        "frequency": found.frequency / length_given(decoded.recording, 1.0),
        "frequency_cpd": found.frequency / degrees,
        "is_at_bound": found.is_at_bound,
        "n_gabors": found.n_gabors,
        "fit_correlation": found.fit_correlation,
    }


def _positions(decoded: Decoded, reasons: dict[str, str]) -> dict[str, np.ndarray]:
    position = decoded.recording.neuron_position_um
    if position is None:
        reasons |= dict.fromkeys(
            POSITIONS,
            "The recording does not say where its neurons lie. Give neuron_position_um where the recording is made, if positions are known.",
        )
        return dict.fromkeys(POSITIONS, np.full(decoded.train.n_neurons, np.nan))
    return dict(zip(POSITIONS, position.T, strict=True))


def _contributions(decoded: Decoded, reasons: dict[str, str]) -> dict[str, np.ndarray]:
    if decoded.fitted is None:
        reasons |= dict.fromkeys(CONTRIBUTIONS, "There are no fitted towers.")
        return dict.fromkeys(CONTRIBUTIONS, np.full(decoded.train.n_neurons, np.nan))
    return dict(zip(CONTRIBUTIONS, (mean_contributions(decoded), rank_on_training(decoded, N_RANKING_IMAGES)), strict=True))


def describe_profiles(columns: Columns, reasons: Mapping[str, str], decoded: Decoded) -> tuple[Finding, ...]:
    """Return the findings on the table of neurons: medians, retinotopy, and in simulations the error of what was estimated."""
    inside = columns["is_at_bound"] != 1
    known = {name: np.where(inside | (name not in OF_WAVELENGTHS), columns[name], np.nan) for name in MEDIANS}
    found = [_median(f"median_{name}", known[name], decoded, reasons.get(name, "")) for name in MEDIANS]
    found += [_retinotopy(columns, place, reasons, decoded.seed) for place in ("azimuth", "elevation")]
    return (*found, *_against_truth(columns, decoded))


def _median(
    name: str, values: np.ndarray, decoded: Decoded, reason: str, null_draws: np.ndarray | None = None, null: str = ""
) -> Finding:
    known = values[np.isfinite(values)]
    units = UNITS.get(name.removeprefix("median_"), "1")
    if len(known) < 2:
        return Finding(name, np.nan, units, len(known), reason=reason or "It is known of fewer than two neurons.")
    generator = generator_for(decoded.seed, "bootstrap over neurons")
    ranked = np.sort(known)
    medians = []
    for _ in range(max(1, min(decoded.n_resamples, MOST_RESAMPLES) // CHUNK)):
        below = np.cumsum(resample_counts(len(ranked), CHUNK, generator), axis=1)
        medians.append(ranked[np.argmax(below >= len(ranked) / 2, axis=1)])
    return Finding.from_draws(name, float(np.median(known)), units, len(known), np.concatenate(medians), null_draws, null)


def _retinotopy(columns: Columns, place: str, reasons: Mapping[str, str], seed: int) -> Finding:
    """Rank correlation of a field's place on the screen with its place predicted from the cortical position.

    The prediction is a linear regression on all other neurons, so the orientation of the cortex under the microscope does not matter.
    """
    name, pixel = f"retinotopy_{place}", {"azimuth": "field_column", "elevation": "field_row"}[place]
    cortex = np.stack([columns["position_x_um"], columns["position_y_um"]], axis=1)
    usable = np.isfinite(cortex).all(axis=1) & (columns["fit_correlation"] > WELL_FITTED)
    n = int(usable.sum())
    if n < FEWEST:
        reason = reasons.get("position_x_um") or "Too few neurons have a field that predicts responses to other images."
        return Finding(name, np.nan, "1", n, reason=reason)
    design = np.column_stack([np.ones(n), cortex[usable] - cortex[usable].mean(axis=0)])
    field = columns[pixel][usable]
    value, *ends = spearman_with_interval(_left_out(design, field), field)
    generator = generator_for(seed, f"permuted {name}")
    permuted = (generator.permutation(field) for _ in range(N_PERMUTATIONS))
    null = np.array([spearman_with_interval(_left_out(design, other), other)[0] for other in permuted])
    return Finding.from_draws(name, value, "1", n, null_draws=null, null="neurons permuted", interval=(ends[0], ends[1]))


def _left_out(design: Float[np.ndarray, "neuron term"], values: Float[np.ndarray, "neuron"]) -> Float[np.ndarray, "neuron"]:
    """Predict every value by linear regression on all others."""
    basis, _ = np.linalg.qr(design)
    leverage = np.minimum(np.einsum("nt,nt->n", basis, basis), 0.999)
    predicted: np.ndarray = (basis @ (basis.T @ values) - leverage * values) / (1 - leverage)
    return predicted


def _degrees_given(decoded: Decoded) -> float | None:
    """Return the degrees of a pixel of the images given; None where unknown."""
    degrees = decoded.recording.deg_per_pixel
    return None if degrees is None else degrees / length_given(decoded.recording, 1.0)


def _compare_with_planted(columns: Columns, decoded: Decoded) -> dict[str, Float[np.ndarray, "neuron"]]:
    """Return the distance (degrees) of every field's centre from the planted one, and the planted ratio, where they are known."""
    truth, scale = decoded.recording.truth, _degrees_given(decoded)
    if truth is None or scale is None or "field_row" not in truth.planted:
        return {}
    rows, places = (columns[f"field_{axis}"] - truth.planted[f"field_{axis}"] for axis in ("row", "column"))
    return {
        "planted_centre_error_deg": scale * np.hypot(rows, places),
        "planted_signal_to_noise": truth.planted["signal_to_noise"],
    }


def _against_truth(columns: Columns, decoded: Decoded) -> tuple[Finding, ...]:
    """Median distance between estimated and planted centres of strongly tuned neurons, where a simulation knows them."""
    name, truth, scale = "planted_centre_error_deg", decoded.recording.truth, _degrees_given(decoded)
    if truth is None or scale is None or name not in columns:
        return ()
    error, strong = columns[name], truth.planted["signal_to_noise"] >= STRONG
    rows = np.flatnonzero(strong & np.isfinite(error))
    if len(rows) < 2:
        reason = f"No neuron has a signal-to-noise ratio of {STRONG:g}." if not strong.any() else ""
        return (_median(name, error[strong], decoded, reason),)
    # fields assigned to other neurons: the error of a guess that knows only the region
    generator = generator_for(decoded.seed, "exchanged fields")
    (found_rows, true_rows), (found_columns, true_columns) = (
        (columns[f"field_{axis}"][rows], truth.planted[f"field_{axis}"]) for axis in ("row", "column")
    )
    orders = (generator.permutation(rows) for _ in range(MOST_RESAMPLES))
    null = [np.median(scale * np.hypot(found_rows - true_rows[one], found_columns - true_columns[one])) for one in orders]
    return (_median(name, error[strong], decoded, "", np.array(null), "fields of other neurons"),)
