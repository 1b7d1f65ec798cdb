"""What the explorer shows of single neurons: field, tuning, best images, layer profile and contributions."""

import math
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from dina.explorer.chance import chance_of_fit, usual_range
from dina.study.run_directory import Run

N_CONTRIBUTING = 20  # neurons listed for an image
N_BEST = 5  # images listed for a neuron
# Column → words; units stand in the tables that they come from.
COLUMNS = {
    "contribution": "contribution to decoding",
    "contribution_error": "its standard error over images",
    "training_contribution": "contribution on training images",
    "shapley": "Shapley value",
    "reliability": "reliability over repeats",
    "signal_to_noise": "signal-to-noise ratio",
    "mean_response": "mean response",
    "lifetime_sparseness": "lifetime sparseness",
    "orientation_deg": "orientation of the preferred bars",
    "orientation_selectivity": "orientation selectivity",
    "frequency_cpd": "preferred spatial frequency",
    "frequency": "preferred spatial frequency, by pixels",
    "field_azimuth_deg": "azimuth of the field",
    "field_elevation_deg": "elevation of the field",
    "field_size_deg": "size of the field (standard deviation)",
    "field_row": "row of the field",
    "field_column": "column of the field",
    "field_size": "size of the field (standard deviation), in pixels",
    "fit_correlation": "correlation of the fitted field with other images",
    "position_x_um": "place in cortex, x",
    "position_y_um": "place in cortex, y",
    "position_depth_um": "depth in cortex",
}
SHOWN_UNITS = {
    "1": "",
    "arbitrary": "",
    "um": "µm",
    "degree": "°",
    "nat": "nat",
    "pixel": "px",
    "cycles/degree": "cycles/°",
    "cycles/pixel": "cycles/px",
}
NEXT = {
    "no_profiles": "Fields and tuning were not computed yet. Next: dina interpret RUN neuron_profiles",
    "no_contributions": "Contributions were not computed yet. Next: dina interpret RUN contributions",
    "no_layers": "Layer profiles were not computed. On request: dina interpret RUN layer_depth",
}


