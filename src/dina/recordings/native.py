"""The package's own file: named arrays in one NetCDF-4 file or Zarr folder, checked by a checksum of the content."""

import errno
import glob
import hashlib
import itertools
import json
import math
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import h5py
import numpy as np
import xarray as xr

from dina.artifacts import atomic_path
from dina.checks import DataError
from dina.large_arrays import LARGE, blocks_of, large_zeros
from dina.recordings.hdf5_contents import check_hdf5_contents
from dina.recordings.hdf5_damage import check_hdf5_damage
from dina.recordings.stored_numbers import MAX_BYTES

_CHECKSUM = "content_sha256"
_LEFT_AFTER_S = 3600.0
_MOST_DESCRIBED = 2**24  # bytes of a zarr.json, which holds all words of a text variable
_FREE_BYTES, _MOST_PACKED = 2**28, 10_000  # an array of one value is stored in next to nothing
_READ_AT_ONCE = 2**25  # bytes
_CODECS = {"bytes", "zstd", "gzip", "blosc", "crc32c", "transpose"}  # those of zarr itself that hold numbers
_WORDS = "categories"  # attribute of a text variable, which is stored as numbers into this list


def recognises(path: Path) -> bool:
    """Tell whether the path is a ``.nc`` file or a Zarr folder."""
    return path.suffix == ".nc" if path.is_file() else (path / "zarr.json").is_file()


def write_groups(path: Path, groups: dict[str, xr.Dataset]) -> None:
    """Write datasets by the name of their group ("" is the root) into one ``.nc`` file or ``.zarr`` folder, whole or not at all.

    Raises
    ------
    DataError
        If the suffix is another one, or the Zarr folder exists; a ``.nc`` file is replaced.
    """
    if path.suffix not in (".nc", ".zarr"):
        raise DataError(f"A recording is written as a .nc file (NetCDF) or a .zarr folder; got {path.name!r}. Change the ending.")
    coded = {group: _encode_words(dataset) for group, dataset in groups.items()}
    coded[""] = coded[""].assign_attrs({_CHECKSUM: _content_sha256(coded)})
    if path.suffix == ".nc":
        path.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < sum(dataset.nbytes for dataset in coded.values()):  # before HDF5 comes to grief
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        with atomic_path(path) as temporary:
            for number, (group, dataset) in enumerate(coded.items()):
                encoding = {str(n): {"fletcher32": True} for n, v in dataset.items() if v.size}
                dataset.to_netcdf(
                    temporary, mode="a" if number else "w", group=group or None, engine="h5netcdf", encoding=encoding
                )
        return
    with _atomic_folder(path) as temporary:
        for number, (group, dataset) in enumerate(coded.items()):
            dataset.to_zarr(temporary, mode="a" if number else "w", group=group or None, consolidated=False, zarr_format=3)


def read_groups(path: Path) -> dict[str, xr.Dataset]:
    """Read what `write_groups` wrote into memory and verify its checksum.

    Raises
    ------
    DataError
        If the file cannot be read, holds links out of itself, or its content is not what was written.
    """
    try:
        found = _read_netcdf(path) if path.is_file() else _read_zarr(path)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged file makes the libraries raise; the cause stays attached
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{path.name} is no readable recording: {reason}. Copy it again: it is damaged or unfinished.") from error
    stated = found[""].attrs.pop(_CHECKSUM, None)
    if stated is None:
        _refuse_foreign(path)
    actual = _content_sha256(found)
    if stated != actual:
        raise DataError(f"{path.name}: SHA-256 of the content expected {str(stated)[:12]}…, got {actual[:12]}…. Copy it again.")
    return {group: _decode_words(dataset) for group, dataset in found.items()}


def _refuse_foreign(path: Path) -> NoReturn:
    raise DataError(f"{path.name} carries no {_CHECKSUM}, so it was not written by dina. Write it with Recording.write.")


def _read_netcdf(path: Path) -> dict[str, xr.Dataset]:
    check_hdf5_damage(path)
    with h5py.File(path, "r") as file:
        check_hdf5_contents(file, path)
        if _CHECKSUM not in file.attrs:  # asked before other people's arrays are loaded
            _refuse_foreign(path)
        names = ["", *(name for name, entry in file.items() if isinstance(entry, h5py.Group))]
    found = {}
    for name in names:
        with xr.open_dataset(path, group=name or None, engine="h5netcdf") as dataset:
            found[name] = _load(dataset)
    return found


def _read_zarr(path: Path) -> dict[str, xr.Dataset]:
    sizes: dict[str, int] = {}
    for root, folders, files in os.walk(path):
        for name in (*folders, *files):
            place = f"{root}{os.sep}{name}"
            found = os.lstat(place)
            if stat.S_ISLNK(found.st_mode):
                raise DataError(f"{path.name}: {name} is a link, and links are not followed. Store the data in the folder.")
            if stat.S_ISREG(found.st_mode):
                sizes[place] = found.st_size
    _check_zarr_sizes(path, sizes)
    names = ["", *(p.name for p in sorted(path.iterdir()) if p.is_dir() and _is_group(p / "zarr.json"))]
    return {name: _load(xr.open_zarr(path, group=name or None, consolidated=False, chunks=None, zarr_format=3)) for name in names}


