"""Look for damage at which HDF5 would look in a file without end, or take memory without limit, before HDF5 does."""

import mmap
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from dina.checks import DataError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL\x01\0\0\0"
_TREE = b"TREE"

Content = bytes | mmap.mmap


def check_hdf5_damage(path: Path, content: Content | None = None) -> None:
    """Refuse a file in which HDF5 would look without end: for words of varying length, or for the entries of a group.

    ``content`` is that of the file, where it was read already.

    Raises
    ------
    DataError
        If an entry of a heap does not end within it, or the nodes of a tree follow one another in a circle.
    """
    with ExitStack() as stack:
        if content is None:
            stream = stack.enter_context(path.open("rb"))
            content = stack.enter_context(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        if not _heaps_are_whole(content):
            raise DataError(f"{path.name} is damaged or unfinished where it keeps words of varying length. Copy it again.")
        if _trees_have_circles(content):
            raise DataError(f"{path.name} is damaged where it lists what it holds: the list leads back to itself. Copy it again.")


def _heaps_are_whole(content: Content) -> bool:
    begin = content.find(_HEAP)
    while begin >= 0:
        end = begin + int.from_bytes(content[begin + 8 : begin + 16], "little")
        place = begin + 16
        while place + 16 <= end:
            number = int.from_bytes(content[place : place + 2], "little")
            size = int.from_bytes(content[place + 8 : place + 16], "little")
            place += size if number == 0 else 16 + size + -size % 8  # number 0 is what is left
            if (number == 0 and size < 16) or place > min(end, len(content)):
                return False
        begin = content.find(_HEAP, begin + 8)
    return True


def _trees_have_circles(content: Content) -> bool:
    """Follow every node of a tree to the node at its right, and a node of a group to its first child, as HDF5 does."""
    base = max(content.find(_SIGNATURE), 0)  # addresses count from it
    right: dict[int, int] = {}
    child: dict[int, int] = {}
    node = content.find(_TREE, 0, len(content) - 40)
    while node >= 0:
        right[node] = base + int.from_bytes(content[node + 16 : node + 24], "little")
        if content[node + 4] == 0 and content[node + 5] > 0:  # a group whose entries do not fit into one node
            child[node] = base + int.from_bytes(content[node + 32 : node + 40], "little")
        node = content.find(_TREE, node + 1, len(content) - 40)
    return _leads_back(right) or _leads_back(child)


def _leads_back(following: dict[int, int]) -> bool:
    """Tell whether a chain ends where it was before; ``following`` is used up."""
    while following:
        place, passed = next(iter(following)), set()
        while place in following:
            passed.add(place)
            place = following.pop(place)
        if place in passed:
            return True
    return False


def check_word_lengths(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse words of varying length that claim to be longer than the file: HDF5 would take so much memory before it looks.

    Only words that lie in one piece of a file on disk are looked at; each is stored as its length in 4 bytes and its place.

    Raises
    ------
    DataError
        If a word claims more bytes than the file has, or words are stored otherwise.
    """
    offset, file = dataset.id.get_offset(), Path(dataset.file.filename)
    if offset is None or not dataset.size or not file.is_file():
        return
    n_bytes, most = dataset.id.get_storage_size(), file.stat().st_size
    if n_bytes % dataset.size == 0 and 4 * dataset.size < n_bytes <= most:
        words = np.fromfile(file, np.uint8, n_bytes, offset=offset)
        if words.size == n_bytes and words.reshape(dataset.size, -1)[:, :4].copy().view("<u4").max() <= most:
            return
    raise DataError(f"{path.name}: {dataset.name} holds words that claim to be longer than the file. Copy it again.")


def has_known_length(kind: h5py.h5t.TypeID) -> bool:
    """Tell whether values of a type are no rows of varying length, or words or lists: of others HDF5 does not know how to read them."""
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        return all(has_known_length(kind.get_member_type(at)) for at in range(kind.get_nmembers()))
    _, _, version_and_class, bits, *_ = kind.encode()
    return version_and_class & 0x0F != h5py.h5t.VLEN or bits & 0x0F in (0, 1)
