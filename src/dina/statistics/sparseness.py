"""How unequally responses are spread: over images for a neuron, or over neurons for an image."""

import numpy as np
from jaxtyping import Float

from dina.checks import DataError


def treves_rolls_sparseness(responses: Float[np.ndarray, "observation variable"]) -> Float[np.ndarray, "variable"]:
    r"""Return the sparseness of each column: 0 if all its values are equal, 1 if a single one is not 0.

    Parameters
    ----------
    responses
        Not negative, any unit, shape ``(n_observations, n_variables)``: images by neurons for lifetime sparseness,
        neurons by images for population sparseness.

    Returns
    -------
    sparseness
        In [0, 1]; NaN for a column of zeros.

    Raises
    ------
    DataError
        If a response is negative or there is only one observation.

    Notes
    -----
    :math:`(1 - \langle r \rangle^2 / \langle r^2 \rangle) / (1 - 1/n)`. Calcium signals and their deconvolution change it.

    References
    ----------
    Treves & Rolls (1991), Network 2:371. https://doi.org/10.1088/0954-898X_2_4_004
    Vinje & Gallant (2000), Science 287:1273. https://doi.org/10.1126/science.287.5456.1273

    Examples
    --------
    >>> treves_rolls_sparseness(np.array([[1.0, 0.0], [1.0, 3.0], [1.0, 0.0]])).round(6)
    array([0., 1.])
    """
    _check_not_negative(responses)
    n = len(responses)
    square_mean = responses.mean(axis=0, dtype=np.float64) ** 2
    mean_square = np.einsum("ov,ov->v", responses, responses, dtype=np.float64) / n
    ratio = np.divide(square_mean, mean_square, out=np.full(responses.shape[1], np.nan), where=mean_square > 0)
    return np.clip((1 - ratio) / (1 - 1 / n), 0.0, 1.0)


def gini_sparseness(responses: Float[np.ndarray, "observation variable"]) -> Float[np.ndarray, "variable"]:
    """Return the Gini coefficient of each column: 0 if all its values are equal, 1 - 1/n if a single one is not 0.

    Arguments, NaN and errors as `treves_rolls_sparseness`.

    References
    ----------
    Hurley & Rickard (2009), IEEE Trans. Inf. Theory 55:4723. https://doi.org/10.1109/TIT.2009.2027527

    Examples
    --------
    >>> gini_sparseness(np.array([[1.0, 0.0], [1.0, 3.0], [1.0, 0.0], [1.0, 0.0]]))
    array([0.  , 0.75])
    """
    _check_not_negative(responses)
    n = len(responses)
    total = responses.sum(axis=0, dtype=np.float64)
    place = 2 * np.arange(1, n + 1) - n - 1
    weighted = place @ np.sort(responses, axis=0).astype(np.float64)
    return np.divide(weighted, n * total, out=np.full(responses.shape[1], np.nan), where=total > 0)


def _check_not_negative(responses: Float[np.ndarray, "observation variable"]) -> None:
    """Refuse negative responses, for which sparseness has no meaning, and single observations."""
    if len(responses) < 2 or (responses < 0).any():
        raise DataError(
            "Sparseness needs at least two responses that are not negative; got"
            f" {len(responses)} with minimum {responses.min(initial=0.0):g}. Use responses in their own units, not z-scores."
        )
