"""Weights and settings in one safetensors file that is written whole or not at all and whose every bit is checked."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from dina.artifacts import atomic_path, sha256_of
from dina.checks import DataError

FORMAT_VERSION = 1


def write_weights(path: Path, tensors: dict[str, Tensor], content: dict[str, Any]) -> str:
    """Write tensors of any device, and what is to be known about them (JSON without NaN), to one file; return its SHA-256.

    Raises
    ------
    DataError
        If ``path`` does not end in ``.safetensors``.
    """
    if path.suffix != ".safetensors":
        raise DataError(f"Weights are written as a .safetensors file; got {path.name!r}.")
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    description = json.dumps(content, sort_keys=True, allow_nan=False)
    header = {"dina_format": FORMAT_VERSION, "sha256": _digest(stored, description), "content": description}
    # one metadata entry only: the order of several is not fixed, and equal weights should give equal files
    metadata = {"dina": json.dumps(header, sort_keys=True)}
    with atomic_path(path) as temporary:
        try:
            save_file(stored, temporary, metadata)  # straight from memory: large models are not copied
        except SafetensorError as error:
            raise OSError(str(error)) from error
        return sha256_of(temporary)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_weights` wrote, after checking every byte; runs no code from the file.

    Raises
    ------
    DataError
        If the file is missing, is no safetensors file (a pickle is refused), was written by a newer version, or has
        changed since it was written.
    """
    if not path.is_file():
        raise DataError(f"Weights must be in a file; {path} does not exist. Check the path.")
    payload = path.read_bytes()  # read once: the same bytes are checked and used
    if payload[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or path.suffix != ".safetensors":
        raise DataError(
            f"{path.name} must be a .safetensors file; pickled files (.pt, .pth, .pkl) are refused because they can run"
            " code. Save the model again from dina."
        )
    header = _read_header(path, payload)
    version = header.get("dina_format")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise DataError(f"{path.name} has format {version}; this version of dina reads up to {FORMAT_VERSION}. Upgrade dina.")
    try:
        tensors: dict[str, Tensor] = load(payload)
    except (SafetensorError, ValueError, KeyError) as error:
        raise _changed(path) from error
    if header.get("sha256") != _digest(tensors, str(header.get("content"))):
        raise _changed(path)
    content = json.loads(header["content"])
    if not isinstance(content, dict):
        raise DataError(f"{path.name} must hold a description of a dina model; it holds {type(content).__name__}.")
    return tensors, content


def _read_header(path: Path, payload: bytes) -> dict[str, Any]:
    length = int.from_bytes(payload[:8], "little")
    text = payload[8 : 8 + length]
    # safetensors pads its header with spaces; anything else there is a change that it would overlook
    if len(payload) < 8 or length > len(payload) - 8 or not text.rstrip(b" ").endswith(b"}"):
        raise _changed(path)
    try:
        outer = json.loads(text)
        described = outer.get("__metadata__", {}).get("dina") if isinstance(outer, dict) else None
        header = json.loads(described) if isinstance(described, str) else None
    except (ValueError, RecursionError, AttributeError) as error:
        raise _changed(path) from error
    if not isinstance(header, dict):
        raise DataError(f"{path.name} holds no description of a dina model. Give a file that dina saved.")
    return header


def _digest(tensors: dict[str, Tensor], description: str) -> str:
    digest = hashlib.sha256(f"{FORMAT_VERSION}\n{description}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _changed(path: Path) -> DataError:
    return DataError(
        f"{path.name} must be as it was written; its checksum or structure does not fit, so it is damaged or cut short."
        " Use another copy, or fit again."
    )