def _load(dataset: xr.Dataset) -> xr.Dataset:
    """Read all arrays, the large ones some chunks at a time into arrays that need not stay in memory."""
    large = {str(name): variable for name, variable in dataset.data_vars.items() if variable.nbytes >= LARGE}
    loaded = dataset.drop_vars(large).load()
    for name, variable in large.items():
        values = large_zeros(variable.shape, variable.dtype)
        for part in _parts_of(variable):
            values[part] = variable[part].to_numpy()
        loaded[name] = (variable.dims, values, variable.attrs)
    return loaded


def _parts_of(variable: xr.DataArray) -> Iterator[tuple[slice, ...]]:
    """Yield parts of an array that are made of whole chunks and of about 32 MB, unless a chunk is larger."""
    kept = variable.encoding.get("chunks") or variable.encoding.get("chunksizes") or (1,) * variable.ndim
    size = [int(chunk) for chunk in kept]
    for axis in reversed(range(variable.ndim)):
        room = max(1, _READ_AT_ONCE // (math.prod(size) * variable.dtype.itemsize))
        size[axis] = min(variable.shape[axis], size[axis] * room)
    return itertools.product(*(blocks_of(n, each) for n, each in zip(variable.shape, size, strict=True)))


def _check_zarr_sizes(path: Path, sizes: Mapping[str, int]) -> None:
    """Refuse arrays that claim far more numbers than their folders hold: what is missing would be filled in, in memory."""
    total = 0
    for described in sorted(Path(each) for each in sizes if each.endswith(f"{os.sep}zarr.json")):
        if sizes[str(described)] > _MOST_DESCRIBED:
            raise DataError(
                f"{path.name}: {described.parent.name}/zarr.json has more than {_MOST_DESCRIBED} bytes. This is no recording."
            )
        content = json.loads(described.read_text(encoding="utf-8"))
        if content["node_type"] != "array":
            continue
        foreign = {str(codec["name"]) for codec in content["codecs"]} - _CODECS
        if foreign:
            raise DataError(
                f"{path.name}: {described.parent.name} is stored with {min(foreign)}. Use one of {', '.join(sorted(_CODECS))}."
            )
        inside = f"{described.parent}{os.sep}"
        stored = sum(size for file, size in sizes.items() if file.startswith(inside))
        chunk = content["chunk_grid"]["configuration"]["chunk_shape"]  # it is filled as a whole
        claimed = max(math.prod(content["shape"]), math.prod(chunk)) * 8  # no type of numbers is wider
        total += claimed
        if min(*content["shape"], *chunk, 1) < 0 or total > MAX_BYTES or claimed > _FREE_BYTES + _MOST_PACKED * stored:
            raise DataError(
                f"{path.name}: {described.parent.name} claims {claimed / 2**30:.1f} GiB, but its folder holds {stored} bytes."
                " Copy the recording again."
            )


def _is_group(description: Path) -> bool:
    return description.is_file() and json.loads(description.read_text())["node_type"] == "group"


def _encode_words(dataset: xr.Dataset) -> xr.Dataset:
    """Turn text variables into numbers and a list of words: neither format checks or compresses text itself."""
    out = dataset.copy()
    for name, variable in dataset.variables.items():
        if variable.dtype.kind in "OUT":
            words, codes = np.unique(variable.to_numpy().astype(np.str_), return_inverse=True)
            attributes = {**variable.attrs, _WORDS: json.dumps(words.tolist(), ensure_ascii=False)}
            out[name] = (variable.dims, codes.reshape(variable.shape).astype(np.int32), attributes)
    return out


def _decode_words(dataset: xr.Dataset) -> xr.Dataset:
    out = dataset.copy()
    for name, variable in dataset.variables.items():
        if _WORDS in variable.attrs:
            words = np.array(json.loads(variable.attrs[_WORDS]), dtype=np.str_)
            attributes = {key: value for key, value in variable.attrs.items() if key != _WORDS}
            out[name] = (variable.dims, words[variable.to_numpy().astype(np.int64)], attributes)
    return out


def _content_sha256(groups: dict[str, xr.Dataset]) -> str:
    """Hash names, axes, types, values and attributes in an order that does not depend on the file format."""
    digest = hashlib.sha256()
    for group, dataset in sorted(groups.items()):
        digest.update(json.dumps([group, _plain(dataset.attrs)], sort_keys=True).encode())
        for name in sorted(map(str, dataset.variables)):
            variable = dataset[name]
            little = variable.dtype.newbyteorder("<")
            head = [name, list(map(str, variable.dims)), little.str, _plain(variable.attrs)]
            digest.update(json.dumps(head, sort_keys=True).encode())
            values = np.ascontiguousarray(variable.to_numpy()).astype(little, copy=False)
            digest.update(values.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _plain(attributes: dict) -> dict[str, object]:
    """Return attributes as both formats give them back: a number is a float, a list of one is its element."""

    def of(value: object) -> object:
        values = np.asarray(value).ravel().tolist()
        values = [float(v) if isinstance(v, bool | int | float) else str(v) for v in values]
        return values[0] if len(values) == 1 else values

    return {str(key): of(value) for key, value in attributes.items() if key not in (_CHECKSUM, "_FillValue")}


@contextmanager
def _atomic_folder(path: Path) -> Iterator[Path]:
    if path.exists() or path.is_symlink():
        raise DataError(f"{path} exists already, and a Zarr folder is never overwritten. Remove it, or choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"):  # of killed processes; one at work now is younger
        if time.time() - left.lstat().st_mtime > _LEFT_AFTER_S and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
