"""Arrays too large for memory, which lie in files without a name that are mapped into it. No torch here: reading stays quick."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped
from numpy.typing import DTypeLike

from dina.memory import map_file

# Bytes from which an array lies in a file: more than the responses of 10,000 neurons to 5,600 trials in single precision.
LARGE = 2**28


def large_zeros(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Shaped[np.ndarray, "..."]:
    """Return an array of zeros; one of 256 MB or more lies in a file, which goes with the array.

    Where there is no room for the file (`dina.memory.map_file`), the array lies in memory.

    Examples
    --------
    >>> large_zeros((2, 3))
    array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    mapped = map_file(n_bytes) if n_bytes >= LARGE else None
    return np.zeros(shape, dtype) if mapped is None else np.ndarray(shape, dtype, mapped)


def blocks_of(n: int, size: int) -> Iterator[slice]:
    """Yield slices of so many rows or columns that cover n.

    Examples
    --------
    >>> list(blocks_of(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for first in range(0, n, size):
        yield slice(first, min(first + size, n))
