"""Statistics of contributions: do halves of the images, other measures, and what was planted agree with them."""

import numpy as np
import xarray as xr
from jaxtyping import Float

from dina.analyses.contributions.contribution_bootstrap import Resample, interval_about, resample_contributions
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_strength import NeuronStrength
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_reach
from dina.statistics.rank_association import roc_area, spearman_null, spearman_with_interval
from dina.statistics.reliability import spearman_brown
from dina.statistics.resampling import percentile_interval, resample_counts

N_HALVINGS = 20
Z = 1.96  # a contribution counts as seen where it is more standard errors above zero than this
TENTH = 0.1
FEWEST_EXACT = 3  # neurons from which the error of the first order is told
RANKS = "neurons permuted"
PLANTED = "no neuron distinguished"
SHUFFLED = "images' trials taken for other images'"
UNRELIABLE = (
    "Contributions to two halves of the test images do not agree beyond doubt, so that their errors cannot be allowed for."
)

Estimate = tuple[Float[np.ndarray, "neuron"], Float[np.ndarray, "neuron"]]


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
    own = dataset["contribution"].to_numpy()
    training = dataset["training_contribution"].to_numpy()
    drawn = list(resample_contributions(by_image, decoded.n_resamples, generator_for(decoded.seed, "images and neurons")))
    halves = _between_halves(by_image, drawn, decoded.seed)
    rates = np.full(len(own), np.nan) if strength.rate_reason else strength.mean_response
    with_rates = _correlation("correlation_with_mean_response", own, rates, drawn, strength.rate_reason)
    found = [_helpful(own, dataset["contribution_error"].to_numpy(), shuffled, drawn)]
    found.append(_top_tenth(decoded, by_image, training))
    found.append(halves)
    found.append(_correlation("agreement_with_training", own, training, drawn))
    found.append(_agreement("agreement_with_shapley", own, dataset["shapley"].to_numpy()))
    if "margin_lost_removed" in dataset:
        silenced = dataset["margin_lost_silenced"].to_numpy()
        found.append(_agreement("agreement_with_silencing", own, silenced))
    if "margin_lost_first_order" in dataset:
        first_order, exact = (dataset[f"margin_lost_{name}"].to_numpy() for name in ("first_order", "silenced"))
        found.append(_agreement("agreement_with_exact", first_order, exact))
        found.append(_first_order_error(first_order, exact, decoded))
    found.append(_correlation("correlation_with_signal_to_noise", own, strength.signal_to_noise, drawn, strength.reason))
    found += [with_rates, _corrected(with_rates, halves, rates, drawn)]
    return (*found, *_planted(decoded, own))


def _helpful(own: np.ndarray, error: np.ndarray, shuffled: list[Estimate], drawn: list[Resample]) -> Finding:
    """Fraction of neurons whose contribution is above zero by more than its error allows."""

    def fraction(mean: np.ndarray, spread: np.ndarray) -> float:
        return float((mean > Z * spread).mean())

    null = np.array([fraction(*estimate) for estimate in shuffled])
    middle, reach = float(null.mean()), float(prediction_reach(null))
    value = fraction(own, error)
    ends = interval_about(value, np.array([fraction(one.mean, one.error) for one in drawn]))
    low, high, null_low, null_high = (min(max(end, 0.0), 1.0) for end in (*ends, middle - reach, middle + reach))
    return Finding("helpful_fraction", value, "1", len(own), low, high, null_low, null_high, SHUFFLED)


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
    null = [generator.permutation(sums)[:n_top].sum() / sums.sum() for _ in range(decoded.n_resamples)]
    low, high = percentile_interval(shares)
    null_low, null_high = percentile_interval(np.array(null))
    value = float(part.sum() / whole.sum())
    return Finding("top_tenth_share", value, "1", len(by_image), low, high, null_low, null_high, RANKS)


def _between_halves(by_image: np.ndarray, drawn: list[Resample], seed: int) -> Finding:
    """Rank correlation of contributions on two halves of the test images, averaged over divisions into halves."""
    generator = generator_for(seed, "halves of the test images")
    values = []
    for _ in range(N_HALVINGS):
        order = generator.permutation(len(by_image))
        values.append(spearman_with_interval(*(by_image[rows].mean(0) for rows in np.array_split(order, 2)))[0])
    value = float(np.mean(values))
    limits = interval_about(value, np.array([one.agreement() for one in drawn]), (_artanh, np.tanh))
    return _finding("agreement_between_halves", (value, *limits), by_image.shape[1], "")


