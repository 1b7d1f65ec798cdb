"""Whether coupled neurons are tuned alike, more than their numbers of partners and their distances let expect."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from dina.data.pairs import Pairs
from dina.statistics.correlation import standardise_columns
from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_reach
from dina.statistics.repeats import average_halves
from dina.statistics.resampling import percentile_interval
from dina.statistics.rewiring import rewire

MOST_PAIRS = 5000  # of the network, the surest
FEWEST_PAIRS = 20
N_BINS = 10
PAIRS_AT_ONCE = 2000


@dataclass(frozen=True, eq=False)
class TuningHalves:
    """Tuning of all neurons from two halves of the repeats, as columns of unit length.

    Parameters
    ----------
    first, second
        Shape ``(n_stimuli, n_neurons)``.
    """

    first: Float32[np.ndarray, "stimulus neuron"]
    second: Float32[np.ndarray, "stimulus neuron"]

    @classmethod
    def of(cls, pairs: Pairs) -> "TuningHalves":
        """Average odd and even repeats of some images: others than those in which couplings were looked for.

        Differences of repeats and products of repeats share their chance errors, with opposite signs.
        """
        first, second, _ = average_halves(pairs.responses, pairs.stimulus_index)
        return cls(standardise_columns(first), standardise_columns(second))

    def correlate(self, pairs: Int[np.ndarray, "pair 2"]) -> Float[np.ndarray, "pair"]:
        """Return the signal correlation of single pairs; NaN where a neuron is constant."""
        found = [np.empty(0)]
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            one, other = pairs[start : start + PAIRS_AT_ONCE].T
            forth = np.einsum("sp,sp->p", self.first[:, one], self.second[:, other])
            back = np.einsum("sp,sp->p", self.second[:, one], self.first[:, other])
            found.append((forth + back) / 2)
        return np.concatenate(found)


def like_to_like(
    coupled: Int[np.ndarray, "pair 2"],
    tuning: TuningHalves | None,
    position_um: Float[np.ndarray, "neuron 3"] | None,
    n_networks: int,
    generator: np.random.Generator,
) -> Finding:
    """Return the mean signal correlation of coupled pairs beside that of rewired networks.

    Parameters
    ----------
    coupled
        Coupled pairs, the surest first; those that may be one neuron twice taken out.
    tuning
        Of all neurons, from other images; None where these were not repeated.
    position_um
        Their places; None where not known, and then rewired networks keep only the number of partners.
    n_networks
        Rewired networks.
    generator
        Of the rewiring.
    """
    name, pairs = "coupled_signal_correlation", coupled[:MOST_PAIRS]
    if len(pairs) < FEWEST_PAIRS:
        reason = f"Only {len(pairs)} pairs are coupled beyond doubt; a network needs at least {FEWEST_PAIRS}."
        return Finding(name, math.nan, "1", len(pairs), reason=reason)
    if tuning is None:
        return Finding(name, math.nan, "1", len(pairs), reason="Too few validation images were shown twice.")
    values = tuning.correlate(pairs)
    edges = np.empty(0)
    words = "networks rewired with the same numbers of partners"
    if position_um is not None:
        distance = np.linalg.norm(position_um[pairs[:, 0]] - position_um[pairs[:, 1]], axis=1)
        edges = np.quantile(distance, np.arange(1, N_BINS) / N_BINS)
        words += " and the same distances"
    networks = rewire(pairs, position_um, edges, n_networks, generator)
    null = np.array([np.nanmean(tuning.correlate(network)) for network in networks])
    reach = float(prediction_reach(null))
    neurons, member = np.unique(pairs, return_inverse=True)
    low, high = _interval_over_neurons(values, member.reshape(pairs.shape), len(neurons), generator)
    mean = float(null.mean())
    return Finding(name, float(np.nanmean(values)), "1", len(neurons), low, high, mean - reach, mean + reach, words)


def _interval_over_neurons(
    values: np.ndarray, member: np.ndarray, n_neurons: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Bootstrap neurons: a pair counts as often as both its members were drawn."""
    known = np.isfinite(values)
    means = []
    for _ in range(1000):
        drawn = np.bincount(generator.integers(n_neurons, size=n_neurons), minlength=n_neurons)
        weight = (drawn[member[:, 0]] * drawn[member[:, 1]])[known]
        if weight.any():
            means.append(float(weight @ values[known] / weight.sum()))
    return percentile_interval(np.array(means))
