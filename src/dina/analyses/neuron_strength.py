"""How strongly and how reliably each neuron responds, and whether contributions are more unequal than that explains."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.statistics.finding import Finding
from dina.statistics.reliability import signal_variance_fraction, split_half_reliability
from dina.statistics.resampling import resample_counts
from dina.statistics.sparseness import gini_sparseness, treves_rolls_sparseness

BELOW_ZERO = (
    "Mean responses say how strongly neurons respond only where no response lies below zero; here some do, as z-scores do."
)
AVERAGES = "Signal variance needs single trials; each response of this recording averages several presentations."
HIGHEST_FRACTION = 0.999  # of signal in a neuron's variance: a ratio of signal to noise stays finite
N_HALVINGS = 5
LEAST_RELIABILITY = 0.5
MOST_RESAMPLES = 500
MEASURES = {"gini": gini_sparseness, "treves_rolls": treves_rolls_sparseness}
MOST_ERROR = 0.1  # Gini coefficient that errors alone may have where ratios are less reliable: a margin of the verdicts


@dataclass(frozen=True, eq=False)
class NeuronStrength:
    """Properties of single neurons from training trials; no decoder takes part."""

    mean_response: Float[np.ndarray, "neuron"]  # in the recording's units
    reliability: Float[np.ndarray, "neuron"]  # correlation between halves of the trials; NaN without repeats or if constant
    signal_to_noise: Float[np.ndarray, "neuron"]  # variances of single trials, at least 0; NaN as above
    reason: str = ""  # why reliability and signal-to-noise are NaN everywhere; "" where they are not
    rate_reason: str = ""  # why mean responses do not say how strongly neurons respond; "" where they do


def measure_strength(train: Pairs) -> NeuronStrength:
    """Measure every neuron on the training trials; what needs repeats is NaN, with a reason, where there are none."""
    # a response is at its lowest where it was standardised from zero: rounding may leave it slightly below
    raw = train.averaged_raw()
    trials = np.bincount(train.stimulus_index, minlength=train.n_stimuli)
    is_raw = train.standardiser.transform.is_identity
    mean = train.standardiser.mean.astype(np.float64) if is_raw else np.average(raw, axis=0, weights=trials)
    is_below = bool((raw < -1e-4 * np.abs(raw).max(axis=0, initial=0.0)).any())
    rate_reason = BELOW_ZERO if is_below else ""
    single = train.select_trials(train.n_presentations == 1)
    if not len(single.responses):
        unknown = np.full(len(mean), np.nan)
        return NeuronStrength(mean, unknown, unknown, AVERAGES, rate_reason)
    try:
        fraction = signal_variance_fraction(single.responses, single.stimulus_index)
        reliability = split_half_reliability(single.responses, single.stimulus_index)
    except DataError as error:
        unknown = np.full(len(mean), np.nan)
        return NeuronStrength(mean, unknown, unknown, str(error), rate_reason)
    return NeuronStrength(mean, reliability, _ratio_of(fraction), "", rate_reason)


def shrink_ratios(train: Pairs, strength: NeuronStrength, generator: np.random.Generator) -> tuple[np.ndarray, str]:
    r"""Draw estimated signal-to-noise ratios together until they are as unequal as the true ones must be.

    Errors of estimation make neurons seem more unequal than they are. Returns the ratios and why they cannot be had ("" where they
    can). Which neuron has which ratio is no better known than before, but their distribution is.

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
    single = train.select_trials(train.n_presentations == 1)
    halves = []
    for _ in range(N_HALVINGS):
        is_first = (generator.permutation(train.n_stimuli) % 2 == 0)[single.stimulus_index]
        for part in (single.select_trials(is_first), single.select_trials(~is_first)):
            try:
                estimated = np.nan_to_num(_ratio_of(signal_variance_fraction(part.responses, part.stimulus_index)))
            except DataError:
                reason = "Half of the training images hold too few repeats for signal-to-noise ratios."
                return np.full(len(ratios), np.nan), reason
            halves.append(float(gini_sparseness(estimated[:, None])[0]) ** 2)
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


