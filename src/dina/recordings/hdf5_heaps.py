"""Look at the heaps of HDF5 files, in which words of varying length lie, before HDF5 does."""

import mmap
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from dina.checks import DataError

_HEAP = b"GCOL\x01\0\0\0"


def check_hdf5_heaps(path: Path, content: bytes | mmap.mmap | None = None) -> None:
    """Refuse a file whose heaps, in which words of varying length lie, are damaged: HDF5 would look in them without end.

    ``content`` is that of the file, where it was read already.

    Raises
    ------
    DataError
        If an entry of a heap does not end within it.
    """
    with ExitStack() as stack:
        if content is None:
            stream = stack.enter_context(path.open("rb"))
            content = stack.enter_context(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        begin = content.find(_HEAP)
        while begin >= 0:
            end = begin + int.from_bytes(content[begin + 8 : begin + 16], "little")
            place = begin + 16
            while place + 16 <= end:
                number = int.from_bytes(content[place : place + 2], "little")
                size = int.from_bytes(content[place + 8 : place + 16], "little")
                place += size if number == 0 else 16 + size + -size % 8  # number 0 is what is left
                if (number == 0 and size < 16) or place > min(end, len(content)):
                    raise DataError(
                        f"{path.name} is damaged or unfinished where it keeps words of varying length. Copy it again."
                    )
            begin = content.find(_HEAP, begin + 8)


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
    n_bytes = dataset.id.get_storage_size()
    if n_bytes % dataset.size == 0 and n_bytes // dataset.size > 4:
        words = np.fromfile(file, np.uint8, n_bytes, offset=offset)
        if words.size == n_bytes and words.reshape(dataset.size, -1)[:, :4].copy().view("<u4").max() <= file.stat().st_size:
            return
    raise DataError(f"{path.name}: {dataset.name} holds words that claim to be longer than the file. Copy it again.")
