"""Make p-values by permuting a decoder's targets or exchanging pairs within mice, and adjust them for many tests at once."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import false_discovery_control

from dina.checks import DataError
from dina.randomness import generator_for

# Most mice for which all exchanges are carried out; with more, random ones are.
MOST_EXACT = 14

_CHUNK = 2_000_000  # largest number of table look-ups held at a time (16 MB)


def permutation_p_value(observed: float, permuted: Float[np.ndarray, "permutation"], extreme: Literal["small", "large"]) -> float:
    r"""Return the p-value of a statistic from its values under random permutation; never 0.

    Parameters
    ----------
    observed, permuted
        The statistic of the data, and after each random permutation.
    extreme
        Whether "small" or "large" values are evidence against chance.

    Notes
    -----
    :math:`(b + 1) / (m + 1)` with :math:`b` of :math:`m` permutations at least as extreme; the observed assignment counts as one.

    References
    ----------
    Phipson & Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39. https://doi.org/10.2202/1544-6115.1585

    Examples
    --------
    >>> permutation_p_value(5.0, np.array([1.0, 2.0, 3.0]), "large")
    0.25
    """
    # sums in another order differ by rounding; such a permutation is as extreme as the observation itself
    slack = 1e-9 * max(1.0, abs(observed))
    as_extreme = permuted <= observed + slack if extreme == "small" else permuted >= observed - slack
    return (int(as_extreme.sum()) + 1) / (len(permuted) + 1)


def permuted_targets_p_value(
    costs: Sequence[Float[np.ndarray, "_ _"]], generator: np.random.Generator, n_permutations: int = 10_000
) -> float:
    r"""Return how often targets assigned at random cost a decoder as little in total as the true ones do: its p-value.

    Parameters
    ----------
    costs
        One table, or one for each of several folds that train on each other's pairs. Entry (i, j) is the sum of a cost, such as the
        log rank, over the queries of image i if image j were their target. The diagonal was observed.
    generator, n_permutations
        Of the assignments. All queries of an image keep one target, which comes from the same fold.

    Notes
    -----
    With several folds, deviations of the total from its mean are multiplied by √2. Let :math:`C_k` be the association of images with
    responses in fold :math:`k`, here pure chance. A decoder learns :math:`\sum_{j \ne k} C_j`, and its success in fold :math:`k` is
    in first order :math:`\sum_{j \ne k} \langle C_j, C_k \rangle`. In the sum over folds every pair of folds counts twice, once for
    each of the two as the tested one, and with the same value. So the variance is twice that of independent folds, and
    permutations within folds see only the latter: without the factor, decoders of pure noise had p < 0.05 in 8 to 11 % of
    simulated studies, with it in 2 to 4 %.

    Examples
    --------
    Two of six assignments cost nothing:

    >>> cost = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    >>> round(permuted_targets_p_value([cost], np.random.default_rng(0)), 1)
    0.3
    """
    totals = np.sum([permuted_totals(cost, generator, n_permutations) for cost in costs], axis=0)
    if len(costs) > 1:
        mean = sum(float(cost.sum()) / len(cost) for cost in costs)
        totals = mean + math.sqrt(2) * (totals - mean)
    return permutation_p_value(sum(float(cost.diagonal().sum()) for cost in costs), totals, "small")


def permuted_totals(
    cost: Float[np.ndarray, "image same_image"], generator: np.random.Generator, n_permutations: int
) -> Float[np.ndarray, "permutation"]:
    """Return the sum over images i of the entries (i, j) of a table, for random permutations j of the images.

    Examples
    --------
    >>> permuted_totals(np.ones((3, 3)), np.random.default_rng(0), 2).tolist()
    [3.0, 3.0]
    """
    itself = np.arange(len(cost))
    totals = np.empty(n_permutations)
    step = max(1, _CHUNK // len(cost))
    for start in range(0, n_permutations, step):
        n = min(step, n_permutations - start)
        assigned = generator.permuted(np.broadcast_to(itself, (n, len(cost))), axis=1)
        totals[start : start + n] = cost[itself, assigned].sum(axis=1)
    return totals


def paired_exchange_p_value(difference: Float[np.ndarray, "mouse"], seed: int = 0, n_exchanges: int = 10_000) -> float:
    """Return the two-sided p-value of a mean of paired differences, from exchanging the two members of each pair.

    With *n* mice it cannot be below 2 / 2ⁿ: five mice cannot reach 0.05.

    Parameters
    ----------
    difference
        First minus second, in any unit, finite; one for each mouse, not for each neuron, image or recording, because only mice are
        drawn independently.
    seed, n_exchanges
        Of random exchanges; with few mice all exchanges are carried out instead.

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
        raise DataError(
            f"Paired differences must be finite, and at least one; got {difference!r}. Leave out animals without both."
        )
    observed = abs(float(difference.mean()))
    if len(difference) <= MOST_EXACT:  # all signs but the first row, which is the observation itself
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(difference))))[1:]
    else:
        signs = 1.0 - 2.0 * generator_for(seed, "paired exchange").integers(2, size=(n_exchanges, len(difference)))
    return permutation_p_value(observed, np.abs(signs @ difference) / len(difference), "large")


def control_false_discoveries(p_values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return adjusted p-values (q-values): they bound the expected share of false findings.

    Of the tests with a value up to 5 %, the expected share of false findings is at most 5 %: it is a mean over many studies, and
    may be larger in one. It holds for tests that are independent or positively dependent.

    All p-values belong to one family of tests. NaN marks a test that could not be made: it does not count, and stays NaN.

    References
    ----------
    Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57:289. https://doi.org/10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> control_false_discoveries(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    adjusted = np.full(p_values.shape, np.nan)
    is_known = np.isfinite(p_values)
    if is_known.any():
        adjusted[is_known] = false_discovery_control(p_values[is_known])
    return adjusted


def adjust_for_discoveries(p_values: Float[np.ndarray, "tested"], n_pairs: int) -> Float[np.ndarray, "tested"]:
    """Return Benjamini-Hochberg adjusted p-values where only the most promising of ``n_pairs`` pairs were tested.

    The others count with a p-value of 1, which can only make the adjusted values larger. Source as `control_false_discoveries`.

    Examples
    --------
    >>> adjust_for_discoveries(np.array([0.001, 0.02]), 10)
    array([0.01, 0.1 ])
    """
    if not len(p_values):
        return p_values
    adjusted: np.ndarray = np.minimum(false_discovery_control(p_values) * n_pairs / len(p_values), 1.0)
    return adjusted
