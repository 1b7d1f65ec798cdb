"""Saving aligned towers to a file, and loading them from it."""

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from dina.artifacts import write_json
from dina.checks import DataError, check_choice
from dina.data.standardise import Standardiser
from dina.training.aligned_towers import AlignedTowers, neuron_hash
from dina.training.presets import PRESETS, RecordingShape, build_towers
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
        content["neuron_hash"] = neuron_hash(towers.standardiser)
    sha256 = write_weights(target, tensors, content)
    write_json(target.with_suffix(".json"), {**content, "weights_file": target.name, "weights_sha256": sha256})


def load_towers(path: Path | str, towers: AlignedTowers | None = None) -> AlignedTowers:
    """Read towers that `save_towers` wrote.

    Parameters
    ----------
    path
        The .safetensors file.
    towers
        Built as they were when saved; needed only if they came from no preset.

    Raises
    ------
    DataError
        If the file is damaged, pickled or newer than this version, or does not fit the towers.
    """
    source = Path(path)
    tensors, content = read_weights(source)
    recipe = content.get("recipe")
    built = towers if recipe is None or towers is not None else _build_from_recipe(recipe)
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
        built.standardiser = Standardiser(tensors["standardiser.mean"].numpy(), tensors["standardiser.deviation"].numpy())
    return built.eval()


def _build_from_recipe(recipe: dict[str, Any]) -> AlignedTowers:
    preset = check_choice("preset", str(recipe.get("preset")), PRESETS)
    try:
        settings = PRESETS[preset].settings_type.model_validate(recipe.get("settings"))
        shape = RecordingShape(**recipe["shape"])
    except (ValidationError, KeyError, TypeError) as error:
        raise DataError(
            f"The settings of preset {preset!r} in this file are not those of this version of dina. Use the version that"
            " wrote it, or fit again."
        ) from error
    return build_towers(preset, settings, shape, seed=0)
