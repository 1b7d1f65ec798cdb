"""Interactions in any towers, by silencing a sample of neurons one by one and in pairs."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import TowerReadout
from dina.analyses.score_changes import margins
from dina.progress import track
from dina.randomness import generator_for

N_QUERIES = 64  # test images asked for, at most: a tower with attention answers a few hundred responses a second


@dataclass(frozen=True, eq=False)
class SilencedPairs:
    """What silencing takes from the margin of each query.

    Parameters
    ----------
    pairs
        Indices of neurons, shape ``(n_pairs, 2)``.
    interaction
        Margin lost without both less that lost without each, in units of the score, shape ``(n_queries, n_pairs)``.
    contribution
        Margin lost without each sampled neuron, shape ``(n_queries, n_sampled)``.
    """

    pairs: Int[np.ndarray, "pair 2"]
    interaction: Float[np.ndarray, "query pair"]
    contribution: Float[np.ndarray, "query sampled"]


def interactions_by_silencing(decoded: Decoded, n_neurons: int) -> SilencedPairs:
    """Silence (set to the mean response) a random sample of neurons, alone and in pairs, and measure the margin.

    Parameters
    ----------
    decoded
        Towers and test images.
    n_neurons
        Size of the sample; all if there are fewer.
    """
    generator = generator_for(decoded.seed, "silenced pairs")
    n_all = decoded.test.n_neurons
    chosen = np.sort(generator.choice(n_all, min(n_neurons, n_all), replace=False))
    n_images = decoded.test.n_stimuli
    images = np.sort(generator.choice(n_images, min(N_QUERIES, n_images), replace=False))
    readout = TowerReadout.of(decoded.towers, torch.from_numpy(decoded.test.images))
    responses = torch.from_numpy(decoded.test.averaged()[images]).double()
    target = torch.from_numpy(images)
    whole = margins(readout.scores(responses), target)

    def lost(gone: list[int]) -> Tensor:
        without = responses.clone()
        without[:, gone] = 0
        return whole - margins(readout.scores(without), target)

    alone = {int(neuron): lost([int(neuron)]) for neuron in chosen}
    pairs = list(combinations(alone, 2))
    both = [lost(list(pair)) - alone[pair[0]] - alone[pair[1]] for pair in track(pairs, "Silencing pairs of neurons")]
    return SilencedPairs(np.array(pairs), torch.stack(both, 1).numpy(), torch.stack(list(alone.values()), 1).numpy())
