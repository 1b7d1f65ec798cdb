"""Compare what an HDF5 file says that it holds with what it can hold, before any of it is read."""

from math import prod
from pathlib import Path

import h5py
import numpy as np

from dina.checks import DataError
from dina.recordings.hdf5_damage import check_word_lengths, has_known_length
from dina.recordings.stored_numbers import MAX_BYTES

_BUILT_IN_FILTERS = {1, 2, 3, 5, 6}  # deflate, shuffle, fletcher32, nbit, scale-offset: no plug-in is loaded for these
_MAX_DEFLATE_RATIO = 1100  # deflate never gains more than 1,032 to 1
_MOST_TEXT = 2**26  # bytes of all words of one array; thousands of words of a small file can be one and the same long word
_WORD_BYTES = 64  # that a word takes in memory beside its letters
_READ_AT_ONCE = 2**24


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
