"""Reads every number of one file of a run: JSON, CSV or NetCDF; prose, versions and hashes of weights are left out."""

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

LEFT_OUT = {"dina_version", "claim", "statistic", "question", "null", "notes", "warnings", "side", "label", "run"}
"""Keys of prose, versions and names of folders."""
WHETHER = {"reason", "stop_reason"}
"""Keys of sentences that may be put otherwise, but whose being there counts."""
FULL = 64  # numbers of an array that are kept one by one
SOME = 16  # numbers that are kept of a larger one


def numbers_of(path: Path) -> Iterator[tuple[str, Any]]:
    """Give the numbers of one file, each with its key."""
    if path.suffix == ".json":
        yield from _tree(json.loads(path.read_text(encoding="utf-8")), "")
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines)):
                yield from _tree({key: _number(text) for key, text in row.items()}, f"[{number}]")
    elif path.suffix == ".nc":
        with h5py.File(path) as file:
            yield from _group(file)


def _number(text: str) -> float | str | None:
    try:
        return float(text)
    except ValueError:
        return text or None


def _tree(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in WHETHER:
                yield f"{key}.{name}", "words" if inner else None
            elif name not in LEFT_OUT and not name.endswith(("_file", "_hash", "weights_sha256")):
                yield from _tree(inner, f"{key}.{name}")
    elif isinstance(value, list) and not any(isinstance(one, dict | list) for one in value):
        yield from _array(np.array(value, dtype=None if value else float), key)
    elif isinstance(value, list):
        # a list of named things is read by name, so that their order may change
        names = [one.get("name") if isinstance(one, dict) else None for one in value]
        are_keys = None not in names and len(set(names)) == len(names)
        for number, one in enumerate(value):
            yield from _tree(one, f"{key}[{names[number] if are_keys else number}]")
    else:
        yield key, value


def _group(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    for item in group.values():
        if isinstance(item, h5py.Group):
            yield from _group(item)
        elif not item.attrs.get("NAME", b"").startswith(b"This is a netCDF dimension but not"):
            yield from _array(
                np.asarray(item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]), f":{item.name[1:]}"
            )
    for name, value in group.attrs.items():
        if np.asarray(value).dtype.kind in "biuf" and not name.startswith("_"):
            yield from _array(np.asarray(value), f":{group.name[1:]}@{name}")


def _array(values: np.ndarray, key: str) -> Iterator[tuple[str, Any]]:
    if values.dtype.kind not in "biufc" or values.size <= FULL:
        small = values.size <= FULL
        yield key, values.tolist() if small else hashlib.sha256("\n".join(map(str, values.ravel())).encode()).hexdigest()
        return
    flat = np.nan_to_num(values.ravel().astype(float), nan=0.0, posinf=0.0, neginf=0.0)
    yield f"{key}#shape", list(values.shape)
    yield f"{key}#finite", int(np.isfinite(values.astype(float)).sum())
    yield f"{key}#sum", float(flat.sum())
    yield f"{key}#squares", float((flat**2).sum())
    yield f"{key}#some", flat[np.linspace(0, flat.size - 1, SOME).astype(int)].tolist()
