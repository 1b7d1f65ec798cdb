"""Vision transformers from a folder on this machine (ViT, DINO, DINOv2, CLIP …) as frozen encoders; nothing is downloaded."""

import inspect
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from dina.checks import DataError
from dina.models.towers.image.frozen_network import FrozenNetwork
from dina.models.towers.tower import MapShape

Output = Literal["map", "vector"]
POOLER = "pooler"  # what transformers call the part that makes a summary of all tokens


def read_vision_model(folder: Path, image_shape: MapShape, layer: int = -1, output: Output = "map") -> FrozenNetwork:
    """Read a model of the ``transformers`` package from a folder, for images of one shape.

    Images keep their aspect: they are resized to about as many patches as the model was trained on, and position
    encodings are interpolated, where the model can do that; else to the square that the model expects.

    The folder holds ``config.json`` and ``model.safetensors``; weights in other formats, and code, are not read. ``layer`` counts
    hidden layers: 0 for the patches before the first, 1 after the first …, −1 after the last. The ``output`` "map" is the tokens of
    the patches in their places, "vector" one vector for the whole image: after the last layer the model's own summary (CLIP's
    joint space), or its class token where there is none; else the mean over patches.

    Raises
    ------
    DataError
        If ``transformers`` is not installed, the folder holds no such model or not all of its weights, or the layer does
        not exist.
    """
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise DataError(
            "A frozen encoder from a folder needs the package transformers; it is not installed. Install the extra in the folder of"
            " dina's source: pip install -e '.[encoders]', or set encoder to 'gabor'."
        ) from error
    if not (folder / "config.json").is_file():
        raise DataError(
            f"The setting encoder must name a folder with config.json and model.safetensors; {folder} has no config.json. Save"
            " the model there with save_pretrained."
        )
    try:
        model, told = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{folder.name} cannot be read as a vision model: {error} Save it with save_pretrained.") from error
    _drop_drawn(model, told["missing_keys"], folder)
    wrapped = _Tokens(model, layer, output, folder)
    _, height, width = image_shape
    size = _input_size(wrapped, height, width)
    return FrozenNetwork(wrapped, "", size, *_shift_and_scale(folder))


def _drop_drawn(model: nn.Module, missing: Iterable[str], folder: Path) -> None:
    """Drop a summary (pooler) whose weights are not in the folder; refuse any other part that was drawn at random."""
    others = sorted(name for name in missing if POOLER not in name.split("."))
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise DataError(
            f"{folder.name} must hold every weight of its model; it lacks {others[0]}{more}. Save the whole model that was trained"
            " with save_pretrained."
        )
    for name in missing:
        parts = name.split(".")
        setattr(model.get_submodule(".".join(parts[: parts.index(POOLER)])), POOLER, None)


class _Tokens(nn.Module):
    """A vision transformer whose tokens are put back into their places."""

    def __init__(self, model: nn.Module, layer: int, output: Output, folder: Path) -> None:
        super().__init__()
        # a model of images and words keeps its image part under this name
        part = getattr(model, "vision_model", model)
        settings: Any = part.config
        n_layers = getattr(settings, "num_hidden_layers", None)
        if n_layers is None or getattr(settings, "patch_size", None) is None:
            raise DataError(
                f"{folder.name} is no vision transformer: its settings name no patch_size or num_hidden_layers. Take a ViT, DINO,"
                " DINOv2 or CLIP model, or wrap the network in a FrozenNetwork in Python."
            )
        if not -n_layers - 1 <= layer <= n_layers:
            raise DataError(f"layer must be between {-n_layers - 1} and {n_layers} for {folder.name}; got {layer}.")
        self.part = part
        self.projection = getattr(model, "visual_projection", None)
        self.layer = layer % (n_layers + 1)
        self.is_last = self.layer == n_layers
        self.output = output
        self.reading = f"hidden layer {self.layer}, {output}"
        self.patch, self.side = int(settings.patch_size), int(settings.image_size)
        known = inspect.signature(part.forward).parameters
        self.options = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in known else {}
        # DINOv2 interpolates without being asked
        self.is_any_size = bool(self.options) or str(settings.model_type).startswith("dinov2")

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature rows columns"]:
        found = self.part(pixel_values=pixels, output_hidden_states=True, **self.options)
        rows, columns = pixels.shape[2] // self.patch, pixels.shape[3] // self.patch
        if self.output == "vector" and self.is_last and getattr(found, "pooler_output", None) is not None:
            summary: Tensor = found.pooler_output
            return (summary if self.projection is None else self.projection(summary))[:, :, None, None]
        tokens: Tensor = found.last_hidden_state if self.is_last else found.hidden_states[self.layer]
        # class and register tokens come first
        if self.output == "vector" and self.is_last and tokens.shape[1] > rows * columns:
            return tokens[:, 0, :, None, None]
        maps = tokens[:, -rows * columns :].transpose(1, 2).reshape(len(tokens), -1, rows, columns)
        return maps if self.output == "map" else maps.mean((2, 3), keepdim=True)


def _input_size(model: _Tokens, height: int, width: int) -> tuple[int, int]:
    """Return the size with the aspect of the images and about as many patches as the model was trained on."""
    if not model.is_any_size:
        return model.side, model.side
    along = model.side / model.patch
    stretch = math.sqrt(height / width)
    rows, columns = max(1, round(along * stretch)), max(1, round(along / stretch))
    return rows * model.patch, columns * model.patch


def _shift_and_scale(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of pixels as the model's own preparation has them; one half each where it has none."""
    path = folder / "preprocessor_config.json"
    told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    mean, deviation = told.get("image_mean", [0.5]), told.get("image_std", [0.5])
    return tuple(float(value) for value in mean), tuple(float(value) for value in deviation)
