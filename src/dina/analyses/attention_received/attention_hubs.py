"""How unevenly neurons receive attention, beside the same attention with every neuron's favourites exchanged at random."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from dina.analyses.decoded import Decoded
from dina.analyses.neuron_strength import NeuronStrength
from dina.analyses.paid_attention import attention_blocks, attention_tower
from dina.analyses.untrained import draw_untrained
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import jackknife_interval, prediction_range
from dina.statistics.rank_association import rank_correlation
from dina.statistics.sparseness import gini_sparseness

NULL = "attended neurons permuted, for each attending neuron by itself"
UNTRAINED = "untrained towers of the same build"
ALL_EQUAL = "All neurons receive the same attention."
PER_CENT = (1, 5, 10)  # of the neurons, the most attended
DECIMALS = 5  # of attention relative to equal attention: the softmax is computed in single precision
SMALLEST = 1e-9


@dataclass(frozen=True, eq=False)
class ReceivedAttention:
    """The attention that each neuron receives from all; every row sums to 1."""

    by_trial: Float[np.ndarray, "trial neuron"]  # trials of different training images
    permuted: Float[np.ndarray, "draw neuron"]  # mean over trials if each attending neuron had others for its favourites

    @property
    def mean(self) -> Float[np.ndarray, "neuron"]:
        """The attention received, relative to equal attention: mean 1 over neurons, without errors of rounding."""
        return relative(self.by_trial.mean(axis=0, keepdims=True))[0]

    @property
    def leaving_out(self) -> Float[np.ndarray, "trial neuron"]:
        """The mean attention over all trials but one, for each of these."""
        return np.asarray((self.by_trial.sum(axis=0) - self.by_trial) / (len(self.by_trial) - 1))


@torch.no_grad()
def receive_attention(decoded: Decoded, n_images: int, n_permutations: int = 0) -> ReceivedAttention:
    """Return the attention received in one trial of each of some training images drawn at random, and its null.

    The null keeps how unequally every neuron attends. It asks whether neurons agree to which others they attend.
    `DataError` says where the neural tower has no attention.
    """
    tower, train = attention_tower(decoded), decoded.train
    order = generator_for(decoded.seed, "trials of attention").permutation(len(train.responses))
    _, first = np.unique(train.stimulus_index[order], return_index=True)
    trials = np.sort(order[np.sort(first)[:n_images]])
    generator = generator_for(decoded.seed, "permuted attention")
    by_trial, permuted = np.zeros((len(trials), tower.n_neurons)), np.zeros((n_permutations, tower.n_neurons))
    for block in attention_blocks(tower, train.responses[trials]):
        total: Float[np.ndarray, "attending attended"] | float = 0.0
        for trial, weights in enumerate(block):
            paid = weights.double().cpu().numpy()
            by_trial[trial] += paid.sum(axis=0)
            total = total + paid
        for draw in permuted:
            draw += generator.permuted(total, axis=1).sum(axis=0)
    return ReceivedAttention(by_trial / tower.n_neurons, permuted / (tower.n_neurons * len(trials)))


def most_attended(attention: Float[np.ndarray, "neuron"], generator: np.random.Generator) -> Int[np.ndarray, "neuron"]:
    """Return the neurons in order of attention received, the most attended first; those that receive the same in random order."""
    return np.lexsort((generator.random(len(attention)), -attention))


def describe_hubs(received: ReceivedAttention, strength: NeuronStrength) -> tuple[Finding, ...]:
    """Return how unequal the attention received is, and whether signal-to-noise ratios or mean responses explain it.

    Intervals are those of the jackknife over training images. In ``strength``, ratios and mean responses are NaN or have a reason
    where they are not known.
    """
    n, values = len(received.by_trial), _inequality(received.mean[None])
    null, left_out = (_inequality(relative(rows)) for rows in (received.permuted, received.leaving_out))
    found = []
    for name, (value,) in values.items():
        ends = jackknife_interval(float(value), left_out[name])
        found.append(Finding.from_draws(name, float(value), "1", n, None, null[name], NULL, ALL_EQUAL, interval=ends))
    rates = np.full(len(strength.mean_response), np.nan) if strength.rate_reason else strength.mean_response
    with_ratio = rank_correlation("attention_with_signal_to_noise", received.mean, strength.signal_to_noise, strength.reason)
    return (*found, with_ratio, rank_correlation("attention_with_mean_response", received.mean, rates, strength.rate_reason))


def beyond_untrained(received: ReceivedAttention, decoded: Decoded, n_images: int, n_towers: int) -> Finding:
    """Return by how much the Gini coefficient of attention exceeds that in untrained towers of the same build, mean over these."""
    value = _inequality(received.mean[None])["attention_gini"]
    drawn = []
    for towers in draw_untrained(decoded.towers, decoded.seed, n_towers):
        one = receive_attention(replace(decoded, fitted=towers), n_images)
        drawn.append(_inequality(one.mean[None])["attention_gini"][0])
    middle = float(np.mean(drawn))
    without = _inequality(relative(received.leaving_out))["attention_gini"] - middle
    name, n, ends = "attention_gini_beyond_untrained", len(without), jackknife_interval(float(value[0]) - middle, without)
    null = prediction_range(np.array(drawn), middle)
    null = (null[0] - middle, null[1] - middle)
    return Finding.from_draws(name, float(value[0]) - middle, "1", n, interval=ends, null_range=null, null=UNTRAINED)


def relative(attention: Float[np.ndarray, "row neuron"]) -> Float[np.ndarray, "row neuron"]:
    """Divide attention by that which each neuron would receive if all received the same, and drop errors of rounding.

    Examples
    --------
    >>> relative(np.array([[0.5, 0.25, 0.25 + 1e-12, 0.0]]))
    array([[2., 1., 1., 0.]])
    """
    return np.asarray(np.round(attention * attention.shape[1], DECIMALS))


def _inequality(attention: Float[np.ndarray, "row neuron"]) -> dict[str, Float[np.ndarray, "row"]]:
    """Return statistics of every row by name; the skewness is NaN where all neurons receive the same."""
    n = attention.shape[1]
    deviation = attention - attention.mean(axis=1, keepdims=True)
    spread = np.sqrt((deviation**2).mean(axis=1))
    cubed = (deviation**3).mean(axis=1)
    skewness = np.divide(cubed, spread**3, out=np.full(len(spread), np.nan), where=spread > SMALLEST)
    ranked = -np.sort(-attention, axis=1) / attention.sum(axis=1, keepdims=True)
    shares = {f"share_of_top_{part}_percent": ranked[:, : max(1, round(part * n / 100))].sum(axis=1) for part in PER_CENT}
    return {"attention_skewness": skewness, "attention_gini": gini_sparseness(attention.T), **shares}