def _correlation(name: str, own: np.ndarray, other: np.ndarray, drawn: list[Resample], reason: str = "") -> Finding:
    """Rank correlation with a measure that the errors of contributions do not enter; images and neurons are resampled."""
    value = spearman_with_interval(own, other)[0]
    limits = interval_about(value, np.array([one.correlation_with(other) for one in drawn]), (_artanh, np.tanh))
    return _finding(name, (value, *limits), int(np.isfinite(other).sum()), reason)


def _corrected(correlation: Finding, halves: Finding, other: np.ndarray, drawn: list[Resample]) -> Finding:
    """Divide a correlation by the square root of the reliability of contributions, which errors hold down.

    The reliability of all images is predicted from the agreement of halves (Spearman and Brown); other measures count as free of
    errors. Resamples go through the same division, so that an uncertain reliability widens the interval.
    """
    name = f"corrected_{correlation.name}"
    if np.isnan(correlation.value):
        return Finding(name, np.nan, "1", correlation.n, reason=correlation.reason)
    agreement = np.array([one.agreement() for one in drawn])
    if not (halves.value > 0 and percentile_interval(np.nan_to_num(agreement))[0] > 0):
        return Finding(name, np.nan, "1", correlation.n, reason=UNRELIABLE)
    ceiling, *_ = ceilings = np.sqrt(spearman_brown(np.array([halves.value, *agreement])))
    value = float(correlation.value / ceiling)
    correlations = np.array([one.correlation_with(other) for one in drawn])
    ratios = np.divide(correlations, ceilings[1:], out=np.full(len(drawn), np.nan), where=ceilings[1:] > 0)
    reach = float(spearman_null(correlation.n) / ceiling)
    return Finding(name, value, "1", correlation.n, *interval_about(value, ratios), -reach, reach, RANKS)


def _artanh(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.arctanh(np.clip(values, -1 + 1e-9, 1 - 1e-9)))


def _agreement(name: str, own: np.ndarray, other: np.ndarray) -> Finding:
    """Rank correlation of two measures of the same images and trials; neurons alone are a sample."""
    n_known = int((np.isfinite(own) & np.isfinite(other)).sum())
    return _finding(name, spearman_with_interval(own, other), n_known, "")


def _finding(name: str, estimate: tuple[float, float, float], n: int, reason: str) -> Finding:
    value, low, high = estimate
    if np.isnan(value):
        return Finding(name, np.nan, "1", n, reason=reason or "Too few neurons, or one of the two measures does not vary.")
    reach = spearman_null(n)
    return Finding(name, value, "1", n, low, high, -reach, reach, RANKS)


def _first_order_error(first_order: np.ndarray, exact: np.ndarray, decoded: Decoded) -> Finding:
    """Root mean square error of the first order, relative to that of what it stands for, on the same trials."""
    known = np.isfinite(exact)
    own, wanted = first_order[known], exact[known]
    n = len(wanted)
    power = wanted @ wanted
    if n < FEWEST_EXACT or not power > 0:
        return Finding("first_order_error", np.nan, "1", n, reason="Too few neurons were silenced, or none of them matters.")
    generator = generator_for(decoded.seed, "first order")
    counts = resample_counts(n, decoded.n_resamples, generator)
    drawn = np.sqrt((counts @ (own - wanted) ** 2) / np.maximum(counts @ wanted**2, np.finfo(float).tiny))
    null = np.sqrt([np.sum((generator.permutation(own) - wanted) ** 2) / power for _ in range(decoded.n_resamples)])
    value = float(np.sqrt(np.sum((own - wanted) ** 2) / power))
    return Finding("first_order_error", value, "1", n, *percentile_interval(drawn), *percentile_interval(null), RANKS)


def _planted(decoded: Decoded, own: np.ndarray) -> tuple[Finding, ...]:
    """Area under the ROC curve of finding the neurons that a simulation drives by images, where it spares some."""
    truth = decoded.recording.truth
    informative = None if truth is None else truth.planted.get("is_informative")
    if informative is None or informative.all() or not informative.any():
        return ()
    area, low, high = roc_area(own, informative.astype(bool))
    n_positive = int(informative.sum())
    # variance of the area without any difference: Mann and Whitney's
    deviation = np.sqrt((len(own) + 1) / (12 * n_positive * (len(own) - n_positive)))
    reach = float(Z * deviation)
    return (Finding("planted_informative_area", area, "1", n_positive, low, high, 0.5 - reach, 0.5 + reach, PLANTED),)
