"""Files that are written whole or not at all, and their SHA-256."""

import errno
import glob
import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from dina.checks import DataError

_LEFT_AFTER_S = 3600.0


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success flush it to disk and put it in place in one step.

    A crash at any moment leaves either the old file or the new one, never a part.

    Raises
    ------
    DataError
        If ``path`` exists and is not a regular file (a folder, a device, a symbolic link).
    """
    path = Path(path)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise DataError(f"{path} must be a regular file to be replaced; it is a folder, link or device. Choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp" + path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        flush_folder(path.parent)
    except (OSError, RuntimeError) as error:  # HDF5 raises both
        number = getattr(error, "errno", None)
        is_full = number == errno.ENOSPC or "No space left on device" in str(error)  # HDF5 says it in words alone
        if is_full or (isinstance(error, OSError) and error.filename in (None, name)):
            number = errno.ENOSPC if is_full else number or errno.EIO
            raise OSError(number, os.strerror(number), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what killed processes left of the same file; one that is being written now is younger."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????.tmp{glob.escape(path.suffix)}"):
        if time.time() - left.lstat().st_mtime > _LEFT_AFTER_S:
            left.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, so that a file put in place stays there through a power cut."""
    if os.name == "nt":  # Windows cannot open a folder; it flushes names by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically in UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically: two-space indent, no NaN (use null and a reason), final newline.

    Raises
    ------
    ValueError
        If ``content`` holds NaN or infinity.
    """
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_dataset(path: Path, dataset: xr.Dataset) -> None:
    """Write an xarray Dataset as NetCDF-4, atomically, with a checksum (fletcher32) on every array of numbers.

    Arrays whose ``encoding`` asks for compression (``zlib``) are compressed. Equal content gives equal bytes.
    """
    numbers = [
        str(name) for name, values in dataset.variables.items() if values.dtype.kind in "iuf" and values.ndim and values.size
    ]
    encoding = {name: _compression(dataset[name]) | {"fletcher32": True} for name in numbers}
    # in memory first: where a disk is full, HDF5 brings the process down when it closes the file
    content = io.BytesIO()
    dataset.to_netcdf(content, engine="h5netcdf", encoding=encoding)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def _compression(values: xr.DataArray) -> dict[str, Any]:
    """Return what an array says about its own compression; what else it remembers of a file is of no concern here."""
    return {name: values.encoding[name] for name in ("zlib", "complevel", "shuffle") if name in values.encoding}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
