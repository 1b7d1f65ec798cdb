"""How strongly and how reliably each neuron responds to the training images, and how unequal neurons truly are in that."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.statistics.reliability import signal_variance_fraction, split_half_reliability
from dina.statistics.sparseness import gini_sparseness

BELOW_ZERO = (
    "Mean responses say how strongly neurons respond only where no response lies below zero; here some do, as z-scores do."
)
HIGHEST_FRACTION = 0.999  # of signal in a neuron's variance: a ratio of signal to noise stays finite
N_HALVINGS = 5
LEAST_RELIABILITY = 0.5
MOST_ERROR = 0.1
"""Gini coefficient that errors alone may have where ratios are less reliable: that of a margin of the verdicts."""


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
    return NeuronStrength(mean, reliability, _ratio_of(fraction), "", rate_reason)


def shrink_ratios(
    train: Pairs, strength: NeuronStrength, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "neuron"], str]:
    r"""Draw estimated signal-to-noise ratios together until they are as unequal as the true ones must be.

    Errors of estimation make neurons seem more unequal than they are.

    Parameters
    ----------
    train
        Training trials.
    strength
        What was measured on all of them.
    generator
        Of the halves.

    Returns
    -------
    ratios
        At least 0, shape ``(n_neurons,)``; which neuron has which is no better known than before, but their distribution is.
    reason
        Why they cannot be had; "" where they can.

    Notes
    -----
    Ratios from half of the images have twice the variance of errors. Errors and true differences add up in the square of the Gini
    coefficient, as in a variance, so that :math:`G^2 = 2 G_\mathrm{all}^2 - G_\mathrm{half}^2` is left for the true ratios, and
    deviations from the mean are multiplied by :math:`G / G_\mathrm{all}`. The share :math:`(G / G_\mathrm{all})^2` is the
    reliability; where it is below a half, little is known but the errors, unless these are small themselves.
    """
    if strength.reason:
        return strength.signal_to_noise, strength.reason
    ratios = np.nan_to_num(strength.signal_to_noise)
    single = train.n_presentations == 1
    responses, index = train.responses[single], train.stimulus_index[single]
    halves = []
    for _ in range(N_HALVINGS):
        is_first = generator.permutation(train.n_stimuli) % 2 == 0
        for rows in (is_first[index], ~is_first[index]):
            try:
                part = np.nan_to_num(_ratio_of(signal_variance_fraction(responses[rows], index[rows])))
            except DataError:
                reason = "Half of the training images hold too few repeats for signal-to-noise ratios."
                return np.full(len(ratios), np.nan), reason
            halves.append(float(gini_sparseness(part[:, None])[0]) ** 2)
    whole, half = float(gini_sparseness(ratios[:, None])[0]) ** 2, float(np.mean(halves))
    reliability = min(max(2 - half / whole, 0.0), 1.0) if whole > 0 else 0.0
    if not (reliability >= LEAST_RELIABILITY or half - whole <= MOST_ERROR**2):
        reason = (
            f"Signal-to-noise ratios differ mostly by their errors: {reliability:.0%} of their inequality belongs to the neurons, and"
            f" {LEAST_RELIABILITY:.0%} are needed. Record more images or repeats."
        )
        return np.full(len(ratios), np.nan), reason
    mean = ratios.mean()
    return mean + np.sqrt(reliability) * (ratios - mean), ""


def _ratio_of(fraction: Float[np.ndarray, "neuron"]) -> Float[np.ndarray, "neuron"]:
    """Turn the fraction of signal in single-trial variance into signal over noise, at least 0 and finite."""
    bounded = np.clip(fraction, 0.0, HIGHEST_FRACTION)
    return np.asarray(bounded / (1 - bounded))
