"""Files that are written whole or not at all, and checked by SHA-256 when read back."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from dina.checks import DataError

CHECKSUMS = "SHA256SUMS"


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
    finally:
        temporary.unlink(missing_ok=True)


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
    with atomic_path(path) as temporary:
        encoding = {name: _compression(dataset[name]) | {"fletcher32": True} for name in numbers}
        dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)


def _compression(values: xr.DataArray) -> dict[str, Any]:
    """Return what an array says about its own compression; what else it remembers of a file is of no concern here."""
    return {name: values.encoding[name] for name in ("zlib", "complevel", "shuffle") if name in values.encoding}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_checksums(folder: Path) -> None:
    """Write ``SHA256SUMS`` over all files below ``folder``, in the format that ``sha256sum --check`` reads.

    Hidden files and links are left out, and so are folders below that hold checksums of their own. Call it last, after every
    change to the folder.
    """
    folder = Path(folder)
    lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in _checked_files(folder)]
    write_text(folder / CHECKSUMS, "".join(lines))


def verify_checksums(folder: Path) -> dict[str, str]:
    """Return each file below ``folder`` that is not as its ``SHA256SUMS`` says, as "missing", "changed" or "not listed".

    Raises
    ------
    DataError
        If there is no ``SHA256SUMS``, or it cannot be read.
    """
    folder = Path(folder)
    listing = folder / CHECKSUMS
    if not listing.is_file():
        raise DataError(f"{folder} must hold {CHECKSUMS} to be verified; it does not. Finish or repeat the study.")
    expected: dict[str, str] = {}
    for line in listing.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise DataError(f"{listing} is damaged: {line[:80]!r} is not a checksum and a name. Repeat the study.")
        expected[name] = digest
    found = {path.relative_to(folder).as_posix(): path for path in _checked_files(folder)}
    faults = dict.fromkeys(sorted(expected.keys() - found.keys()), "missing")
    faults |= {name: "changed" for name in sorted(expected.keys() & found.keys()) if sha256_of(found[name]) != expected[name]}
    return faults | dict.fromkeys(sorted(found.keys() - expected.keys()), "not listed")


def _checked_files(folder: Path) -> list[Path]:
    """Return the files below ``folder`` that its listing covers, in order of name."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    apart = {path.parent for path in files if path.name == CHECKSUMS and path.parent != folder}
    parts = {path: path.relative_to(folder).parts for path in files if not apart.intersection(path.parents)}
    return sorted(path for path, names in parts.items() if names != (CHECKSUMS,) and not any(n.startswith(".") for n in names))