def describe_neurons(
    run: Run,
    kept: xr.Dataset,
    gallery: Int[np.ndarray, "gallery"],
    ids: Int[np.ndarray, "stimulus"],
    n_most: int | None,
    left_out: list[str],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return facts and arrays of neurons, and of images that can be chosen (``ids``) what each neuron does for them.

    Parameters
    ----------
    run, kept
        The run, and its kept maps and responses.
    gallery, ids
        Of all test images, and of those that can be chosen.
    n_most
        Most neurons shown, those that contribute most, else the most reliable; None for all.
    left_out
        Gets a sentence where neurons are left out.
    """
    profiles, contributions, layers = (_arrays(run, name) for name in ("neuron_profiles", "contributions", "layer_depth"))
    table, units = _table(run, kept, profiles, contributions)
    n_neurons = kept.sizes["neuron"]
    chosen = _choose(table, n_neurons, n_most)
    if len(chosen) < n_neurons:
        left_out.append(
            f"{len(chosen):,} of {n_neurons:,} neurons are here, those that contribute most or are the most reliable."
        )
    facts: dict[str, Any] = {
        "columns": [{"name": name, "words": COLUMNS[name], "units": SHOWN_UNITS.get(units[name], units[name])} for name in table],
        "n_neurons": n_neurons,
    }
    arrays = {"neurons": chosen.astype(np.int32), "columns": np.array([table[name][chosen] for name in table], dtype=np.float32)}
    arrays["columns"] = arrays["columns"].reshape(len(table), len(chosen))
    for missing, name, found in (
        ("no_profiles", "neuron_profiles", profiles),
        ("no_contributions", "contributions", contributions),
        ("no_layers", "layer_depth", layers),
    ):
        record = run.interpretation.get(name)
        if found is None:
            facts[missing] = NEXT[missing] if record is None else str(record.reason)
    if profiles is not None:
        highest = chance_of_fit(int(run.summary.get("split", {}).get("n_validation", 0)))
        facts |= {} if math.isnan(highest) else {"fit_chance": highest}
        facts |= {"field_height": int(profiles.attrs["image_height"]), "field_width": int(profiles.attrs["image_width"])}
    arrays |= _responses(kept, gallery, ids, chosen)
    if contributions is not None:
        facts["contribution_units"] = SHOWN_UNITS.get(str(contributions.attrs["units"]), "")
        chance, losses = _contributing(contributions, ids, chosen)
        facts |= chance
        arrays |= losses
    if layers is not None:
        facts["layers"] = [str(name) for name in layers["layer"].to_numpy()]
        arrays |= _layer_profiles(layers, chosen)
    return facts, arrays


def _arrays(run: Run, name: str) -> xr.Dataset | None:
    record = run.interpretation.get(name)
    return None if record is None else record.dataset


def _table(
    run: Run, kept: xr.Dataset, profiles: xr.Dataset | None, contributions: xr.Dataset | None
) -> tuple[dict[str, Float[np.ndarray, "neuron"]], dict[str, str]]:
    """Return the columns that are known of any neuron, and their units, from the most precise source that there is."""
    table, units = {}, {}
    for source in (contributions, profiles, run.quality):
        for name in COLUMNS:
            if source is None or name in table or name not in source or source[name].dims != ("neuron",):
                continue
            if np.isfinite(source[name].to_numpy()).any():
                table[name], units[name] = source[name].to_numpy(), str(source[name].attrs.get("units", "1"))
    if "position_um" in kept:
        for axis, name in enumerate(("position_x_um", "position_y_um", "position_depth_um")):
            table.setdefault(name, kept["position_um"].to_numpy()[:, axis])
            units[name] = "um"
    return {name: table[name] for name in COLUMNS if name in table}, units


def _choose(table: dict[str, np.ndarray], n_neurons: int, n_most: int | None) -> Int[np.ndarray, "neuron"]:
    if n_most is None or n_neurons <= n_most:
        return np.arange(n_neurons)
    by = next((table[name] for name in ("contribution", "reliability", "mean_response") if name in table), np.zeros(n_neurons))
    return np.sort(np.argsort(-np.nan_to_num(by, nan=-np.inf), kind="stable")[:n_most])


def _responses(kept: xr.Dataset, gallery: np.ndarray, ids: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Return the best images of each neuron among all test images, and its responses in 256 steps from the least to the most."""
    response = kept["response"].to_numpy()[:, chosen]
    order = np.argsort(-response, axis=0, kind="stable")[:N_BEST]
    low, high = response.min(axis=0), response.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    responded = kept["stimulus_id"].to_numpy()
    row, place = ({int(number): at for at, number in enumerate(numbers)} for numbers in (responded, gallery))
    rows = [row.get(int(number), -1) for number in ids]
    places = np.array([place.get(int(number), -1) for number in responded], dtype=np.int32)
    steps = np.rint(255 * (response - low) / span).astype(np.uint8)
    return {
        "best_images": places[order].T,
        "best_responses": np.take_along_axis(response, order, axis=0).T.astype(np.float32),
        "response_range": np.stack([low, high], axis=1).astype(np.float32),
        "responses": steps.T,  # to all test images
        "response_row": np.array(rows, dtype=np.int32),
    }


def _contributing(contributions: xr.Dataset, ids: np.ndarray, chosen: np.ndarray) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return for each image the neurons without which most of its margin is lost, mean over its trials; -1 where there are fewer.

    Beside them: what is lost without each neuron for most of the images, and how many neurons each image needs more than that.
    """
    lost = contributions["margin_lost"].sel(lost_by=contributions.attrs["treatment"]).to_numpy()[:, chosen]
    of_query = contributions["stimulus_id"].to_numpy()
    means: dict[int, np.ndarray] = {}
    for number in np.unique(of_query):
        rows = lost[of_query == number]
        rows = rows[~np.isnan(rows).all(axis=1)]
        if len(rows):
            means[int(number)] = rows.mean(axis=0, dtype=np.float64)
    usual, share = usual_range(np.array(list(means.values())).reshape(len(means), len(chosen)))
    most = min(N_CONTRIBUTING, len(chosen))
    neurons, margins = np.full((len(ids), most), -1, np.int32), np.full((len(ids), most), np.nan, np.float32)
    n_above = np.zeros(len(ids), dtype=np.int32)
    for place, mean in ((place, means.get(int(number))) for place, number in enumerate(ids)):
        if mean is None:
            continue
        order = [at for at in np.argsort(-np.nan_to_num(mean, nan=-np.inf), kind="stable")[:most] if np.isfinite(mean[at])]
        neurons[place, : len(order)], margins[place, : len(order)] = order, mean[order]
        n_above[place] = (mean.astype(np.float32) > usual[1]).sum()
    facts = {} if math.isnan(share) else {"margin_chance": share, "n_contributing_images": len(means)}
    return facts, {"contributing": neurons, "margin_lost": margins, "usual_margin": usual.T.copy(), "n_above": n_above}


def _layer_profiles(layers: xr.Dataset, chosen: np.ndarray) -> dict[str, np.ndarray]:
    place = {int(number): at for at, number in enumerate(layers["neuron_index"].to_numpy())}
    rows = np.array([place.get(int(number), -1) for number in chosen], dtype=np.int32)
    return {
        "layer_row": rows,
        "layer_gain": layers["gain"].to_numpy().T.astype(np.float32),
        "layer_gain_permuted": layers["gain_permuted"].to_numpy().T.astype(np.float32),
    }
