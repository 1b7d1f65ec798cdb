"""Memory that arrays no longer need, given back to the system between the steps of a study."""

import ctypes
from functools import cache
from typing import Any


def give_back_memory() -> None:
    """Give back what freed arrays of some megabytes have left behind, in holes between others that are still in use.

    The C library keeps such holes for later arrays, which may not fit into them: over a study they add up to hundreds of megabytes.
    Nothing is done where the C library is not that of GNU.
    """
    trim = _trimmer()
    if trim is not None:
        trim(0)


@cache
def _trimmer() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library; no library by this name; Windows
        return None
