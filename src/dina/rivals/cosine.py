"""Cosine between all rows of two sets of coordinates whose signs and origin mean something."""

import numpy as np
from jaxtyping import Float


def cosine_all_rows(
    first: Float[np.ndarray, "row variable"], second: Float[np.ndarray, "other variable"]
) -> Float[np.ndarray, "row other"]:
    """Return the cosine of every row of ``first`` with every row of ``second``; 0 where a row is 0.

    Unlike a correlation it does not change if the sign of a coordinate is turned in both.

    Examples
    --------
    >>> cosine_all_rows(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[2.0, 0.0], [0.0, -1.0]]))
    array([[1., 0.],
           [0., 0.]])
    """
    units = []
    for rows in (first, second):
        values = rows.astype(np.float64)
        length = np.sqrt(np.einsum("rv,rv->r", values, values))[:, None]
        units.append(np.divide(values, length, out=np.zeros_like(values), where=length > 0))
    cosine: np.ndarray = units[0] @ units[1].T
    return cosine
