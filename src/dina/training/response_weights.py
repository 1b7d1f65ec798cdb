"""How much each neuron should count: its signal beside its noise, from repeats of the training images."""

import numpy as np
from jaxtyping import Float32

from dina.data.pairs import Pairs

HIGHEST_RELIABILITY = 0.95


def reliability_weights(train: Pairs) -> Float32[np.ndarray, "neuron"]:
    r"""Return √(ρ / (1 − ρ)) of each neuron, scaled to a mean square of 1.

    ρ is the correlation over images between the first and the second trial: the fraction of a neuron's variance that
    the image explains. Divided by the noise deviation, a standardised response has this signal-to-noise ratio.

    Parameters
    ----------
    train
        Training pairs. Without at least three images with two trials all weights are 1.

    Returns
    -------
    weights
        Dimensionless, shape ``(n_neurons,)``; 0 for neurons whose trials do not correlate.
    """
    number = train.repeat_number()
    counts = np.bincount(train.stimulus_index, minlength=train.n_stimuli)
    repeated = np.flatnonzero(counts >= 2)
    if len(repeated) < 3:
        return np.ones(train.n_neurons, dtype=np.float32)
    halves = []
    for repeat in (0, 1):
        row = np.zeros(train.n_stimuli, dtype=np.int64)
        trials = np.flatnonzero(number == repeat)
        row[train.stimulus_index[trials]] = trials
        half = train.responses[row[repeated]].astype(np.float64)
        halves.append(half - half.mean(0))
    spread = np.sqrt((halves[0] ** 2).sum(0) * (halves[1] ** 2).sum(0))
    reliability = np.divide((halves[0] * halves[1]).sum(0), spread, out=np.zeros_like(spread), where=spread > 0)
    reliability = np.clip(reliability, 0.0, HIGHEST_RELIABILITY)
    weights = np.sqrt(reliability / (1 - reliability))
    scale = np.sqrt(np.mean(weights**2))
    return (weights / scale if scale > 0 else np.ones_like(weights)).astype(np.float32)
