"""Statistics of the table of neurons: medians, retinotopy, and in simulations the error of receptive fields."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from dina.analyses.decoded import Decoded
from dina.models.field_profiles import WELL_FITTED
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.rank_association import spearman_with_interval
from dina.statistics.resampling import percentile_interval, resample_counts

MEDIANS = ("reliability", "signal_to_noise", "lifetime_sparseness", "field_size_deg", "frequency_cpd", "fit_correlation")
OF_WAVELENGTHS = ("field_size_deg", "frequency_cpd")  # not known where the wavelength is the longest or shortest looked for
STRONG = 1.0  # signal-to-noise ratio from which on a field is expected to be found
MOST_RESAMPLES = 500
FEWEST = 20  # neurons from which retinotopy is told
N_PERMUTATIONS = 200
CHUNK = 50  # resamples held at a time

Columns = Mapping[str, Float[np.ndarray, "neuron"]]


def describe_profiles(columns: Columns, reasons: Mapping[str, str], decoded: Decoded) -> tuple[Finding, ...]:
    """Return the findings on the table of neurons.

    Parameters
    ----------
    columns
        The table.
    reasons
        Why columns are NaN.
    decoded
        Read for seed, number of resamples, and the truth of a simulation.
    """
    inside = columns["is_at_bound"] != 1
    known = {name: np.where(inside | (name not in OF_WAVELENGTHS), columns[name], np.nan) for name in MEDIANS}
    found = [_median(f"median_{name}", known[name], decoded, reasons.get(name, "")) for name in MEDIANS]
    found += [_retinotopy(columns, place, reasons, decoded.seed) for place in ("azimuth", "elevation")]
    return (*found, *_against_truth(columns, decoded))


def _median(name: str, values: np.ndarray, decoded: Decoded, reason: str, unit: str | None = None) -> Finding:
    known = values[np.isfinite(values)]
    units = unit or {"median_field_size_deg": "degree", "median_frequency_cpd": "cycles/degree"}.get(name, "1")
    if len(known) < 2:
        return Finding(name, np.nan, units, len(known), reason=reason or "It is known of fewer than two neurons.")
    generator = generator_for(decoded.seed, "bootstrap over neurons")
    ranked = np.sort(known)
    medians = []
    for _ in range(max(1, min(decoded.n_resamples, MOST_RESAMPLES) // CHUNK)):
        below = np.cumsum(resample_counts(len(ranked), CHUNK, generator), axis=1)
        medians.append(ranked[np.argmax(below >= len(ranked) / 2, axis=1)])
    return Finding(name, float(np.median(known)), units, len(known), *percentile_interval(np.concatenate(medians)))


def _retinotopy(columns: Columns, place: str, reasons: Mapping[str, str], seed: int) -> Finding:
    """Rank correlation of a field's place on the screen with what the places of all other neurons let expect.

    The expectation is linear in the position in cortex, so that it does not matter how the cortex lay under the microscope.
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
    value, low, high = spearman_with_interval(_left_out(design, field), field)
    generator = generator_for(seed, f"permuted {name}")
    permuted = (generator.permutation(field) for _ in range(N_PERMUTATIONS))
    null = [spearman_with_interval(_left_out(design, other), other)[0] for other in permuted]
    return Finding(name, value, "1", n, low, high, *percentile_interval(np.array(null)), "neurons permuted")


def _left_out(design: Float[np.ndarray, "neuron term"], values: Float[np.ndarray, "neuron"]) -> Float[np.ndarray, "neuron"]:
    """Predict every value by linear regression on all others."""
    basis, _ = np.linalg.qr(design)
    leverage = np.minimum(np.einsum("nt,nt->n", basis, basis), 0.999)
    predicted: np.ndarray = (basis @ (basis.T @ values) - leverage * values) / (1 - leverage)
    return predicted


def compare_with_planted(columns: Columns, decoded: Decoded) -> dict[str, Float[np.ndarray, "neuron"]]:
    """Return the distance of every field's centre from the planted one, and the planted signal-to-noise ratio.

    Parameters
    ----------
    columns
        With ``field_row`` and ``field_column``.
    decoded
        Read for the truth of a simulation.

    Returns
    -------
    columns
        ``planted_centre_error_deg``, degrees, NaN where there is no field, and ``planted_signal_to_noise``; nothing where no
        truth is known.
    """
    truth, scale = decoded.recording.truth, decoded.recording.deg_per_pixel
    if truth is None or scale is None or "field_row" not in truth.planted:
        return {}
    error = scale * np.hypot(
        columns["field_row"] - truth.planted["field_row"], columns["field_column"] - truth.planted["field_column"]
    )
    return {"planted_centre_error_deg": error, "planted_signal_to_noise": truth.planted["signal_to_noise"]}


def _against_truth(columns: Columns, decoded: Decoded) -> tuple[Finding, ...]:
    """Median distance between estimated and planted centres of strongly tuned neurons, where a simulation tells."""
    truth, scale = decoded.recording.truth, decoded.recording.deg_per_pixel
    if truth is None or scale is None or "planted_centre_error_deg" not in columns:
        return ()
    error = columns["planted_centre_error_deg"]
    strong = truth.planted["signal_to_noise"] >= STRONG
    reason = f"No neuron has a signal-to-noise ratio of {STRONG:g}." if not strong.any() else ""
    found = _median("planted_centre_error_deg", error[strong], decoded, reason, "degree")
    if np.isnan(found.value):
        return (found,)
    # the same neurons' fields taken for one another's: what knowing nothing but the region gives
    generator = generator_for(decoded.seed, "exchanged fields")
    rows = np.flatnonzero(strong & np.isfinite(error))
    null = [
        np.median(
            scale
            * np.hypot(
                columns["field_row"][rows] - truth.planted["field_row"][other],
                columns["field_column"][rows] - truth.planted["field_column"][other],
            )
        )
        for other in (generator.permutation(rows) for _ in range(MOST_RESAMPLES))
    ]
    limits = percentile_interval(np.array(null))
    return (Finding(found.name, found.value, "degree", found.n, found.low, found.high, *limits, "fields of other neurons"),)
