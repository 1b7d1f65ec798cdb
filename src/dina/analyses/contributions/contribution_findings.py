"""Statistics of contributions: whether halves of the images, other measures, and what was planted agree with them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from dina.analyses.decoded import Decoded
from dina.analyses.neuron_strength import NeuronStrength
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_range
from dina.statistics.rank_association import rank_correlation, roc_area, spearman_null, spearman_with_interval
from dina.statistics.reliability import spearman_brown
from dina.statistics.resampling import percentile_interval, resample_counts

MOST_RESAMPLES = 500
N_HALVINGS = 20
Z = 1.96  # a contribution counts as seen where it is more standard errors above zero than this
TENTH = 0.1
FEWEST_EXACT = 3  # neurons needed to estimate the error of the first order
RANKS = "neurons permuted"
UNRELIABLE = (
    "Contributions to two halves of the test images do not agree beyond doubt, so that their errors cannot be allowed for."
)

Estimate = tuple[Float[np.ndarray, "neuron"], Float[np.ndarray, "neuron"]]
"""Contributions of all neurons, and their standard errors."""


def describe_contributions(
    decoded: Decoded,
    dataset: xr.Dataset,
    by_image: Float[np.ndarray, "gallery neuron"],
    shuffled: list[Estimate],
    strength: NeuronStrength,
) -> tuple[Finding, ...]:
    """Return the findings on contributions.

    Parameters
    ----------
    decoded
        Read for seed, number of resamples, and the truth of a simulation.
    dataset
        What `ContributionsResult.to_dataset` gives.
    by_image
        Margin lost without each neuron, by test image.
    shuffled
        Contributions and their standard errors under the null.
    strength
        Of each neuron, from training trials.
    """
    contribution, training = (dataset[name].to_numpy() for name in ("contribution", "training_contribution"))
    resamples = list(_resample(by_image, decoded.n_resamples, generator_for(decoded.seed, "images and neurons")))
    halves = _between_halves(by_image, resamples, decoded.seed)
    rates = np.full(len(contribution), np.nan) if strength.rate_reason else strength.mean_response
    with_rates = _correlation("correlation_with_mean_response", contribution, rates, resamples, strength.rate_reason)
    found = [
        _helpful(contribution, dataset["contribution_error"].to_numpy(), shuffled, resamples),
        _top_tenth(decoded, by_image, training),
        halves,
        _correlation("agreement_with_training", contribution, training, resamples),
        # two measures of the same images and trials: neurons alone are a sample
        rank_correlation("agreement_with_shapley", contribution, dataset["shapley"].to_numpy()),
    ]
    if "margin_lost_removed" in dataset:
        silenced = dataset["margin_lost_silenced"].to_numpy()
        found.append(rank_correlation("agreement_with_silencing", contribution, silenced))
    if "margin_lost_first_order" in dataset:
        first_order, exact = (dataset[f"margin_lost_{name}"].to_numpy() for name in ("first_order", "silenced"))
        found.append(rank_correlation("agreement_with_exact", first_order, exact))
        found.append(_first_order_error(first_order, exact, decoded))
    ratio = strength.signal_to_noise
    found.append(_correlation("correlation_with_signal_to_noise", contribution, ratio, resamples, strength.reason))
    found += [with_rates, _corrected(with_rates, halves, rates, resamples)]
    return (*found, *_planted(decoded, contribution))


@dataclass(frozen=True, eq=False)
class _Resample:
    """Contributions of resampled neurons to resampled images, and to two halves of the images that share none."""

    neurons: Int[np.ndarray, "neuron"]
    mean: Float[np.ndarray, "neuron"]
    error: Float[np.ndarray, "neuron"]
    halves: Float[np.ndarray, "2 neuron"]

    def correlation_with(self, other: Float[np.ndarray, "neuron"]) -> float:
        """Return the rank correlation with a property of all neurons, NaN where that is not known."""
        return spearman_with_interval(self.mean, other[self.neurons])[0]

    def agreement(self) -> float:
        """Return the rank correlation of the two halves."""
        return spearman_with_interval(*self.halves)[0]


def _resample(
    by_image: Float[np.ndarray, "gallery neuron"], n_resamples: int, generator: np.random.Generator
) -> Iterator[_Resample]:
    """Draw images within random halves, and neurons, with replacement."""
    n_images, n_neurons = by_image.shape
    for _ in range(min(n_resamples, MOST_RESAMPLES)):
        sums, squares, sizes = np.empty((2, n_neurons)), np.zeros(n_neurons), np.empty((2, 1))
        for half, images in enumerate(np.array_split(generator.permutation(n_images), 2)):
            count = resample_counts(len(images), 1, generator)[0].astype(np.float64)
            sums[half], sizes[half] = count @ by_image[images], len(images)
            squares += count @ by_image[images] ** 2
        neurons = np.asarray(generator.integers(n_neurons, size=n_neurons))
        mean = sums.sum(0) / n_images
        error = np.sqrt(np.maximum(squares / n_images - mean**2, 0) / (n_images - 1))
        halves = sums / sizes
        yield _Resample(neurons, mean[neurons], error[neurons], halves[:, neurons])


def _interval_about(
    value: float, resampled: Float[np.ndarray, "resample"], transform: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()
) -> tuple[float, float]:
    """Return the interval of a value from the spread of resamples about their own mean, on a scale where errors are alike.

    Resampling adds the error of estimation a second time, which weakens correlations; so their mean is replaced by the value.
    """
    forth, back = transform or (np.asarray, np.asarray)
    known = forth(resampled[np.isfinite(resampled)])
    if not len(known) or np.isnan(value):
        return np.nan, np.nan
    limits = np.array(percentile_interval(known - known.mean())) + forth(np.array(value))
    low, high = np.round(back(limits), 12)
    return float(low), float(high)


def _artanh(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.arctanh(np.clip(values, -1 + 1e-9, 1 - 1e-9)))


def _helpful(mean: np.ndarray, error: np.ndarray, shuffled: list[Estimate], resamples: list[_Resample]) -> Finding:
    """Fraction of neurons whose contribution is above zero by more than its error allows."""

    def fraction(mean: np.ndarray, error: np.ndarray) -> float:
        return float((mean > Z * error).mean())

    def cut(ends: tuple[float, float]) -> tuple[float, float]:
        return min(max(ends[0], 0.0), 1.0), min(max(ends[1], 0.0), 1.0)

    value, null = fraction(mean, error), np.array([fraction(*estimate) for estimate in shuffled])
    ends = cut(_interval_about(value, np.array([fraction(one.mean, one.error) for one in resamples])))
    words = "images' trials taken for other images'"
    return Finding("helpful_fraction", value, "1", len(mean), *ends, *cut(prediction_range(null)), words)


def _top_tenth(decoded: Decoded, by_image: np.ndarray, training: np.ndarray) -> Finding:
    """Share of all contributions that the tenth of the neurons has which contributed most on training images."""
    n_neurons = by_image.shape[1]
    n_top = max(1, round(TENTH * n_neurons))
    top = np.argsort(-training, kind="stable")[:n_top]
    counts = resample_counts(len(by_image), decoded.n_resamples, generator_for(decoded.seed, "bootstrap"))
    part, whole = by_image[:, top].sum(1), by_image.sum(1)
    total = counts @ whole
    shares = np.divide(counts @ part, total, out=np.full(len(counts), np.nan), where=total > 0)
    if not whole.sum() > 0 or np.isnan(shares).any():
        reason = "The contributions of all neurons together are not above zero, so that no share of them can be given."
        return Finding("top_tenth_share", np.nan, "1", len(by_image), reason=reason)
    generator = generator_for(decoded.seed, "permuted neurons")
    sums = by_image.mean(0)
    null = np.array([generator.permutation(sums)[:n_top].sum() / sums.sum() for _ in range(decoded.n_resamples)])
    return Finding.from_draws("top_tenth_share", float(part.sum() / whole.sum()), "1", len(by_image), shares, null, RANKS)


def _between_halves(by_image: np.ndarray, resamples: list[_Resample], seed: int) -> Finding:
    """Rank correlation of contributions on two halves of the test images, averaged over divisions into halves."""
    generator, n_neurons = generator_for(seed, "halves of the test images"), by_image.shape[1]
    values = []
    for _ in range(N_HALVINGS):
        order = generator.permutation(len(by_image))
        values.append(spearman_with_interval(*(by_image[rows].mean(0) for rows in np.array_split(order, 2)))[0])
    name, value = "agreement_between_halves", float(np.mean(values))
    if np.isnan(value):
        return Finding(name, value, "1", n_neurons, reason="Too few neurons, or their contributions do not vary.")
    ends = _interval_about(value, np.array([one.agreement() for one in resamples]), (_artanh, np.tanh))
    reach = spearman_null(n_neurons)
    return Finding(name, value, "1", n_neurons, *ends, -reach, reach, RANKS)


def _correlation(name: str, mean: np.ndarray, other: np.ndarray, resamples: list[_Resample], reason: str = "") -> Finding:
    """Rank correlation with a measure whose errors are independent of contributions; images and neurons are resampled."""
    value = spearman_with_interval(mean, other)[0]
    ends = _interval_about(value, np.array([one.correlation_with(other) for one in resamples]), (_artanh, np.tanh))
    return rank_correlation(name, mean, other, reason, ends)


def _corrected(correlation: Finding, halves: Finding, other: np.ndarray, resamples: list[_Resample]) -> Finding:
    """Divide a correlation by the square root of the reliability of contributions, whose errors make it too small.

    The reliability of all images is predicted from the agreement of halves (Spearman and Brown); other measures count as free of
    errors. Resamples go through the same division, so that an uncertain reliability widens the interval.
    """
    name = f"corrected_{correlation.name}"
    if np.isnan(correlation.value):
        return Finding(name, np.nan, "1", correlation.n, reason=correlation.reason)
    agreement = np.array([one.agreement() for one in resamples])
    if not (halves.value > 0 and percentile_interval(np.nan_to_num(agreement))[0] > 0):
        return Finding(name, np.nan, "1", correlation.n, reason=UNRELIABLE)
    ceiling, *_ = ceilings = np.sqrt(spearman_brown(np.array([halves.value, *agreement])))
    value = float(correlation.value / ceiling)
    correlations = np.array([one.correlation_with(other) for one in resamples])
    ratios = np.divide(correlations, ceilings[1:], out=np.full(len(resamples), np.nan), where=ceilings[1:] > 0)
    reach = float(spearman_null(correlation.n) / ceiling)
    return Finding(name, value, "1", correlation.n, *_interval_about(value, ratios), -reach, reach, RANKS)


def _first_order_error(first_order: np.ndarray, exact: np.ndarray, decoded: Decoded) -> Finding:
    """Root mean square error of the first order, relative to that of the exact loss, on the same trials."""
    known = np.isfinite(exact)
    estimate, truth = first_order[known], exact[known]
    n, power = len(truth), truth @ truth
    if n < FEWEST_EXACT or not power > 0:
        return Finding("first_order_error", np.nan, "1", n, reason="Too few neurons were silenced, or none of them matters.")
    generator = generator_for(decoded.seed, "first order")
    counts = resample_counts(n, decoded.n_resamples, generator)
    resampled = np.sqrt((counts @ (estimate - truth) ** 2) / np.maximum(counts @ truth**2, np.finfo(float).tiny))
    null = np.sqrt([np.sum((generator.permutation(estimate) - truth) ** 2) / power for _ in range(decoded.n_resamples)])
    value = float(np.sqrt(np.sum((estimate - truth) ** 2) / power))
    return Finding.from_draws("first_order_error", value, "1", n, resampled, null, RANKS)


def _planted(decoded: Decoded, contribution: np.ndarray) -> tuple[Finding, ...]:
    """Area under the ROC curve of finding the neurons that a simulation drives by images, where it spares some."""
    truth = decoded.recording.truth
    informative = None if truth is None else truth.planted.get("is_informative")
    if informative is None or informative.all() or not informative.any():
        return ()
    area, low, high = roc_area(contribution, informative.astype(bool))
    n_positive = int(informative.sum())
    # variance of the area without any difference: Mann and Whitney's
    deviation = np.sqrt((len(contribution) + 1) / (12 * n_positive * (len(contribution) - n_positive)))
    reach, words = float(Z * deviation), "no neuron distinguished"
    return (Finding("planted_informative_area", area, "1", n_positive, low, high, 0.5 - reach, 0.5 + reach, words),)
