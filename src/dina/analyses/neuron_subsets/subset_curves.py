"""Sequences of neurons, best first, worst first, at random or matched, and the accuracy of the first neurons of each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from dina.analyses.closed_readouts import Treatment
from dina.analyses.neuron_readout import NeuronReadout
from dina.analyses.query_trials import QueryTrials
from dina.progress import track

SMALLEST_STRATUM = 5
MOST_STRATA = 40
STEPS_PER_OCTAVE = 2

# Sequences of neurons by name.
Orders = Mapping[str, Int[np.ndarray, "draw neuron"]]


@dataclass(frozen=True, eq=False)
class SubsetCurves:
    """Top-1 accuracy by subset of neurons and name of the sequence; the last size holds all neurons."""

    sizes: tuple[int, ...]  # numbers of neurons kept, rising
    by_image: Mapping[str, Float[np.ndarray, "size image"]]  # fraction of its queries ranked first, mean over draws
    by_draw: Mapping[str, Float[np.ndarray, "draw size"]]  # mean over images


def draw_orders(
    ranking: Float[np.ndarray, "neuron"],
    properties: Mapping[str, Float[np.ndarray, "neuron"]],
    n_random: int,
    n_matched: int,
    generator: np.random.Generator,
) -> Orders:
    """Draw all sequences of neurons; the first k of a sequence are a subset of size k.

    They are "top" (by ``ranking``, which is learnt from training images), "bottom" (the reverse), "random", and for every
    property, for example signal-to-noise ratios, "<property>_matched" (see `match_order`) and "<property>_matched_bottom".
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
    """Replace every neuron of a sequence by one drawn from those with about the same property; NaN counts as lowest.

    Neurons are cut into strata by rank of the property and permuted within: the first k of the result have the
    distribution of the property that the first k of ``order`` have, and nothing else in common with them.

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


def kept_sizes(n_neurons: int) -> tuple[int, ...]:
    """Return numbers of neurons to keep: some from one to all, and what is left when as many are removed."""
    added = subset_sizes(n_neurons)
    return tuple(sorted({*added, *(n_neurons - size for size in added if size <= n_neurons // 2)}))


def trace_curves(
    readout: NeuronReadout, trials: QueryTrials, orders: Orders, sizes: tuple[int, ...], treatment: Treatment
) -> SubsetCurves:
    """Decode from the first ``sizes[0]``, ``sizes[1]`` … neurons of every sequence, all others removed or silenced."""
    draws = [(name, order) for name, several in orders.items() for order in several]
    found: dict[str, list[np.ndarray]] = {name: [] for name in orders}
    for name, order in track(draws, "Decoding from subsets of neurons"):
        scores = readout.subset_scores(trials.responses, torch.from_numpy(order), sizes, treatment)
        found[name].append(np.stack([trials.accuracy(part) for part in scores]))
    by_image = {name: np.mean(several, axis=0) for name, several in found.items()}
    by_draw = {name: np.stack([one.mean(1) for one in several]) for name, several in found.items()}
    return SubsetCurves(sizes, by_image, by_draw)
