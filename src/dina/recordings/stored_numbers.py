"""Read numbers as stored: what a .npy or HDF5 file may hold, and how its values become the types of every later step."""

from math import prod
from pathlib import Path
from typing import BinaryIO, Literal

import h5py
import numpy as np
from jaxtyping import Float32, Int, Shaped

from dina.checks import DataError, check_numeric
from dina.recordings.hdf5_damage import check_word_lengths, has_known_length

_LARGEST_ID = 2**31  # far above any number of images; beyond it a float no longer counts in ones
# Largest array accepted, far above any recording and far below what exhausts a disk.
MAX_BYTES = 64 * 2**30

_BUILT_IN_FILTERS = {1, 2, 3, 5, 6}  # deflate, shuffle, fletcher32, nbit, scale-offset: no plug-in is loaded for these
_MAX_DEFLATE_RATIO = 1100  # deflate never gains more than 1,032 to 1
_MOST_TEXT = 2**26  # bytes of all words of one array; thousands of words of a small file can be one and the same long word
_WORD_BYTES = 64  # that a word takes in memory beside its letters
_READ_AT_ONCE = 2**24
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


def check_hdf5_contents(group: h5py.Group, path: Path) -> None:
    """Refuse links out of the file and datasets as in `check_hdf5_dataset`, in a group and all groups in it.

    An external link could make a recording "contain" any file of the reader's disk. A small file that names one object many times
    could exhaust memory: every object may have one name, and all together must not be larger than `MAX_BYTES`. ``path`` is for
    messages.

    Raises
    ------
    DataError
        At the first such entry, with its name.
    """
    n_bytes, names = 0, {_address(group): group.name}
    groups = [group]
    check_attributes(group, path)
    while groups:
        within = groups.pop()
        if within.name.count("/") > 20:
            raise DataError(f"{path.name}: groups are nested more than 20 deep at {within.name}. This is no recording.")
        for name in within:
            entry = check_hdf5_entry(within, name, path)
            known = names.setdefault(_address(entry), entry.name)
            if known != entry.name:
                raise DataError(f"{path.name}: {entry.name} is {known} under another name. Store every array once.")
            groups += [entry] if isinstance(entry, h5py.Group) else []
            n_bytes += entry.nbytes if isinstance(entry, h5py.Dataset) else 0
            if n_bytes > MAX_BYTES:
                raise DataError(
                    f"{path.name} claims more than {MAX_BYTES / 2**30:.0f} GiB up to {entry.name}. Use a smaller file."
                )


def _address(entry: h5py.HLObject) -> object:
    return h5py.h5o.get_info(entry.id).addr


def check_hdf5_entry(group: h5py.Group, name: str, path: Path) -> h5py.HLObject:
    """Return one entry of a group; refuse it if it is a link, or a dataset that `check_hdf5_dataset` refuses.

    Raises
    ------
    DataError
        In these cases.
    """
    where = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{path.name}: {where} is a link, and links are not followed. Store the data itself in the file.")
    entry = group[name]  # opened once: that is what takes time
    if isinstance(entry, h5py.Dataset):
        check_hdf5_dataset(entry, path)
    else:
        check_attributes(entry, path)
    return entry


def check_hdf5_dataset(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse virtual and external data, plug-in filters, rows of unequal length, and sizes that could exhaust memory.

    Raises
    ------
    DataError
        In these cases.
    """
    where = dataset.name
    if dataset.is_virtual or dataset.external:
        raise DataError(f"{path.name}: {where} keeps its data in another file. Store the data itself in the file.")
    plan = dataset.id.get_create_plist()
    plug_ins = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())} - _BUILT_IN_FILTERS
    if plug_ins:
        raise DataError(f"{path.name}: {where} is compressed by a plug-in (filter {min(plug_ins)}). Use gzip, or none.")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > MAX_BYTES or (dataset.nbytes > 2**20 and stored * _MAX_DEFLATE_RATIO < dataset.nbytes):
        raise DataError(
            f"{path.name}: {where} claims {dataset.nbytes / 2**30:.1f} GiB, but the file holds {stored} bytes of it."
            " The file is damaged or unfinished."
        )
    check_attributes(dataset, path)
    if dataset.dtype.hasobject and not h5py.check_ref_dtype(dataset.dtype):
        _check_text(dataset, path)


def check_attributes(entry: h5py.HLObject, path: Path) -> None:
    """Refuse an attribute of many words, each of which could be as long as the file, and one of a type that HDF5 does not know.

    Raises
    ------
    DataError
        In these cases.
    """
    for name in entry.attrs:
        attribute = entry.attrs.get_id(name)
        if not has_known_length(attribute.get_type()):
            raise DataError(
                f"{path.name}: attribute {name} of {entry.name} is neither a word nor a list. It is damaged; copy it again."
            )
        n_words = prod(attribute.shape or ()) if h5py.check_string_dtype(attribute.dtype) else 1
        if n_words > 1 and n_words * entry.file.id.get_filesize() > MAX_BYTES:
            raise DataError(f"{path.name}: attribute {name} of {entry.name} holds {n_words} words. Store words as an array.")


def _check_text(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse anything of variable length but words, and more words than memory should hold; they are counted piece by piece."""
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise DataError(f"{path.name}: {dataset.name} has rows of unequal length or records; store numbers or words.")
    check_word_lengths(dataset, path)
    at_once = max(1, _READ_AT_ONCE // max(1, dataset.file.id.get_filesize()))
    n_bytes = (dataset.size or 0) * _WORD_BYTES
    *outer, length = dataset.shape or (1,)
    pieces = ((*row, slice(first, first + at_once)) for row in np.ndindex(*outer) for first in range(0, length, at_once))
    while n_bytes <= _MOST_TEXT and (piece := next(pieces, None)) is not None:
        n_bytes += sum(map(len, np.ravel(dataset[piece] if dataset.shape else dataset[()])))
    if n_bytes > _MOST_TEXT:
        raise DataError(
            f"{path.name}: {dataset.name} holds more than {_MOST_TEXT // 2**20} MiB of words. Store fewer or shorter ones."
        )
