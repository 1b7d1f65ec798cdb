"""The orders in which neurons join a decoder: best first, worst first, at random, or matched to the best first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

SMALLEST_STRATUM = 5
MOST_STRATA = 40
STEPS_PER_OCTAVE = 2


@dataclass(frozen=True, eq=False)
class SubsetOrders:
    """Sequences of neurons by name; the first k of a sequence are a subset of size k.

    Parameters
    ----------
    by_name
        Name → sequences, shape ``(n_draws, n_neurons)``: "top" (ranked by contribution to training images),
        "bottom" (the reverse), "random", and for every property "<property>_matched" (see `match_order`) and
        "<property>_matched_bottom" (its reverse).
    """

    by_name: Mapping[str, Int[np.ndarray, "draw neuron"]]


def draw_orders(
    ranking: Float[np.ndarray, "neuron"],
    properties: Mapping[str, Float[np.ndarray, "neuron"]],
    n_random: int,
    n_matched: int,
    generator: np.random.Generator,
) -> SubsetOrders:
    """Draw all sequences of neurons.

    Parameters
    ----------
    ranking
        Larger for neurons that are to come first; learnt from training images.
    properties
        Name → what matched sequences have in common with the top one, for example signal-to-noise ratios. NaN is lowest.
    n_random, n_matched
        Numbers of draws.
    generator
        Source of randomness.
    """
    n = len(ranking)
    top = np.argsort(-ranking, kind="stable")
    by_name = {"top": top[None], "bottom": top[None, ::-1]}
    by_name["random"] = np.stack([generator.permutation(n) for _ in range(n_random)])
    for name, values in properties.items():
        matched = np.stack([match_order(top, values, generator) for _ in range(n_matched)])
        by_name[f"{name}_matched"], by_name[f"{name}_matched_bottom"] = matched, matched[:, ::-1]
    return SubsetOrders({name: np.ascontiguousarray(order) for name, order in by_name.items()})


def match_order(
    order: Int[np.ndarray, "neuron"], values: Float[np.ndarray, "neuron"], generator: np.random.Generator
) -> Int[np.ndarray, "neuron"]:
    """Replace every neuron of a sequence by one drawn from those with about the same property.

    Neurons are cut into strata by rank of the property and permuted within: the first k of the result have the
    distribution of the property that the first k of ``order`` have, and nothing else in common with them.

    Parameters
    ----------
    order
        Indices of neurons.
    values
        The property of each neuron; NaN counts as lowest.
    generator
        Source of randomness.

    Examples
    --------
    Two strata of five: those at even places keep company with one another.

    >>> values = np.repeat([1.0, 2.0], 5)
    >>> matched = match_order(np.arange(10), values, np.random.default_rng(0))
    >>> sorted(matched[:5].tolist()), sorted(matched[5:].tolist())
    ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    """
    n = len(order)
    n_strata = max(1, min(MOST_STRATA, n // SMALLEST_STRATUM))
    # neurons alike in the property are put in random order first, so that their strata are random
    shuffled = generator.permutation(n)
    rank = shuffled[np.argsort(np.nan_to_num(values[shuffled], nan=-np.inf), kind="stable")]
    replacement = np.empty(n, dtype=np.int64)
    for stratum in np.array_split(rank, n_strata):
        replacement[stratum] = generator.permutation(stratum)
    return replacement[order]


def subset_sizes(n_neurons: int) -> tuple[int, ...]:
    """Return sizes of subsets evenly spaced in their logarithm, from one neuron to all, about two for every doubling.

    Examples
    --------
    >>> subset_sizes(20)
    (1, 2, 3, 4, 5, 7, 10, 14, 20)
    """
    n_steps = max(1, round(np.log2(max(n_neurons, 2)) * STEPS_PER_OCTAVE))
    sizes = np.rint(n_neurons ** (np.arange(n_steps + 1) / n_steps)).astype(int)
    return tuple(int(size) for size in np.unique(sizes))
