"""A made-up run with everything that the explorer can show, without towers and without a study."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from dina.analyses import PlainResult
from dina.artifacts import write_dataset, write_json
from dina.explorer.kept_maps import KEPT, STEP
from dina.signed_folder import write_checksums
from dina.study.run_directory import AnalysisRecord, Run
from report.fabricated_run import N_NEURONS, Fabrication, fabricate_run

CHANNELS = [f"energy {wavelength} px {angle}°" for wavelength in (4, 8) for angle in (0, 90)] + ["luminance", "odd- 8 px 0°"]
N_OCCLUDED = 6
LAYERS = ["block 1", "block 2", "all layers"]


def fabricate_explorable(folder: Path, like: Fabrication = Fabrication(), *, is_interpreted: bool = True) -> Path:
    """Write a finished run whose maps and responses are kept; return its path."""
    fabricate_run(folder, like)
    generator = np.random.default_rng(1)
    ids = np.arange(like.n_test) * 3
    write_json(folder / "identity.json", {})
    write_dataset(folder / KEPT, _kept(ids, generator))
    if is_interpreted:
        found = {
            "occlusion": _occlusion(ids, generator),
            "contributions": _contributions(ids, generator),
            "neuron_profiles": _profiles(like, generator),
            "layer_depth": _layers(generator),
        }
        run = Run(folder)
        for name, dataset in found.items():
            AnalysisRecord().write(run, name, PlainResult(dataset, ()))
        run.update_summary({"interpretation": {name: AnalysisRecord().to_json() for name in found}})
    write_checksums(folder)
    return folder


def _kept(ids: np.ndarray, generator: np.random.Generator) -> xr.Dataset:
    where, shape = ("image", "channel", "map_height", "map_width"), (len(ids), len(CHANNELS), 6, 20)
    image = np.clip(generator.normal(0, 10, shape), -127, 127)
    variables: dict[str, Any] = {
        "image_maps": (where, image.astype(np.int8)),
        "neural_maps": (where, np.clip(0.5 * image + generator.normal(0, 8, shape), -127, 127).astype(np.int8)),
        "response": (("image", "neuron"), generator.gamma(1.0, 2.0, (len(ids), N_NEURONS)).astype(np.float32)),
        "stimulus_id": (("image",), ids),
        "position_um": (("neuron", "axis"), generator.uniform(0, 800, (N_NEURONS, 3)).astype(np.float32)),
    }
    form = "posterior mean of the image's map, given the response"
    facts = {
        "form": form,
        "step": STEP,
        "block_rows": 2,
        "block_columns": 2,
        "score_units": "nat",
        "beside": "pixels, whole image",
    }
    return xr.Dataset(variables, {"channel": CHANNELS}, facts)


def _occlusion(ids: np.ndarray, generator: np.random.Generator) -> xr.Dataset:
    variables: dict[str, Any] = {
        "score_loss": (("sweep", "image", "row", "column"), generator.normal(0.2, 0.4, (2, N_OCCLUDED, 5, 12))),
        "stimulus_id": (("image",), ids[:: len(ids) // N_OCCLUDED][:N_OCCLUDED]),
        "deviation_px": (("sweep",), np.array([2.0, 4.0])),
        "fill": (("sweep",), np.array(["mean", "blur"], dtype=object)),
    }
    return xr.Dataset(variables, {"sweep": ["small", "medium"]})


def _contributions(ids: np.ndarray, generator: np.random.Generator) -> xr.Dataset:
    queries = np.repeat(ids, 2)
    by_neuron = {name: ("neuron", generator.normal(0.1, 0.2, N_NEURONS)) for name in ("contribution", "shapley")}
    by_neuron["contribution_error"] = ("neuron", np.full(N_NEURONS, 0.05))
    lost = generator.normal(0, 0.3, (2, len(queries), N_NEURONS)).astype(np.float32)
    facts = {"treatment": "removed", "units": "nat", "queries": "single_trial"}
    dataset = xr.Dataset(by_neuron, {"lost_by": ["removed", "silenced"], "stimulus_id": ("query", queries)}, facts)
    for name in by_neuron:
        dataset[name].attrs["units"] = "nat"
    dataset["margin_lost"] = (("lost_by", "query", "neuron"), lost)
    return dataset


def _profiles(like: Fabrication, generator: np.random.Generator) -> xr.Dataset:
    height, width = like.thumbnail[:2]
    columns = {
        "reliability": generator.uniform(0, 1, N_NEURONS),
        "signal_to_noise": generator.uniform(0, 3, N_NEURONS),
        "field_row": generator.uniform(0, height - 1, N_NEURONS),
        "field_column": generator.uniform(0, width - 1, N_NEURONS),
        "field_size": np.where(np.arange(N_NEURONS) % 3 == 0, np.nan, 3.0),
        "orientation_deg": generator.uniform(0, 180, N_NEURONS),
        "frequency": generator.uniform(0.05, 0.25, N_NEURONS),
        "fit_correlation": np.where(np.arange(N_NEURONS) % 4 == 1, -0.1, generator.uniform(0.3, 0.8, N_NEURONS)),
    }
    units = {"field_row": "pixel", "field_column": "pixel", "field_size": "pixel", "orientation_deg": "degree"}
    variables = {name: ("neuron", values, {"units": units.get(name, "1")}) for name, values in columns.items()}
    return xr.Dataset(variables, attrs={"image_height": height, "image_width": width})


def _layers(generator: np.random.Generator) -> xr.Dataset:
    some = np.arange(0, N_NEURONS, 2)
    where, shape = ("layer", "neuron"), (len(LAYERS), len(some))
    gains = {name: (where, generator.normal(0.05, 0.03, shape)) for name in ("gain", "gain_permuted")}
    return xr.Dataset({**gains, "neuron_index": ("neuron", some)}, {"layer": LAYERS})
