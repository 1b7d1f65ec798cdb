"""Small files in exactly the schema of the Stringer et al. 2018 deposit, as MATLAB 5 and as MATLAB 7.3."""

from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import scipy.io

Version = Literal["5", "7.3"]


def write_session(
    path: Path,
    responses: np.ndarray,
    istim: np.ndarray,
    spontaneous: np.ndarray | None = None,
    positions: np.ndarray | None = None,
    red: np.ndarray | None = None,
    version: Version = "5",
) -> Path:
    """Write a session: ``istim`` is 1-based and holds the grey screen as its largest value, as the deposit does."""
    n_neurons = responses.shape[1]
    stim: dict[str, Any] = {"resp": responses, "istim": np.asarray(istim, dtype=np.float64).reshape(-1, 1)}
    if spontaneous is not None:
        stim["spont"] = spontaneous
    positions = np.zeros((n_neurons, 3)) if positions is None else positions
    flags = np.zeros(n_neurons) if red is None else np.asarray(red)
    stat = [
        {"npix": np.array([[30.0]]), "redcell": np.array([[flag]], dtype=bool), "redprob": np.array([[0.5]])} for flag in flags
    ]
    if red is None:
        for cell in stat:
            del cell["redcell"], cell["redprob"]
    content = {"stim": stim, "med": positions, "stat": stat, "db": {"mouse_name": "M0", "date": "2017-01-01"}}
    return write_mat(path, content, version)


def write_images(path: Path, images: np.ndarray, version: Version = "5") -> Path:
    """Write images (n_stimuli, height, width) as ``imgs`` (height, width, n_stimuli)."""
    return write_mat(path, {"imgs": np.moveaxis(images, 0, -1)}, version)


def write_labels(path: Path, classes: np.ndarray, names: list[str], version: Version = "5") -> Path:
    """Write manual classes: one number per image, 0 for unknown, and the name of each number."""
    cells = np.empty((1, len(names)), dtype=object)
    cells[0] = names
    return write_mat(path, {"class_assignment": np.asarray(classes, dtype=np.uint8)[None], "class_names": cells}, version)


def write_mat(path: Path, content: dict[str, Any], version: Version) -> Path:
    """Write dictionaries as structs, lists of dictionaries as arrays of structs, object arrays as cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if version == "5":
        scipy.io.savemat(path, {name: _version_5(value) for name, value in content.items()}, do_compression=True)
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            _write_7_3(file, name, value, file)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, written by a test".ljust(124) + b"\x00\x02IM")
    return path


def _version_5(value: Any) -> Any:
    if isinstance(value, list):  # an array of structs, 1 x n
        names = list(value[0])
        out = np.empty((1, len(value)), dtype=[(name, object) for name in names])
        for i, item in enumerate(value):
            out[0, i] = tuple(item[name] for name in names)
        return out
    return {name: _version_5(item) for name, item in value.items()} if isinstance(value, dict) else value


def _write_7_3(group: h5py.Group, name: str, value: Any, file: h5py.File) -> None:
    if isinstance(value, dict):
        child = group.create_group(name)
        child.attrs["MATLAB_class"] = np.bytes_("struct")
        for key, item in value.items():
            _write_7_3(child, key, item, file)
    elif isinstance(value, list):
        child = group.create_group(name)
        child.attrs["MATLAB_class"] = np.bytes_("struct")
        for key in value[0]:
            child[key] = _references([item[key] for item in value], file)
    elif isinstance(value, str):
        group[name] = np.array([[ord(letter)] for letter in value], dtype=np.uint16)
        group[name].attrs["MATLAB_class"] = np.bytes_("char")
    elif value.dtype == object:
        group[name] = _references(list(value.ravel()), file)
        group[name].attrs["MATLAB_class"] = np.bytes_("cell")
    else:
        stored = value.astype(np.uint8) if value.dtype == bool else value
        group.create_dataset(name, data=stored.T, compression="gzip" if stored.size > 8 else None)
        group[name].attrs["MATLAB_class"] = np.bytes_("logical" if value.dtype == bool else "double")


def _references(items: list[Any], file: h5py.File) -> np.ndarray:
    store = file.require_group("#refs#")
    names = []
    for item in items:
        names.append(f"r{len(store)}")
        _write_7_3(store, names[-1], item, file)
    return np.array([[store[name].ref] for name in names], dtype=h5py.ref_dtype)
