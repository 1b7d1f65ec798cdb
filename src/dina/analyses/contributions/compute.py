"""What decoding loses without each neuron, and whether halves of the images, other measures, and planted neurons agree."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.closed_readouts import ScoreChanges, Treatment
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import NeuronReadout, TowerReadout, is_closed_form, margin_units, readout_of, treatments_of
from dina.analyses.neuron_strength import NeuronStrength, measure_strength
from dina.analyses.query_trials import SAME_TRIALS, QueryTrials, rank_on_training
from dina.progress import track
from dina.randomness import generator_for
from dina.shapes import stimulus_coordinates
from dina.short_words import brief
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

ByNeuron = Float[np.ndarray, "neuron"]
# Contributions of all neurons, and their standard errors.
Estimate = tuple[ByNeuron, ByNeuron]


class ContributionSettings(AnalysisSettings):
    """How much is sampled.

    Parameters
    ----------
    n_ranking_images
        Training images by which neurons are ranked.
    n_permutations
        For Shapley values; even.
    n_shuffles
        Assignments of test images to other images, for the null.
    n_sampled_neurons, n_sampled_trials
        How many are silenced one by one where there is no closed form; the losses of all others are first-order
        approximations.
    """

    n_ranking_images: int = Field(500, ge=2)
    n_permutations: int = Field(20, ge=4, multiple_of=2)
    n_shuffles: int = Field(20, ge=2)
    n_sampled_neurons: int = Field(48, ge=2)
    n_sampled_trials: int = Field(64, ge=2)


@dataclass(frozen=True, eq=False)
class ContributionsResult(DescribedResult):
    """What every neuron contributes; positive means that decoding is worse without it.

    ``means`` holds, by name, the mean over test images of what is lost: ``score_lost_removed``, ``margin_lost_removed``,
    ``rank_lost_removed`` and the same for silencing; NaN where it was not computed. If the exact loss
    was computed for a sample only, ``margin_lost_first_order`` is the first-order approximation for the same trials.
    """

    __repr__ = brief

    treatment: Treatment  # in ``contribution``: "removed" where the decoder has a noise model, else "silenced"
    units: str  # of margins: "nat" for log likelihoods, else "1"
    trials: QueryTrials  # the queries
    contribution: ByNeuron  # mean over test images of the margin lost without each neuron
    error: ByNeuron  # its standard error over images
    means: dict[str, ByNeuron]
    changes: dict[Treatment, ScoreChanges]  # of every query without every neuron; NaN where not computed
    stimulus_id: Int[np.ndarray, "query"]  # of the image of each query
    training_contribution: ByNeuron  # on training images: neurons are ranked by it, so the test images serve only once
    shapley: ByNeuron
    shapley_error: ByNeuron  # standard error from the sampling of permutations

    def to_dataset(self) -> xr.Dataset:
        """Return all arrays with named axes and units; the losses of every trial in single precision, which is enough to draw."""
        by_neuron = {"contribution": self.contribution, "contribution_error": self.error, "shapley": self.shapley}
        by_neuron |= {"shapley_error": self.shapley_error, "training_contribution": self.training_contribution, **self.means}
        coordinates = {"lost_by": list(self.changes), **stimulus_coordinates({"query": self.stimulus_id})}
        attributes = {"treatment": self.treatment, "units": self.units, "queries": self.trials.kind}
        dataset = xr.Dataset({name: ("neuron", values) for name, values in by_neuron.items()}, coordinates, attributes)
        for name in ("score_lost", "margin_lost", "rank_lost"):
            each = np.stack([getattr(change, name).numpy().astype(np.float32) for change in self.changes.values()])
            dataset[name] = (("lost_by", "query", "neuron"), each)
            dataset[name].encoding = {"zlib": True, "complevel": 1, "shuffle": True}
        for name in map(str, dataset.data_vars):
            dataset[name].attrs["units"] = "places" if name.startswith("rank") else self.units
        place = {"units": "1", "long_name": "place among the test images"}
        return dataset.assign(target=("query", self.trials.target.numpy(), place))


def analyse_contributions(decoded: Decoded, settings: ContributionSettings = ContributionSettings()) -> ContributionsResult:
    """Take every neuron out of the decoder in turn and measure what each test trial loses.

    A neuron is *silenced* when its response is set to its mean while the decoder still expects it to respond. It is *removed*
    when the decoder no longer has it (rank-one downdate of the inverse noise covariance). The two differ where noise is
    shared: a neuron without any signal can help because it reports the noise of others. Both are exact for every neuron and
    trial in linear towers. In other towers they are exact for a sample; the losses of all others are first-order
    approximations.
    """
    towers = decoded.towers
    trials = QueryTrials.of_test(decoded)
    readout = readout_of(towers, trials.images)
    changes = {how: _changes(readout, trials, how, settings, decoded.seed) for how in treatments_of(towers)}
    main = next(iter(changes))
    is_exact = is_closed_form(towers)
    lost = changes[main].margin_lost if is_exact else readout.margins_lost(trials.responses, trials.target, main)
    by_image = trials.by_image(lost)
    mean, error = _mean_and_error(by_image)
    few = trials if is_exact else trials.first(settings.n_sampled_trials)
    n_permutations = settings.n_permutations if is_exact else 4  # a run of the tower for every group and permutation
    shapley, shapley_error = sample_shapley(readout, few, n_permutations, generator_for(decoded.seed, "shapley"))
    means = _means(trials, changes)
    if not is_exact:  # the first order, over the trials for which the exact loss is known as well
        means["margin_lost_first_order"] = lost[~changes[main].margin_lost.isnan().all(1)].mean(0).numpy()
    result = ContributionsResult(
        treatment=main,
        units=margin_units(towers),
        trials=trials,
        contribution=mean,
        error=error,
        means=means,
        changes=changes,
        stimulus_id=decoded.test.stimulus_id[trials.target.numpy()],
        training_contribution=rank_on_training(decoded, settings.n_ranking_images),
        shapley=shapley,
        shapley_error=shapley_error,
    )
    shuffled = _shuffled(readout, trials, main, settings.n_shuffles, decoded.seed)
    found = describe_contributions(decoded, result.to_dataset(), by_image, shuffled, measure_strength(decoded.train))
    return replace(result, statistics=found)


def sample_shapley(readout: NeuronReadout, trials: QueryTrials, n_permutations: int, generator: np.random.Generator) -> Estimate:
    """Estimate the Shapley value of every neuron for the mean margin, and its standard error from the sampling of permutations.

    If two neurons carry the same information, losing one of them costs nothing. Shapley values give each neuron half of what
    both carry. The values add up to the mean margin. Permutations come in pairs, one the reverse of the other, which cancels
    much of the sampling error; ``n_permutations`` is even, at least 4.

    References
    ----------
    Castro, Gómez & Tejada (2009), Comput. Oper. Res. 36:1726. https://doi.org/10.1016/j.cor.2008.04.004

    Mitchell et al. (2022), J. Mach. Learn. Res. 23:43 (pairs). https://doi.org/10.48550/arXiv.2104.12199
    """
    pairs = []
    for _ in track(range(n_permutations // 2), "Sampling Shapley values"):
        order = torch.from_numpy(generator.permutation(readout.n_neurons))
        both = [readout.marginal_gains(trials.responses, trials.target, way) for way in (order, order.flip(0))]
        pairs.append(((both[0] + both[1]) / 2).numpy())
    drawn = np.stack(pairs)
    return drawn.mean(0), drawn.std(0, ddof=1) / np.sqrt(len(drawn))


def _changes(
    readout: NeuronReadout, trials: QueryTrials, treatment: Treatment, settings: ContributionSettings, seed: int
) -> ScoreChanges:
    if not isinstance(readout, TowerReadout):
        return readout.changes(trials.responses, trials.target, treatment)
    generator = generator_for(seed, "sampled neurons")
    neurons = np.sort(generator.permutation(readout.n_neurons)[: settings.n_sampled_neurons])
    few = trials.first(settings.n_sampled_trials)
    known = vars(readout.sampled_changes(few.responses, few.target, tuple(neurons.tolist()))).values()
    others = torch.full((len(trials.responses) - len(few.responses), readout.n_neurons), torch.nan, dtype=torch.float64)
    return ScoreChanges(*(torch.cat([part, others]) for part in known))


def _means(trials: QueryTrials, changes: dict[Treatment, ScoreChanges]) -> dict[str, ByNeuron]:
    """Average over images, each counting the same; sampled trials where only these were run."""
    means = {}
    for how, change in changes.items():
        for name, values in vars(change).items():
            known = ~values.isnan().all(1)
            means[f"{name}_{how}"] = trials.by_image(values).mean(0) if bool(known.all()) else values[known].mean(0).numpy()
    return means


def _shuffled(readout: NeuronReadout, trials: QueryTrials, treatment: Treatment, n_shuffles: int, seed: int) -> list[Estimate]:
    """Return contributions and their errors with the trials of each image assigned to another image."""
    generator = generator_for(seed, "shuffled images")
    shuffled = []
    for _ in range(n_shuffles):
        other = replace(trials, target=trials.target.new_tensor(generator.permutation(trials.n_images))[trials.target])
        shuffled.append(_mean_and_error(other.by_image(readout.margins_lost(other.responses, other.target, treatment))))
    return shuffled


def _mean_and_error(by_image: Float[np.ndarray, "gallery neuron"]) -> Estimate:
    return by_image.mean(0), by_image.std(0, ddof=1) / np.sqrt(len(by_image))


def describe_contributions(
    decoded: Decoded,
    dataset: xr.Dataset,
    by_image: Float[np.ndarray, "gallery neuron"],
    shuffled: list[Estimate],
    strength: NeuronStrength,
) -> tuple[Finding, ...]:
    """Return the findings on a dataset of contributions and the margins lost by test image.

    ``shuffled`` holds estimates with the trials of each image assigned to another image.
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
        rank_correlation("agreement_with_shapley", contribution, dataset["shapley"].to_numpy()).without_null(SAME_TRIALS),
    ]
    if "margin_lost_removed" in dataset:
        silenced = dataset["margin_lost_silenced"].to_numpy()
        found.append(rank_correlation("agreement_with_silencing", contribution, silenced).without_null(SAME_TRIALS))
    if "margin_lost_first_order" in dataset:
        first_order, exact = (dataset[f"margin_lost_{name}"].to_numpy() for name in ("first_order", "silenced"))
        found.append(rank_correlation("agreement_with_exact", first_order, exact).without_null(SAME_TRIALS))
        found.append(_first_order_error(first_order, exact, decoded))
    ratio = strength.signal_to_noise
    found.append(_correlation("correlation_with_signal_to_noise", contribution, ratio, resamples, strength.reason))
    found += [with_rates, _corrected(with_rates, halves, rates, resamples)]
    return (*found, *_planted(decoded, contribution))


