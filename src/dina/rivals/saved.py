"""Save a fitted baseline, and load it elsewhere to score other responses: arrays and plain values, no code."""

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from dina.checks import DataError
from dina.rivals import BASELINES, Baseline
from dina.weights import read_weights, write_weights

MODULES = (
    "dina.rivals.canonical_correlation",
    "dina.rivals.cebra",
    "dina.rivals.encoding_identification",
    "dina.rivals.encoding_network",
    "dina.rivals.front_ends",
    "dina.rivals.gabor_components",
    "dina.rivals.gabor_pyramid",
    "dina.rivals.generic_decoding",
    "dina.rivals.ideal_observer",
    "dina.rivals.image_components",
    "dina.rivals.kay2008",
    "dina.rivals.nearest_repeat",
    "dina.rivals.partial_least_squares",
    "dina.rivals.reduced_rank",
    "dina.rivals.response_components",
    "dina.rivals.ridge",
    "dina.data.standardise",
    "dina.models.global_ridge",
    "dina.models.local_ridge",
    "dina.models.noise_covariance",
    "dina.recordings.truth",
    "dina.models.towers.image.gabor_bank",
    "dina.models.towers.image.gabor_energy",
    "dina.models.towers.neural.shared_noise",
    "torch.nn.modules.container",
    "torch.nn.modules.conv",
)
"""Where the parts of baselines may come from: a file can name a class of these, and nothing else."""


def save_baseline(decoder: Baseline, path: Path) -> None:
    """Write a fitted baseline as one file of tensors, atomically.

    Parameters
    ----------
    decoder
        Fitted.
    path
        Ends in ``.safetensors``. Encoding models with large maps take hundreds of megabytes.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from dina.rivals.ridge import Ridge
    >>> with TemporaryDirectory() as folder:
    ...     save_baseline(Ridge(3), Path(folder) / "ridge.safetensors")
    ...     load_baseline(Path(folder) / "ridge.safetensors").seed
    3
    """
    tensors: dict[str, torch.Tensor] = {}
    parts = _describe(decoder, tensors)
    write_weights(Path(path), tensors, {"baseline": decoder.name, "parts": parts})


def load_baseline(path: Path) -> Baseline:
    """Read a baseline that `save_baseline` wrote; it scores as the one that was saved.

    Raises
    ------
    DataError
        If there is no such file, it is no saved baseline, is damaged, or was written by another version of dina.
    """
    tensors, content = read_weights(Path(path))
    try:
        if content["baseline"] not in BASELINES:
            raise KeyError(content["baseline"])
        return cast(Baseline, _build(content["parts"], tensors))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} must hold a baseline that this version of dina knows; it does not ({error}). Fit it again, or open towers"
            " with AlignedTowers.load."
        ) from error


def _describe(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return what JSON can hold of a value; its arrays go to ``tensors``."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"kind": "number", "value": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor | np.ndarray | bytes):
        name = str(len(tensors))
        if isinstance(value, bytes):
            value = np.frombuffer(value, np.uint8)
            kind = "bytes"
        else:
            kind = "tensor" if isinstance(value, torch.Tensor) else "array"
        kind = "parameter" if isinstance(value, nn.Parameter) else kind
        tensor = torch.from_numpy(np.array(value, order="C")) if isinstance(value, np.ndarray) else value.detach()
        tensors[name] = tensor.cpu().clone(memory_format=torch.contiguous_format)
        return {"kind": kind, "tensor": name}
    if isinstance(value, Mapping):
        return {"kind": "mapping", "items": [[_describe(key, tensors), _describe(each, tensors)] for key, each in value.items()]}
    if type(value) in (list, tuple):
        return {"kind": type(value).__name__, "items": [_describe(each, tensors) for each in value]}
    own = value._asdict() if isinstance(value, tuple) else vars(value)  # type: ignore[attr-defined]  # a named tuple
    if type(value).__module__ not in MODULES:
        raise TypeError(
            f"A part of a baseline must come from the modules named in {__name__}; got {type(value).__module__}.{type(value).__name__}."
        )
    if isinstance(value, nn.Module):
        plain = {name: each for name, each in own.items() if name not in vars(nn.Module())}
        own = {**plain, **{name: dict(own[name]) for name in ("_parameters", "_buffers", "_modules")}}
        own["training"] = value.training
    return {
        "kind": "object",
        "module": type(value).__module__,
        "class": type(value).__name__,
        "own": {name: _describe(each, tensors) for name, each in own.items()},
    }


def _build(described: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """Undo `_describe`."""
    if not isinstance(described, dict):
        return described
    kind = described["kind"]
    if kind == "number":
        return float(described["value"])
    if kind in ("tensor", "parameter", "array", "bytes"):
        tensor = tensors[described["tensor"]]
        if kind == "tensor":
            return tensor
        return nn.Parameter(tensor) if kind == "parameter" else tensor.numpy() if kind == "array" else tensor.numpy().tobytes()
    if kind == "mapping":
        return {_build(key, tensors): _build(each, tensors) for key, each in described["items"]}
    if kind in ("list", "tuple"):
        items = [_build(each, tensors) for each in described["items"]]
        return tuple(items) if kind == "tuple" else items
    if kind != "object" or described["module"] not in MODULES:
        raise KeyError(f"{kind} {described.get('module', '')}")
    own = {name: _build(each, tensors) for name, each in described["own"].items()}
    found = getattr(importlib.import_module(described["module"]), described["class"])
    if not isinstance(found, type) or found.__module__ != described["module"]:
        raise TypeError(f"{described['class']} is no class of {described['module']}")
    if issubclass(found, tuple):
        return found(**own)
    made: Any = object.__new__(found)  # attributes are put in place; nothing of the class is carried out
    if isinstance(made, nn.Module):
        nn.Module.__init__(made)
    vars(made).update(own)
    return made
