"""A folder that one process at a time works in: the system lets go of it when the process ends, however it ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dina.checks import DataError

LOCK = ".lock"
BUSY = "Another process is working in"  # how the refusal begins


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder for this process.

    Raises
    ------
    DataError
        If another process holds it.
    """
    if sys.platform == "win32":  # no lock there: an open file would keep the folder from being renamed
        yield
        return
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        if not _acquire(handle) or not _same_file(handle, folder / LOCK):
            raise DataError(f"{BUSY} {folder}. Wait for it to end, or choose another --out.")
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Say whether another process holds the folder; never where the file system, or the system, has no locks."""
    if sys.platform == "win32":
        return False
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # no such folder, or nobody has held it yet
        return False
    try:
        return not _acquire(handle)
    finally:
        os.close(handle)


def _same_file(handle: int, path: Path) -> bool:
    """Say whether the locked file is still the one at ``path``: the other process may just have finished."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _acquire(handle: int) -> bool:
    import fcntl  # imported here: it does not exist on Windows

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks
        return True
    return True
