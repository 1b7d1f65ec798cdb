"""Contributions averaged over all orders in which neurons could join: Shapley values by sampled permutations."""

import numpy as np
import torch
from jaxtyping import Float

from dina.analyses.asked import Asked
from dina.analyses.neuron_readout import NeuronReadout
from dina.progress import track


def sample_shapley(
    readout: NeuronReadout, asked: Asked, n_permutations: int, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "neuron"], Float[np.ndarray, "neuron"]]:
    """Estimate the Shapley value of every neuron for the mean margin.

    Where two neurons carry the same, the loss of either alone costs nothing; a Shapley value gives each its half.
    Permutations come in pairs, one the reverse of the other, which cancels much of the sampling error.

    Parameters
    ----------
    readout
        Of a decoder; where it has no closed form, groups of neurons join together.
    asked
        The queries.
    n_permutations
        Even, at least 4.
    generator
        Draws the permutations.

    Returns
    -------
    value
        In units of the margin, shape ``(n_neurons,)``; the values add up to the mean margin.
    error
        Standard error of each value from the sampling of permutations, same shape.

    References
    ----------
    Castro, Gómez & Tejada (2009), Comput. Oper. Res. 36:1726. https://doi.org/10.1016/j.cor.2008.04.004

    Mitchell et al. (2022), J. Mach. Learn. Res. 23:43 (pairs). https://doi.org/10.48550/arXiv.2104.12199
    """
    pairs = []
    for _ in track(range(n_permutations // 2), "Sampling Shapley values"):
        order = torch.from_numpy(generator.permutation(readout.n_neurons))
        both = [readout.marginal_gains(asked.responses, asked.target, way) for way in (order, order.flip(0))]
        pairs.append(((both[0] + both[1]) / 2).numpy())
    drawn = np.stack(pairs)
    return drawn.mean(0), drawn.std(0, ddof=1) / np.sqrt(len(drawn))
