"""Signal-to-noise ratios freed of the errors of estimation, which make neurons seem more unequal than they are."""

import numpy as np
from jaxtyping import Float

from dina.analyses.neuron_strength import NeuronStrength, ratio_of
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.statistics.reliability import signal_variance_fraction
from dina.statistics.sparseness import gini_sparseness

N_HALVINGS = 5
LEAST_RELIABILITY = 0.5
MOST_ERROR = 0.1
"""Gini coefficient that errors alone may have where ratios are less reliable: that of a margin of the verdicts."""


def shrink_ratios(
    train: Pairs, strength: NeuronStrength, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "neuron"], str]:
    r"""Draw estimated ratios together until they are as unequal as the true ones must be.

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
                part = np.nan_to_num(ratio_of(signal_variance_fraction(responses[rows], index[rows])))
            except DataError:
                return np.full(
                    len(ratios), np.nan
                ), "Half of the training images hold too few repeats for signal-to-noise ratios."
            halves.append(float(gini_sparseness(part[:, None])[0]) ** 2)
    whole, half = float(gini_sparseness(ratios[:, None])[0]) ** 2, float(np.mean(halves))
    reliability = min(max(2 - half / whole, 0.0), 1.0) if whole > 0 else 0.0
    if not (reliability >= LEAST_RELIABILITY or half - whole <= MOST_ERROR**2):
        reason = (
            f"Signal-to-noise ratios differ by their errors more than by themselves: {reliability:.0%} of their inequality is the"
            f" neurons' own, and {LEAST_RELIABILITY:.0%} are needed. Record more images or repeats."
        )
        return np.full(len(ratios), np.nan), reason
    mean = ratios.mean()
    return mean + np.sqrt(reliability) * (ratios - mean), ""