@dataclass(frozen=True, eq=False)
class _Resample:
    """Contributions of resampled neurons to resampled images, and to two halves of the images that share none."""

    neurons: Int[np.ndarray, "neuron"]
    mean: ByNeuron
    error: ByNeuron
    halves: Float[np.ndarray, "2 neuron"]

    def correlation_with(self, other: ByNeuron) -> float:
        return spearman_with_interval(self.mean, other[self.neurons])[0]

    def agreement(self) -> float:
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

    value, null = fraction(mean, error), np.array([fraction(*estimate) for estimate in shuffled])
    ends = _interval_about(value, np.array([fraction(one.mean, one.error) for one in resamples]))
    low, high, null_low, null_high = (min(max(end, 0.0), 1.0) for end in (*ends, *prediction_range(null)))
    words = "images' trials taken for other images'"
    return Finding("helpful_fraction", value, "1", len(mean), low, high, null_low, null_high, words)


def _top_tenth(decoded: Decoded, by_image: np.ndarray, training: np.ndarray) -> Finding:
    """Share of all contributions that comes from the tenth of the neurons that contributed most on training images."""
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
    halves = (np.array_split(generator.permutation(len(by_image)), 2) for _ in range(N_HALVINGS))
    values = [spearman_with_interval(*(by_image[rows].mean(0) for rows in both))[0] for both in halves]
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
    errors. Resamples are divided too, so that an uncertain reliability widens the interval.
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
    """Area under the ROC curve for finding the neurons that images drive in a simulation, unless all or none are driven."""
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
