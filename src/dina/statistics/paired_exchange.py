"""Whether two ways of doing something differ over mice, by exchanging the two within each mouse."""

import itertools

import numpy as np
from jaxtyping import Float

from dina.checks import DataError
from dina.randomness import generator_for
from dina.statistics.resampling import permutation_p_value

MOST_EXACT = 14
"""Most mice for which all exchanges are carried out; with more, random ones are."""


def paired_exchange_p_value(difference: Float[np.ndarray, "mouse"], seed: int = 0, n_exchanges: int = 10_000) -> float:
    """Return the two-sided p-value of a mean of paired differences, from exchanging the two members of each pair.

    Give one difference for each mouse, not for each neuron, image or recording: only mice are drawn independently.

    Parameters
    ----------
    difference
        First minus second, in any unit, finite, shape ``(n_mice,)``.
    seed
        Of random exchanges; not used where all can be carried out.
    n_exchanges
        Number of random exchanges.

    Returns
    -------
    p_value
        With *n* mice it cannot be below 2 / 2ⁿ: five mice cannot reach 0.05.

    Raises
    ------
    DataError
        If there is no difference, or one is not finite.

    References
    ----------
    Fisher (1935), The Design of Experiments, section 21. Phipson & Smyth (2010), https://doi.org/10.2202/1544-6115.1585

    Examples
    --------
    Six of six mice gain: 2 of 64 exchanges are as extreme.

    >>> paired_exchange_p_value(np.array([0.1, 0.2, 0.1, 0.3, 0.2, 0.1]))
    0.03125
    """
    if not len(difference) or not np.isfinite(difference).all():
        raise DataError(f"Paired differences must be finite, and at least one; got {difference!r}. Leave out mice without both.")
    observed = abs(float(difference.mean()))
    if len(difference) <= MOST_EXACT:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(difference))))
        # the first row is the observation itself
        return permutation_p_value(observed, np.abs(signs[1:] @ difference) / len(difference), "large")
    drawn = 1.0 - 2.0 * generator_for(seed, "paired exchange").integers(2, size=(n_exchanges, len(difference)))
    return permutation_p_value(observed, np.abs(drawn @ difference) / len(difference), "large")
