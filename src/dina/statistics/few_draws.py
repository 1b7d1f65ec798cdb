"""The range of a null of which only a few draws can be had: where one more draw would lie."""

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from dina.checks import DataError
from dina.statistics.resampling import LEVEL


def prediction_reach(draws: Float[np.ndarray, "draw *more"], level: float = LEVEL) -> Float[np.ndarray, "*more"]:
    r"""Return how far from the mean of some draws one more draw lies at most, with the probability ``level``.

    The outermost of n draws are passed by one more draw in 2 of n + 1 cases, so that quantiles of few draws make a null too
    narrow: of four draws it would hold three fifths.

    Parameters
    ----------
    draws
        Independent draws of one or several statistics, any unit, shape ``(n_draws, ...)``, at least two.
    level
        Probability in (0, 1).

    Returns
    -------
    reach
        Half width of the range about the mean of the draws, unit of the draws, shape ``(...)``.

    Raises
    ------
    DataError
        If there are fewer than two draws.

    Notes
    -----
    Prediction interval of a normal variable: :math:`t_{n-1} s \sqrt{1 + 1/n}` with the standard deviation :math:`s` of the draws.

    Examples
    --------
    >>> prediction_reach(np.array([[-1.0, 0.0], [1.0, 0.0]])).round(2)
    array([22.01,  0.  ])
    """
    n = len(draws)
    if n < 2:
        raise DataError(f"A range needs at least two draws; got {n}. Draw more.")
    quantile = float(student.ppf(0.5 + level / 2, n - 1))
    return np.asarray(quantile * draws.std(axis=0, ddof=1) * np.sqrt(1 + 1 / n))


def prediction_range(draws: Float[np.ndarray, "draw"], centre: float | None = None) -> tuple[float, float]:
    """Return where one more draw of a statistic would lie with a probability of 95 %.

    Parameters
    ----------
    draws
        Independent draws, any unit, shape ``(n_draws,)``, at least two.
    centre
        What the draws lie about, for example 0 for a difference between two draws; None for their mean.

    Examples
    --------
    >>> low, high = prediction_range(np.array([-1.0, 1.0]), 1.0)
    >>> round(low, 2), round(high, 2)
    (-21.01, 23.01)
    """
    middle, reach = float(draws.mean()) if centre is None else centre, float(prediction_reach(draws))
    return middle - reach, middle + reach
