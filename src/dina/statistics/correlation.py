"""Pearson correlation by column, by row, and between all rows of two matrices."""

import numpy as np
from jaxtyping import Float

from dina.checks import DataError


def correlate_columns(
    first: Float[np.ndarray, "observation variable"], second: Float[np.ndarray, "same_observation same_variable"]
) -> Float[np.ndarray, "variable"]:
    """Correlate each column of ``first`` with the same column of ``second``.

    Parameters
    ----------
    first, second
        In any units, shape ``(n_observations, n_variables)``, finite.

    Returns
    -------
    correlation
        In [-1, 1], float64, shape ``(n_variables,)``; NaN where a column is constant.

    Raises
    ------
    DataError
        If the shapes differ.

    Examples
    --------
    >>> correlate_columns(np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]), np.array([[2.0, 0.0], [4.0, 1.0], [6.0, 2.0]]))
    array([ 1., nan])
    """
    if first.shape != second.shape:
        raise DataError(f"Columns are correlated one by one; got shapes {first.shape} and {second.shape}. Make them equal.")
    correlation = np.empty(first.shape[1])
    # some hundred columns at a time, so that the float64 copies stay small
    for start in range(0, first.shape[1], 512):
        columns = slice(start, start + 512)
        one, other = _unit_rows(first[:, columns].T), _unit_rows(second[:, columns].T)
        correlation[columns] = np.einsum("vo,vo->v", one, other)
    return np.clip(correlation, -1.0, 1.0)


def correlate_rows(
    first: Float[np.ndarray, "row variable"], second: Float[np.ndarray, "same_row same_variable"]
) -> Float[np.ndarray, "row"]:
    """Correlate each row of ``first`` with the same row of ``second``; otherwise as `correlate_columns`."""
    return correlate_columns(first.T, second.T)


def correlate_all_rows(
    first: Float[np.ndarray, "row variable"], second: Float[np.ndarray, "other same_variable"]
) -> Float[np.ndarray, "row other"]:
    """Correlate every row of ``first`` with every row of ``second``, by one matrix product.

    Parameters
    ----------
    first, second
        In any units, shapes ``(n_rows, n_variables)`` and ``(n_others, n_variables)``, finite.

    Returns
    -------
    correlation
        In [-1, 1], float64, shape ``(n_rows, n_others)``; NaN where a row is constant.

    Raises
    ------
    DataError
        If the numbers of variables differ.

    Examples
    --------
    >>> correlate_all_rows(np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 1.0, 2.0], [3.0, 2.0, 1.0]]))
    array([[ 1., -1.]])
    """
    if first.shape[1] != second.shape[1]:
        raise DataError(
            f"Rows are correlated over the same variables; got {first.shape[1]} and {second.shape[1]}. Select the same ones."
        )
    return np.clip(_unit_rows(first) @ _unit_rows(second).T, -1.0, 1.0)


def _unit_rows(values: Float[np.ndarray, "row variable"]) -> Float[np.ndarray, "row variable"]:
    """Subtract each row's mean and scale to unit length; NaN where a row is constant."""
    centred = values.astype(np.float64)
    size = np.abs(centred).max(axis=1, keepdims=True)
    centred -= centred.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("rv,rv->r", centred, centred))[:, None]
    # what is left of a constant row is the rounding error of its mean
    constant = length <= 1e-12 * size * np.sqrt(values.shape[1])
    unit: np.ndarray = np.divide(centred, length, out=np.full_like(centred, np.nan), where=~constant)
    return unit
