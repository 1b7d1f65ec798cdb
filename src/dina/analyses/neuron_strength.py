"""How strongly and how reliably each neuron responds to the training images."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.statistics.reliability import signal_variance_fraction, split_half_reliability

BELOW_ZERO = (
    "Mean responses say how strongly neurons respond only where no response lies below zero; here some do, as z-scores do."
)
HIGHEST_FRACTION = 0.999  # of signal in a neuron's variance: a ratio of signal to noise stays finite


@dataclass(frozen=True, eq=False)
class NeuronStrength:
    """Properties of single neurons from training trials; nothing here knows of any decoder.

    Parameters
    ----------
    mean_response
        In the recording's units, shape ``(n_neurons,)``.
    reliability
        Correlation between halves of the trials, shape ``(n_neurons,)``; NaN without repeats or for a constant neuron.
    signal_to_noise
        Signal variance over noise variance of single trials, at least 0, same shape; NaN as above.
    reason
        Why reliability and signal-to-noise are NaN everywhere; "" where they are not.
    rate_reason
        Why mean responses do not say how strongly neurons respond; "" where they do.
    """

    mean_response: Float[np.ndarray, "neuron"]
    reliability: Float[np.ndarray, "neuron"]
    signal_to_noise: Float[np.ndarray, "neuron"]
    reason: str = ""
    rate_reason: str = ""


def measure_strength(train: Pairs) -> NeuronStrength:
    """Measure every neuron on the training trials; what needs repeats is NaN, with a reason, where there are none."""
    mean = train.standardiser.mean.astype(np.float64)
    # a response is at its lowest where it was standardised from zero: rounding may leave it slightly below
    raw = train.averaged() * train.standardiser.deviation + train.standardiser.mean
    is_below = bool((raw < -1e-4 * np.abs(raw).max(axis=0, initial=0.0)).any())
    rate_reason = BELOW_ZERO if is_below else ""
    single = train.n_presentations == 1
    responses, index = train.responses[single], train.stimulus_index[single]
    try:
        fraction = signal_variance_fraction(responses, index)
        reliability = split_half_reliability(responses, index)
    except DataError as error:
        unknown = np.full(len(mean), np.nan)
        return NeuronStrength(mean, unknown, unknown, str(error), rate_reason)
    return NeuronStrength(mean, reliability, ratio_of(fraction), "", rate_reason)


def ratio_of(fraction: Float[np.ndarray, "neuron"]) -> Float[np.ndarray, "neuron"]:
    """Turn the fraction of signal in single-trial variance into signal over noise, at least 0 and finite.

    Examples
    --------
    >>> ratio_of(np.array([-0.1, 0.5]))
    array([0., 1.])
    """
    bounded = np.clip(fraction, 0.0, HIGHEST_FRACTION)
    return np.asarray(bounded / (1 - bounded))
