"""Open what lies in an HDF5 file by its links, which may lead about in the file but never out of it."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Shaped

from dina.checks import DataError
from dina.recordings.hdf5_contents import check_attributes, check_hdf5_dataset, check_hdf5_entry

_MOST_LINKS = 10  # one after the other
_MOST_GROUPS = 20_000
_MOST_LETTERS = 2**30  # bytes


def follow(group: h5py.Group, name: str, path: Path) -> h5py.Group | h5py.Dataset | None:
    """Return the group or dataset that an entry of a group is or leads to; None where there is none.

    Names may have several parts (``data/images``). ``path`` is for messages.

    Raises
    ------
    DataError
        If a link leads out of the file, or more than ten links lead on one after the other, as in a circle.
    """
    place: Any = group.file if name.startswith("/") else group
    parts, n_links = _parts(name), 0
    while parts:
        part, *parts = parts
        if not isinstance(place, h5py.Group):
            return None
        link = place.get(part, getlink=True)
        if link is None:
            return None
        if isinstance(link, h5py.SoftLink):
            n_links += 1  # of the whole way: a link that names another one many times would multiply them
            if n_links > _MOST_LINKS:
                raise DataError(f"{path.name}: {place.name}/{part} leads through more than {_MOST_LINKS} links. Repair the file.")
            place, parts = group.file if link.path.startswith("/") else place, [*_parts(link.path), *parts]
        elif isinstance(link, h5py.HardLink):
            if place.get(part, getclass=True) is h5py.Group:
                check_hdf5_entry(place, part, path)
                place = place[part]
            else:
                place = place[part]
                check_attributes(place, path)
        else:
            raise DataError(
                f"{path.name}: {place.name.rstrip('/')}/{part} lies in another file, and links out of a file are not followed."
                " Store the data itself in the file."
            )
    return place if isinstance(place, h5py.Group | h5py.Dataset) else None


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def follow_reference(entry: h5py.HLObject, attribute: str) -> h5py.Group | h5py.Dataset | None:
    """Return what an attribute refers to; None unless it is a reference, which cannot lead out of the file as a name can."""
    reference = entry.attrs.get(attribute)
    return entry.file[reference] if isinstance(reference, h5py.Reference) and reference else None


def read_array(group: h5py.Group, name: str, path: Path) -> Shaped[np.ndarray, "..."] | None:
    """Return numbers or words of a dataset; None where there is none. Its size is compared with what the file holds first.

    Raises
    ------
    DataError
        If the dataset lies elsewhere, claims more than the file holds, or needs a plug-in.
    """
    dataset = follow(group, name, path)
    if not isinstance(dataset, h5py.Dataset):
        return None
    check_hdf5_dataset(dataset, path)
    if h5py.check_string_dtype(dataset.dtype) is not None:
        words = np.asarray(dataset.asstr(errors="replace")[()], dtype=object)
        longest = max(map(len, words.flat), default=0)
        if words.size * longest * 4 > _MOST_LETTERS:  # as an array each takes the room of the longest
            raise DataError(
                f"{path.name}: {words.size} words of {dataset.name} must fit into {_MOST_LETTERS // 2**20} MiB; the longest has {longest}"
                " letters. Shorten it."
            )
        return words.astype(np.str_)
    return np.asarray(dataset[()])


def word_of(value: Any) -> str:
    """Return an attribute, or a dataset of one word, as text; "" for anything else."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size == 1 else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) if isinstance(value, str) else ""


def groups_below(group: h5py.Group, path: Path) -> list[h5py.Group]:
    """Return a group and all groups in it, however deep, in the order of their names; links are left out.

    Raises
    ------
    DataError
        If there are more than any recording has.
    """
    check_attributes(group, path)
    found, waiting, seen = [], [group], set()
    while waiting:
        within = waiting.pop()
        address = h5py.h5o.get_info(within.id).addr
        if address in seen:
            continue
        seen.add(address)
        found.append(within)
        if len(found) > _MOST_GROUPS:
            raise DataError(f"{path.name} holds more than {_MOST_GROUPS} groups below {group.name}. This is no recording.")
        for name in within:
            if isinstance(within.get(name, getlink=True), h5py.HardLink) and within.get(name, getclass=True) is h5py.Group:
                check_hdf5_entry(within, name, path)
                waiting.append(within[name])
    return sorted(found, key=lambda one: str(one.name))
