"""Pearson correlation: by column, by row, between all rows, and between neurons by their signal or their noise."""

import numpy as np
from jaxtyping import Float, Float32, Int

from dina.checks import DataError


def correlate_columns(
    first: Float[np.ndarray, "observation variable"], second: Float[np.ndarray, "same_observation same_variable"]
) -> Float[np.ndarray, "variable"]:
    """Correlate each column of ``first`` with the same column of ``second``; both in any units, finite.

    Returned in [-1, 1], float64; NaN where a column is constant.

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
    """Correlate every row of ``first`` with every row of ``second``, by one matrix product; otherwise as `correlate_columns`.

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
        raise DataError(f"Rows must have the same variables; got {first.shape[1]} and {second.shape[1]}. Select the same ones.")
    return np.clip(_unit_rows(first) @ _unit_rows(second).T, -1.0, 1.0)


def signal_correlations(
    first: Float[np.ndarray, "stimulus neuron"],
    second: Float[np.ndarray, "same_stimulus same_neuron"],
    chosen: Int[np.ndarray, "chosen"] | None = None,
) -> Float32[np.ndarray, "row neuron"]:
    """Correlate the tuning of neurons across images, from different trials for the two neurons of a pair.

    Two neurons share noise within a trial, not across trials. Averages over the same trials would mistake it for shared tuning.

    ``first`` and ``second`` are responses to the same images averaged over different trials, in any unit, as from
    `dina.statistics.repeats.average_halves`; ``chosen`` neurons make up the rows of the result, None for all. The correlation is a mean
    over both assignments of the halves, and closer to 0 if neurons are less reliable; on the diagonal it is the split-half
    reliability. NaN where a half is constant.

    Raises
    ------
    DataError
        If the shapes differ.

    References
    ----------
    Averbeck, Latham & Pouget (2006), Nat. Rev. Neurosci. 7:358. https://doi.org/10.1038/nrn1888
    They average over all trials; we take different trials for the two neurons.

    Examples
    --------
    >>> tuning = np.array([[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]])
    >>> signal_correlations(tuning, tuning).round(3)
    array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    if first.shape != second.shape:
        raise DataError(
            f"Both halves must hold the same images and neurons; got shapes {first.shape} and {second.shape}."
            " Make them with average_halves."
        )
    one, other = standardise_columns(first), standardise_columns(second)
    rows = slice(None) if chosen is None else chosen
    return _bounded((one[:, rows].T @ other + other[:, rows].T @ one) / 2)


def noise_correlations(
    residuals: Float[np.ndarray, "row neuron"], chosen: Int[np.ndarray, "chosen"] | None = None
) -> Float32[np.ndarray, "row_neuron neuron"]:
    """Correlate the deviations of responses from the average response to each image.

    ``residuals`` are independent rows without signal, in any unit: differences between repeats of one image. (Residuals about the
    mean of a few repeats are not independent.) ``chosen`` neurons make up the rows of the result; None for all. NaN where a neuron
    never varies.

    References
    ----------
    Cohen & Kohn (2011), Nat. Neurosci. 14:811. https://doi.org/10.1038/nn.2842

    Examples
    --------
    >>> noise_correlations(np.array([[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]])).round(3)
    array([[1., 1.],
           [1., 1.]], dtype=float32)
    """
    unit = standardise_columns(residuals)
    rows = slice(None) if chosen is None else chosen
    return _bounded(unit[:, rows].T @ unit)


def standardise_columns(values: Float[np.ndarray, "row neuron"]) -> Float32[np.ndarray, "row neuron"]:
    """Centre each column and scale it to unit length, so that inner products are correlations; NaN where it is constant."""
    centred = values.astype(np.float32) - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    length = np.sqrt(np.einsum("rn,rn->n", centred, centred, dtype=np.float64))
    constant = length <= 1e-6 * np.abs(values).max(axis=0) * np.sqrt(len(values))
    scale = np.divide(1.0, length, out=np.full(len(length), np.nan), where=~constant)
    return centred * scale.astype(np.float32)


def _bounded(correlation: Float32[np.ndarray, "row neuron"]) -> Float32[np.ndarray, "row neuron"]:
    """Remove rounding errors beyond one."""
    return np.clip(correlation, np.float32(-1), np.float32(1), out=correlation)


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
