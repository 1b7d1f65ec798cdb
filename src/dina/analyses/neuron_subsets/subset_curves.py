"""Sequences of neurons, best first, worst first, at random or matched, and the accuracy of the first neurons of each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from dina.analyses.neuron_readout import NeuronReadout
from dina.analyses.query_trials import QueryTrials
from dina.analyses.score_changes import Treatment
from dina.progress import track

SMALLEST_STRATUM = 5
MOST_STRATA = 40
STEPS_PER_OCTAVE = 2

Orders = Mapping[str, Int[np.ndarray, "draw neuron"]]
"""Sequences of neurons by name."""


@dataclass(frozen=True, eq=False)
class SubsetCurves:
    """Top-1 accuracy by subset of neurons.

    Parameters
    ----------
    sizes
        Numbers of neurons kept, rising, the last all of them, shape ``(n_sizes,)``.
    by_image
        Name of the sequence → fraction of each image's queries whose image was ranked first, mean over draws, shape
        ``(n_sizes, n_images)``.
    by_draw
        Name → mean over images, shape ``(n_draws, n_sizes)``.
    """

    sizes: tuple[int, ...]
    by_image: Mapping[str, Float[np.ndarray, "size image"]]
    by_draw: Mapping[str, Float[np.ndarray, "draw size"]]


def draw_orders(
    ranking: Float[np.ndarray, "neuron"],
    properties: Mapping[str, Float[np.ndarray, "neuron"]],
    n_random: int,
    n_matched: int,
    generator: np.random.Generator,
) -> Orders:
    """Draw all sequences of neurons; the first k of a sequence are a subset of size k.

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

    Returns
    -------
    orders
        Name → sequences, shape ``(n_draws, n_neurons)``: "top" (by ranking), "bottom" (the reverse), "random", and for every
        property "<property>_matched" (see `match_order`) and "<property>_matched_bottom" (its reverse).
    """
    n = len(ranking)
    top = np.argsort(-ranking, kind="stable")
    by_name = {"top": top[None], "bottom": top[None, ::-1]}
    by_name["random"] = np.stack([generator.permutation(n) for _ in range(n_random)])
    for name, values in properties.items():
        matched = np.stack([match_order(top, values, generator) for _ in range(n_matched)])
        by_name[f"{name}_matched"], by_name[f"{name}_matched_bottom"] = matched, matched[:, ::-1]
    return {name: np.ascontiguousarray(order) for name, order in by_name.items()}


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
    Two strata of five neurons:

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


def trace_curves(
    readout: NeuronReadout, trials: QueryTrials, orders: Orders, sizes: tuple[int, ...], treatment: Treatment
) -> SubsetCurves:
    """Decode from the first ``sizes[0]``, ``sizes[1]`` … neurons of every sequence.

    Parameters
    ----------
    readout
        Of the decoder.
    trials
        The queries.
    orders
        From `draw_orders`.
    sizes
        Rising, from 1 to the number of neurons.
    treatment
        What happens to all other neurons.
    """
    by_image, by_draw = {}, {}
    draws = [(name, order) for name, several in orders.items() for order in several]
    found: dict[str, list[np.ndarray]] = {name: [] for name in orders}
    for name, order in track(draws, "Decoding from subsets of neurons"):
        scores = readout.subset_scores(trials.responses, torch.from_numpy(order), sizes, treatment)
        found[name].append(np.stack([trials.accuracy(part) for part in scores]))
    for name, several in found.items():
        by_image[name] = np.mean(several, axis=0)
        by_draw[name] = np.stack([one.mean(1) for one in several])
    return SubsetCurves(sizes, by_image, by_draw)
