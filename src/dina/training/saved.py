"""Saving aligned towers to a file, and loading them from it."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from dina.artifacts import write_json
from dina.checks import DataError
from dina.data.response_transform import IDENTITY, ResponseTransform
from dina.data.standardise import Standardiser
from dina.recordings.pictures import MAX_PIXELS
from dina.training.aligned_towers import AlignedTowers, neuron_hash
from dina.training.presets import PRESETS, Preset, RecordingShape, build_towers, find_preset, name_of
from dina.weights import read_weights, write_weights


def save_towers(towers: AlignedTowers, path: Path | str) -> None:
    """Write all weights and the recipe to ``path`` (.safetensors), atomically, with a readable .json beside it.

    The safetensors file alone is enough for `load_towers`; the JSON repeats the description in it, and adds its checksum.
    """
    target = Path(path)
    tensors = {f"towers.{name}": tensor for name, tensor in towers.state_dict().items()}
    content: dict[str, Any] = {"recipe": towers.recipe, "map_shape": list(towers.image_tower.map_shape)}
    content |= {"n_neurons": towers.neural_tower.n_neurons, "image_shape": list(towers.image_tower.image_shape)}
    if towers.standardiser is not None:
        mean, deviation = (torch.from_numpy(a) for a in (towers.standardiser.mean, towers.standardiser.deviation))
        tensors |= {"standardiser.mean": mean, "standardiser.deviation": deviation}
        transform = towers.standardiser.transform
        power, offset = (torch.from_numpy(np.array(values)) for values in (transform.power, transform.offset))
        tensors |= {"standardiser.power": power, "standardiser.offset": offset}
        content["response_transform"] = {"name": transform.name, "mean_root": transform.mean_root}
        content["neuron_hash"] = neuron_hash(towers.standardiser)
    sha256 = write_weights(target, tensors, content)
    write_json(target.with_suffix(".json"), {**content, "weights_file": target.name, "weights_sha256": sha256})


def load_towers(
    path: Path | str, towers: AlignedTowers | None = None, preset: Preset[Any, Any, Any] | None = None
) -> AlignedTowers:
    """Read towers that `save_towers` wrote.

    Parameters
    ----------
    path
        The .safetensors file.
    towers
        Built as they were when saved; needed only if they came from no preset.
    preset
        The preset that built them; needed only if it is one of your own.

    Raises
    ------
    DataError
        If the file is damaged, pickled or newer than this version, does not fit the towers, or needs a preset of your own.
    """
    source = Path(path)
    tensors, content = read_weights(source)
    recipe = content.get("recipe")
    n_stored = sum(map(torch.numel, tensors.values()))
    built = towers if recipe is None or towers is not None else _build_from_recipe(recipe, n_stored, preset)
    if built is None:
        raise DataError(f"{source.name} holds towers of no preset; pass towers= built as they were when saved.")
    n_neurons = built.neural_tower.n_neurons
    if n_neurons != content.get("n_neurons"):
        raise DataError(f"{source.name} was trained on {content.get('n_neurons')} neurons; these towers take {n_neurons}.")
    state = {name.removeprefix("towers."): tensor for name, tensor in tensors.items() if name.startswith("towers.")}
    try:
        built.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"{source.name} does not fit these towers; build them with the settings they were saved with.") from error
    if "standardiser.mean" in tensors:
        mean, deviation = (tensors[f"standardiser.{name}"].numpy() for name in ("mean", "deviation"))
        built.standardiser = Standardiser(mean, deviation, _read_transform(tensors, content))
    return built.eval()


def _read_transform(tensors: Mapping[str, torch.Tensor], content: Mapping[str, Any]) -> ResponseTransform:
    """Return the transform of responses; files of older versions hold none, and their towers read responses as they are."""
    if "standardiser.power" not in tensors:
        return IDENTITY
    known = content.get("response_transform")
    known = known if isinstance(known, dict) else {}
    power, offset = (tensors[f"standardiser.{name}"].numpy() for name in ("power", "offset"))
    return ResponseTransform(str(known.get("name")), power, offset, known.get("mean_root"))


def _build_from_recipe(recipe: Any, n_stored: int, own: Preset[Any, Any, Any] | None) -> AlignedTowers:
    """Build towers as they were when saved; a file of ``n_stored`` numbers cannot hold those of more neurons."""
    if not isinstance(recipe, dict):
        raise DataError(f"The recipe of towers must be an object; this file holds {type(recipe).__name__}. Fit again.")
    name = str(recipe.get("preset"))
    if name not in PRESETS and own is None:
        raise DataError(f"These towers were built by {name!r}, which is no preset of dina. Give it as an object with preset=.")
    preset = name if own is None else own
    if name_of(preset) != name:
        raise DataError(f"These towers were built by the preset {name!r}; got {name_of(preset)!r}. Give the one that built them.")
    try:
        settings = find_preset(preset).settings_type.model_validate(recipe.get("settings"))
        shape = RecordingShape(**{axis: int(size) for axis, size in recipe["shape"].items()})
    except (ValidationError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(
            f"The settings of preset {name!r} in this file are not those of this version of dina. Use the version that"
            " wrote it, or fit again."
        ) from error
    if not 0 < shape.n_neurons <= n_stored or min(shape.image) < 1 or prod(shape.image) > MAX_PIXELS:
        raise DataError(
            f"Towers of {shape.n_neurons} neurons for images of {shape.image} cannot lie in a file of {n_stored} numbers. Fit again."
        )
    return build_towers(preset, settings, shape, seed=0)
