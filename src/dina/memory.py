"""Memory that arrays no longer need: kept for the next arrays within a step of a study, given back to the system between steps."""

import ctypes
import mmap
import os
import tempfile
from contextlib import suppress
from typing import Any
from weakref import WeakSet

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as ``malloc.h`` numbers them
_KEPT, _LARGEST = 256 << 20, 32 << 20  # bytes in all, and of one array
_FILES: "WeakSet[mmap.mmap]" = WeakSet()


def keep_memory() -> None:
    """Let the C library keep what freed arrays of up to 32 MB have left behind, up to 256 MB, for the next arrays.

    Else it asks the system for each of them anew, and the system clears every page: some percent of the time of a study.
    Nothing is done where the C library is not that of GNU.
    """
    option = _of_library("mallopt")
    if option is not None:
        option(_MMAP_THRESHOLD, _LARGEST)
        option(_TRIM_THRESHOLD, _KEPT)


def give_back_memory() -> None:
    """Give back what freed arrays of some megabytes have left behind, in holes between others that are still in use.

    The C library keeps such holes for later arrays, which may not fit into them: over a study they add up to hundreds of megabytes.
    Nothing is done where the C library is not that of GNU. What is mapped from files (`map_file`) leaves the memory of the process,
    too; it is there again as soon as it is read.
    """
    for mapped in list(_FILES):
        if hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
    trim = _of_library("malloc_trim")
    if trim is not None:
        trim(0)


def map_file(n_bytes: int) -> mmap.mmap | None:
    """Map a new file of zeros without a name, in the folder for temporary files (``TMPDIR``); None without room for it there.

    Where memory is short, the system writes such a file to the disk and reads it again as it is needed.
    """
    with suppress(OSError, AttributeError), tempfile.TemporaryFile(prefix="dina-") as file:
        os.posix_fallocate(file.fileno(), 0, n_bytes)  # all of it now: on a full disk, writing later would end the process
        mapped = mmap.mmap(file.fileno(), n_bytes)
        _FILES.add(mapped)
        return mapped
    return None


def _of_library(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library; no library by this name; Windows
        return None
