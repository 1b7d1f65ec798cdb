"""How two neurons vary together: with the images (signal correlation) and from trial to trial (noise correlation)."""

import numpy as np
from jaxtyping import Float, Float32, Int

from dina.checks import DataError


def signal_correlations(
    first: Float[np.ndarray, "stimulus neuron"],
    second: Float[np.ndarray, "same_stimulus same_neuron"],
    chosen: Int[np.ndarray, "chosen"] | None = None,
) -> Float32[np.ndarray, "row neuron"]:
    r"""Correlate the tuning of neurons across images, one neuron's from some trials and the other's from other trials.

    Noise that two neurons share is in no product of different trials, so it does not pass for shared tuning, as it does when
    both are averaged over the same trials.

    Parameters
    ----------
    first, second
        Responses to the same images averaged over different trials, any unit, shape ``(n_stimuli, n_neurons)``
        (`dina.statistics.reliability.average_halves`).
    chosen
        Neurons that make up the rows of the result; None for all.

    Returns
    -------
    correlation
        Mean of both ways round, in [-1, 1], float32, shape ``(n_chosen, n_neurons)``; smaller in size the less
        reliable the neurons are; on the diagonal the split-half reliability; NaN where a half is constant.

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
    r"""Correlate what the responses of neurons have besides their average response to each image.

    Parameters
    ----------
    residuals
        Independent rows without signal, for example differences between repeats of one image, any unit, shape
        ``(n_rows, n_neurons)``. Residuals about the mean of a few repeats are not independent; differences are.
    chosen
        Neurons that make up the rows of the result; None for all.

    Returns
    -------
    correlation
        In [-1, 1], float32, shape ``(n_chosen, n_neurons)``; NaN where a neuron never varies.

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


def noise_correlation_errors(
    residuals: Float[np.ndarray, "row neuron"], chosen: Int[np.ndarray, "chosen"] | None = None
) -> Float32[np.ndarray, "row_neuron neuron"]:
    r"""Return the standard error of each noise correlation, without assuming that responses are Gaussian.

    Parameters
    ----------
    residuals, chosen
        As in `noise_correlations`.

    Returns
    -------
    error
        Dimensionless, shape ``(n_chosen, n_neurons)``; NaN where a neuron never varies.

    Notes
    -----
    Delta method: with standardised residuals :math:`z` the error is the deviation of
    :math:`z_i z_j - \tfrac{\rho}{2}(z_i^2 + z_j^2)` over :math:`\sqrt{n}`, :math:`(1 - \rho^2) / \sqrt{n}` for Gaussian ones.
    Responses that are mostly zero and rarely large have errors several times that.

    References
    ----------
    Steiger & Hakstian (1982), Br. J. Math. Stat. Psychol. 35:208. https://doi.org/10.1111/j.2044-8317.1982.tb00653.x

    Examples
    --------
    Ten thousand independent Gaussian rows have a standard error of 1/100:

    >>> noise_correlation_errors(np.random.default_rng(0).standard_normal((10_000, 2)))[0, 1].round(3)
    np.float32(0.01)
    """
    n_rows = len(residuals)
    z = standardise_columns(residuals) * np.float32(np.sqrt(n_rows))
    rows = slice(None) if chosen is None else chosen
    own = z[:, rows]
    rho = own.T @ z / n_rows
    square, own_square = z**2, own**2
    both = own_square.T @ square / n_rows
    uneven = (own_square * own).T @ z / n_rows + own.T @ (square * z) / n_rows
    fourth = (square**2).mean(0)
    spread = both - rho * uneven + rho**2 / 4 * (fourth[rows][:, None] + fourth + 2 * both)
    error: np.ndarray = np.sqrt(np.maximum(spread, 0) / n_rows)
    return error


def shuffle_repeats(
    responses: Float32[np.ndarray, "trial neuron"], stimulus_index: Int[np.ndarray, "trial"], generator: np.random.Generator
) -> Float32[np.ndarray, "trial neuron"]:
    r"""Exchange the trials of each image at random, for each neuron by itself: tuning stays, noise correlations go.

    Parameters
    ----------
    responses
        Any unit, shape ``(n_trials, n_neurons)``.
    stimulus_index
        For each trial its image, shape ``(n_trials,)``; images may have unequal numbers of trials.
    generator
        Of the exchanges.

    Returns
    -------
    shuffled
        Each neuron has the same responses to each image, and the same average. Two neurons still stand in one trial by chance:
        of R trials, one in R, so that 1/R of the noise correlation about the *true* mean is left, half of it with two.

    References
    ----------
    Averbeck, Latham & Pouget (2006), Nat. Rev. Neurosci. 7:358. https://doi.org/10.1038/nrn1888

    Examples
    --------
    >>> trials = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]], dtype=np.float32)
    >>> shuffle_repeats(trials, np.array([0, 0, 1]), np.random.default_rng(1)).sum(axis=0)
    array([ 6., 18.], dtype=float32)
    """
    shuffled = responses.copy()
    order = np.argsort(stimulus_index, kind="stable")
    _, counts = np.unique(stimulus_index, return_counts=True)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    for n_repeats in np.unique(counts[counts > 1]):
        rows = order[first[counts == n_repeats][:, None] + np.arange(n_repeats)]
        # some images at a time: the exchanges are as large as the responses
        for part in np.array_split(rows, max(1, rows.size * responses.shape[1] // 4_000_000)):
            block = responses[part]
            exchange = np.argsort(generator.random(block.shape, dtype=np.float32), axis=1)
            shuffled[part] = np.take_along_axis(block, exchange, axis=1)
    return shuffled


def standardise_columns(values: Float[np.ndarray, "row neuron"]) -> Float32[np.ndarray, "row neuron"]:
    """Centre each column and scale it to unit length, so that inner products are correlations; NaN where it is constant."""
    centred = values.astype(np.float32) - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    length = np.sqrt(np.einsum("rn,rn->n", centred, centred, dtype=np.float64))
    constant = length <= 1e-6 * np.abs(values).max(axis=0) * np.sqrt(len(values))
    scale = np.divide(1.0, length, out=np.full(len(length), np.nan), where=~constant)
    return centred * scale.astype(np.float32)


def _bounded(correlation: Float32[np.ndarray, "row neuron"]) -> Float32[np.ndarray, "row neuron"]:
    """Take away the rounding that leads beyond one."""
    return np.clip(correlation, np.float32(-1), np.float32(1), out=correlation)
