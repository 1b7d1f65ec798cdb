"""Bring numbers as stored to the types every later step relies on, losing nothing in silence."""

from typing import Any

import numpy as np
from jaxtyping import Float32, Int, Shaped

from dina.checks import DataError, check_numeric

FLOAT32_MAX = float(np.finfo(np.float32).max)
_LARGEST_ID = 2**31  # far above any number of images; beyond it a float no longer counts in ones


def to_float32(name: str, array: Shaped[np.ndarray, "..."], axes: tuple[str, ...]) -> Float32[np.ndarray, "..."]:
    """Return numbers as float32; NaN and infinity pass unchanged, to be judged by whoever knows what they mean.

    Parameters
    ----------
    name
        What the array is called in a message.
    array
        Integers or floats of any width, of any shape.
    axes
        Name of each axis, for the message ("trial", "neuron").

    Raises
    ------
    DataError
        If the values are not real numbers, or a finite value is too large for float32.

    Examples
    --------
    >>> to_float32("responses", np.array([[-128, 127]], dtype=np.int8), ("trial", "neuron"))
    array([[-128.,  127.]], dtype=float32)
    """
    check_numeric(name, array)
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore"):  # an overflow is found below and named
        converted = array.astype(np.float32)
    if array.dtype.itemsize > 4 and not np.isfinite(_extreme(converted)):
        overflow = np.isinf(converted) & np.isfinite(array)
        if overflow.any():
            first = np.unravel_index(int(np.argmax(overflow)), array.shape)
            where = ", ".join(f"{axis} {int(i)}" for axis, i in zip(axes, first, strict=False))
            raise DataError(
                f"{name} must fit into float32 (up to {FLOAT32_MAX:.1e}); got {array[first]:.3g} at {where} and"
                f" {int(overflow.sum()) - 1} more such values. Rescale them before reading."
            )
    return converted


def to_index(name: str, array: Shaped[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """Return whole numbers as int64; 3.0 is a whole number, 3.5 and NaN are not.

    Raises
    ------
    DataError
        If the values are not real numbers, not whole, or too large to count anything.

    Examples
    --------
    >>> to_index("stimulus_id", np.array([3.0, 1.0]))
    array([3, 1])
    """
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


def to_text(name: str, array: Any) -> Shaped[np.ndarray, "..."]:
    """Return words as a text array; None and NaN become "", the word for unknown.

    Raises
    ------
    DataError
        If an entry is neither text nor a number.
    """
    words = []
    for value in np.asarray(array, dtype=object).ravel():
        if value is None or (isinstance(value, float) and np.isnan(value)):
            words.append("")
        elif isinstance(value, str | int | float | np.generic):
            words.append(str(value))
        else:
            raise DataError(
                f"{name} must be words; got {type(value).__name__} at position {len(words)}. Give one word per entry."
            )
    return np.array(words, dtype=np.str_) if words else np.zeros(0, dtype="<U1")


def _extreme(array: np.ndarray) -> float:
    """Return a number that is finite only if all of ``array`` is, without allocating a mask."""
    return float(np.abs(array.min()) + np.abs(array.max())) if array.size else 0.0
