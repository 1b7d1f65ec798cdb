"""Read a .npy file as numbers only: no Python objects, no size that the file does not back."""

from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Shaped

from dina.checks import DataError


def read_npy(path: Path) -> Shaped[np.ndarray, "..."]:
    """Return the array of a .npy file, mapped from disk and read-only.

    The header is read first, and its claim compared with the size of the file, before anything is allocated.

    Raises
    ------
    DataError
        If there is no such file, it is no .npy file, holds Python objects or records, or was cut off.
    """
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.npy")) if path.parent.is_dir() else []
        raise DataError(f"{path} not found; {path.parent} holds {', '.join(near) or 'no .npy file'}. Check the name.")
    if path.suffix == ".npz":
        raise DataError(f"{path.name} is a .npz archive; one array per .npy file is expected. Save each array with np.save.")
    size = path.stat().st_size
    with path.open("rb") as stream:
        shape, dtype = _read_header(path, stream)
        begin = stream.tell()
    if dtype.hasobject:
        raise DataError(
            f"{path.name} contains Python objects; they are refused, since loading them runs code. Save numbers, as float32."
        )
    if dtype.kind not in "biufcUS":
        raise DataError(f"{path.name} has dtype {dtype}; plain numbers are expected. Save each field as an array of its own.")
    claimed = begin + prod(shape) * dtype.itemsize
    if claimed != size:
        verb = "was cut off" if claimed > size else "holds more than it claims"
        raise DataError(
            f"{path.name} {verb}: shape {shape} of {dtype} needs {claimed} bytes, the file has {size}. Save or copy it again."
        )
    if not prod(shape):
        raise DataError(f"{path.name} is empty: shape {shape}. Check what was saved.")
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _read_header(path: Path, stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(stream, max_header_size=10_000)
    except Exception as error:  # numpy answers a broken header with errors of many kinds
        raise DataError(f"{path.name} is no .npy file: its header cannot be read. Save the array again with np.save.") from error
    return tuple(int(n) for n in shape), dtype
