"""Read numbers as stored: what a .npy file may hold, and how its values become the types of every later step."""

from math import prod
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import Float32, Int, Shaped

from dina.checks import DataError, check_numeric

_LARGEST_ID = 2**31  # far above any number of images; beyond it a float no longer counts in ones
# Largest array accepted, far above any recording and far below what exhausts a disk.
MAX_BYTES = 64 * 2**30

_READ_WHOLE = 2**20  # bytes of a .npy file; a folder can hold thousands of them, and mapping one takes longer than reading it


def to_float32(name: str, array: Shaped[np.ndarray, "..."], axes: tuple[str, ...]) -> Float32[np.ndarray, "..."]:
    """Return numbers of any width as float32; NaN and infinity pass unchanged. ``name`` and ``axes`` are for the message.

    Raises
    ------
    DataError
        If the values are not real numbers, or a finite value is too large for float32.
    """
    check_numeric(name, array)
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore"):  # an overflow is found below and named
        converted = array.astype(np.float32)
    if array.dtype.itemsize > 4 and converted.size and not np.isfinite(np.abs(converted.min()) + np.abs(converted.max())):
        overflow = np.isinf(converted) & np.isfinite(array)  # only now: a mask needs memory
        if overflow.any():
            first = np.unravel_index(int(np.argmax(overflow)), array.shape)
            where = ", ".join(f"{axis} {int(i)}" for axis, i in zip(axes, first, strict=False))
            raise DataError(
                f"{name} must fit into float32 (up to {np.finfo(np.float32).max:.1e}); got {array[first]:.3g} at {where} and"
                f" {int(overflow.sum()) - 1} more such values. Rescale them before reading."
            )
    return converted


def to_index(name: str, array: Shaped[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """Return whole numbers as int64; 3.0 is a whole number, 3.5 and NaN are not.

    Raises
    ------
    DataError
        If the values are not real numbers, not whole, or too large to count anything.
    """
    if array.dtype.kind in "USO":
        raise DataError(
            f"{name} must be whole numbers that count from 0; got dtype {array.dtype}. Write numbers; where the"
            " words are names of images, [names.index(word) for word in words], with the names in the order of the images."
        )
    check_numeric(name, array)
    if array.dtype.kind == "f":
        fractional = ~np.isfinite(array) | (array != np.round(array))
        if fractional.any():
            first = int(np.argmax(fractional))
            raise DataError(
                f"{name} must be whole numbers; got {array.flat[first]} at position {first}"
                f" ({int(fractional.sum())} of {array.size} are not whole). Check that this is the right array."
            )
    if array.size and (array.max() > _LARGEST_ID or array.min() < -_LARGEST_ID):  # before any cast can wrap around
        raise DataError(f"{name} must be below 2**31; got {array.max()}. Check that this is the right array.")
    return array.astype(np.int64, copy=False)


def read_npy(path: Path) -> Shaped[np.ndarray, "..."]:
    """Return the array of a .npy file, read-only, and mapped from disk unless it is small.

    The size that its header claims is compared with the size of the file before anything is allocated.

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
        shape, order, dtype = _read_header(path, stream)
        begin = stream.tell()
        content = stream.read(_READ_WHOLE + 1) if size <= _READ_WHOLE else None
    if dtype.hasobject:
        raise DataError(f"{path.name} contains Python objects; they are refused, since loading them runs code. Save numbers.")
    if dtype.kind not in "biufcUS":
        raise DataError(f"{path.name} has dtype {dtype}; plain numbers are expected. Save each field as an array of its own.")
    claimed = begin + prod(shape) * dtype.itemsize
    if claimed != size:
        verb = "was cut off" if claimed > size else "holds more than it claims"
        raise DataError(f"{path.name} {verb}: shape {shape} of {dtype} needs {claimed} bytes, it has {size}. Copy it again.")
    if claimed > MAX_BYTES:  # a file with holes can be as large as it claims and hold nothing
        found = f"shape {shape} of {dtype} is {claimed / 2**30:.0f} GiB"
        raise DataError(f"{path.name} must be at most {MAX_BYTES // 2**30} GiB; {found}. Save a part of it.")
    if not prod(shape):
        raise DataError(f"{path.name} is empty: shape {shape}. Check what was saved.")
    if content is not None and len(content) == size - begin:
        return np.ndarray(shape, dtype, content, order=order)
    return np.asarray(np.memmap(path, dtype, "r", begin, shape, order))


def _read_header(path: Path, stream: BinaryIO) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"version {version} is unknown")
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = reader(stream, max_header_size=10_000)
    except Exception as error:  # numpy answers a broken header with errors of many kinds
        raise DataError(f"{path.name} is no .npy file: its header cannot be read. Save the array again with np.save.") from error
    if any(n < 0 for n in shape):
        raise DataError(f"{path.name} is no .npy file: its header states the shape {shape}. Save the array again with np.save.")
    return tuple(int(n) for n in shape), "F" if is_fortran else "C", dtype
