"""What an HDF5 file may hold before any of it is read: its own data, of the size it claims, nothing from elsewhere."""

from pathlib import Path

import h5py

from dina.checks import DataError

MAX_BYTES = 64 * 2**30
"""Largest array accepted, far above any recording and far below what exhausts a disk."""

_BUILT_IN_FILTERS = {1, 2, 3, 5, 6}  # deflate, shuffle, fletcher32, nbit, scale-offset: no plug-in is loaded for these
_MAX_DEFLATE_RATIO = 1100  # deflate never gains more than 1,032 to 1


def check_hdf5_contents(group: h5py.Group, path: Path) -> None:
    """Refuse links out of the file, virtual and external data, plug-in filters and sizes not backed by bytes.

    An external link could make a recording "contain" any file of the reader's disk; a declared size without data
    could exhaust memory.

    Raises
    ------
    DataError
        At the first such entry, with its name.
    """
    if group.name.count("/") > 20:
        raise DataError(f"{path.name}: groups are nested more than 20 deep at {group.name}. This is no recording.")
    for name in group:
        check_hdf5_entry(group, name, path)
        entry = group[name]
        if isinstance(entry, h5py.Group):
            check_hdf5_contents(entry, path)


def check_hdf5_entry(group: h5py.Group, name: str, path: Path) -> None:
    """Ask the questions of `check_hdf5_contents` of one entry of a group.

    Raises
    ------
    DataError
        If the entry is a link or its data are not in the file, as stated there.
    """
    where = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{path.name}: {where} is a link, and links are not followed. Store the data itself in the file.")
    entry = group[name]
    if isinstance(entry, h5py.Dataset):
        check_hdf5_dataset(entry, path)


def check_hdf5_dataset(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse a dataset whose data lie elsewhere, need a plug-in, or are claimed but not there.

    Raises
    ------
    DataError
        In each of these cases.
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