def compare_with_surrogates(
    by_image: Float[np.ndarray, "gallery neuron"],
    strengths: Mapping[str, Float[np.ndarray, "neuron"]],
    n_resamples: int,
    generator: np.random.Generator,
    unknown: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """Measure how unequal contributions are, and by how much more than those of surrogate populations.

    Neurons of a surrogate contribute in proportion to their mean responses, as Poisson neurons with equal tuning would; in
    proportion to their signal-to-noise ratios, as neurons with independent noise would; or all the same. Strengths must be as
    unequal as the true ones, not made more so by errors (`shrink_ratios`). To each expected contribution an error is added that
    is as large as the standard error of the observed one, because errors of estimation alone make contributions unequal.
    Negative contributions count as zero. ``by_image`` is the margin lost without each neuron; ``unknown`` says of a surrogate why
    it could not be made ("" where it could). At most 500 resamples of images are drawn.

    References
    ----------
    Buzsáki & Mizuseki (2014), Nat. Rev. Neurosci. 15:264. https://doi.org/10.1038/nrn3687
    """
    n_images, n_neurons = by_image.shape
    mean, error = by_image.mean(0), by_image.std(0, ddof=1) / np.sqrt(n_images)
    unknown = {name: why for name, why in (unknown or {}).items() if why}
    expected = {name: _share(values) * mean.sum() for name, values in strengths.items() if name not in unknown}
    n_drawn = min(n_resamples, MOST_RESAMPLES)
    counts = resample_counts(n_images, n_drawn, generator)
    resampled = {measure: np.empty(n_drawn) for measure in MEASURES}
    surrogate = {(measure, name): np.empty(n_drawn) for measure in MEASURES for name in expected}
    for draw, count in enumerate(counts):
        shift = count @ by_image / n_images - mean
        noise = shift + error * generator.standard_normal(n_neurons)
        for measure, inequality in MEASURES.items():
            resampled[measure][draw] = _inequality(mean + shift, inequality)
            for name, values in expected.items():
                surrogate[measure, name][draw] = _inequality(values + noise, inequality)
    found = []
    for measure, inequality in MEASURES.items():
        value, drawn = _inequality(mean, inequality), resampled[measure]
        # resampling adds the error of estimation a second time, which makes contributions more unequal
        centred = drawn - (float(drawn.mean()) - value)
        found.append(Finding.from_draws(f"contribution_{measure}", value, "1", n_images, centred))
    for (measure, name), drawn in surrogate.items():
        difference = resampled[measure] - drawn
        words = f"contributions in proportion to {name.replace('_', ' ')}" if name != "equal" else "all contributions equal"
        title, value = f"{measure}_excess_over_{name}", float(difference.mean())
        found.append(Finding.from_draws(title, value, "1", n_images, difference, drawn - drawn.mean(), words))
    for name, why in unknown.items():
        found += [Finding(f"{measure}_excess_over_{name}", np.nan, "1", n_images, reason=why) for measure in MEASURES]
    return tuple(found)


def _share(strength: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(np.maximum(strength, 0.0))
    total = known.sum()
    return known / total if total > 0 else np.full(len(known), 1 / len(known))


def _inequality(contributions: np.ndarray, measure: Callable[[np.ndarray], np.ndarray]) -> float:
    return float(measure(np.maximum(contributions, 0.0)[:, None])[0])


def _ratio_of(fraction: Float[np.ndarray, "neuron"]) -> Float[np.ndarray, "neuron"]:
    """Turn the fraction of signal in single-trial variance into signal over noise, at least 0 and finite."""
    bounded = np.clip(fraction, 0.0, HIGHEST_FRACTION)
    return np.asarray(bounded / (1 - bounded))
