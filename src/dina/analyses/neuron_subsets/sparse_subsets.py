"""How few neurons decoding needs, and whether the few are more than the strongest: addition and removal curves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field

from dina.analyses.analysis import AnalysisSettings, DescribedResult
from dina.analyses.closed_readouts import Treatment
from dina.analyses.decoded import Decoded
from dina.analyses.neuron_readout import is_closed_form, margin_units, readout_of, treatments_of
from dina.analyses.neuron_strength import NeuronStrength, compare_with_surrogates, measure_strength, shrink_ratios
from dina.analyses.neuron_subsets.subset_curves import SubsetCurves, draw_orders, kept_sizes, subset_sizes, trace_curves
from dina.analyses.paired_resampling import NULL
from dina.analyses.query_trials import QueryTrials, rank_on_training
from dina.data.pairs import QueryKind
from dina.randomness import generator_for
from dina.short_words import brief
from dina.statistics.finding import Finding
from dina.statistics.imagined_image import ImaginedImage
from dina.statistics.intervals import prediction_range, prediction_reach
from dina.statistics.p_values import permuted_totals
from dina.statistics.resampling import percentile_interval, resample_counts

FEWEST_DRAWS = 4
HALF, MOST = 0.5, 0.9
MEANING = {
    "random": "random subsets",
    "snr_matched": "subsets matched in signal-to-noise ratio",
    "rate_matched": "subsets matched in mean response",
}


class SparseSubsetSettings(AnalysisSettings):
    """How many subsets are drawn.

    Parameters
    ----------
    n_ranking_images
        Training images by which neurons are ranked.
    n_random
        Random sequences of neurons; each gives a subset of every size.
    n_matched
        Sequences matched in signal-to-noise ratio, and as many matched in mean response.
    n_sampled_trials
        Test trials used where there is no closed form.
    n_tower_runs
        Most subsets tried where there is no closed form and each costs a run of the tower; fewer sequences are drawn then, but
        at least four of each kind.
    """

    n_ranking_images: int = Field(500, ge=2)
    n_random: int = Field(200, ge=2)
    n_matched: int = Field(30, ge=2)
    n_sampled_trials: int = Field(64, ge=2)
    n_tower_runs: int = Field(1500, ge=1)


@dataclass(frozen=True, eq=False)
class SparseSubsetsResult(DescribedResult):
    """Accuracy by number of neurons kept, for sequences of neurons that begin in different ways."""

    __repr__ = brief

    curves: dict[Treatment, SubsetCurves]  # by treatment of the neurons left out
    ranking: Float[np.ndarray, "neuron"]  # contribution to training images, by which "top" is ordered
    units: str  # of the ranking: "nat" for log likelihoods, else "1"
    strength: NeuronStrength  # from training trials; matched subsets are matched by it
    kind: QueryKind  # of the queries
    n_gallery: int  # candidates; chance is one over their number

    def to_dataset(self) -> xr.Dataset:
        """Return accuracy by (treatment, sequence, size): mean over draws, and where one more draw would lie (95 %)."""
        first = next(iter(self.curves.values()))
        names = list(first.by_draw)
        stacked = np.array([[_accuracies(curves.by_draw[name]) for name in names] for curves in self.curves.values()])
        axes, words = ("treatment", "sequence", "n_kept"), ("accuracy", "accuracy_low", "accuracy_high")
        return xr.Dataset(
            {
                **{name: (axes, stacked[:, :, row], {"units": "1"}) for row, name in enumerate(words)},
                "ranking": ("neuron", self.ranking, {"units": self.units, "long_name": "contribution to training images"}),
                "signal_to_noise": ("neuron", self.strength.signal_to_noise, {"units": "1"}),
                "mean_response": ("neuron", self.strength.mean_response, {"units": "arbitrary"}),
            },
            {"treatment": [*self.curves], "sequence": names, "n_kept": ("n_kept", np.array(first.sizes), {"units": "1"})},
            {"queries": self.kind, "n_gallery": self.n_gallery},
        )


def analyse_sparse_subsets(decoded: Decoded, settings: SparseSubsetSettings = SparseSubsetSettings()) -> SparseSubsetsResult:
    """Decode test images from the most useful neurons, from the least useful, from random and from matched ones.

    Neurons are ranked by their contribution to *training* images; accuracy is measured on test images. A few neurons may suffice
    because any few neurons tell the images apart: compare with random subsets. The best may be best because they are the most
    reliable: compare with subsets of the same signal-to-noise ratios. Left-out neurons are removed (as if the decoder had been
    fitted without them) or silenced (the decoder still expects their responses).
    """
    towers = decoded.towers
    trials = QueryTrials.of_test(decoded)
    readout = readout_of(towers, trials.images)
    is_exact = is_closed_form(towers)
    if not is_exact:
        trials = trials.first_images(settings.n_sampled_trials)
    ranking = rank_on_training(decoded, settings.n_ranking_images)
    strength = measure_strength(decoded.train)
    reasons = {"snr": strength.reason, "rate": strength.rate_reason}
    measured = {"snr": strength.signal_to_noise, "rate": strength.mean_response}
    properties = {name: values for name, values in measured.items() if not reasons[name]}
    sizes = kept_sizes(readout.n_neurons)
    n_random, n_matched = settings.n_random, settings.n_matched
    if not is_exact:
        n_affordable = max(FEWEST_DRAWS, (settings.n_tower_runs // len(sizes) - 2) // (1 + 2 * len(properties)))
        n_random, n_matched = min(n_random, n_affordable), min(n_matched, n_affordable)
    orders = draw_orders(ranking, properties, n_random, n_matched, generator_for(decoded.seed, "subsets"))
    curves = {how: trace_curves(readout, trials, orders, sizes, how) for how in treatments_of(towers)}
    main = next(iter(curves))
    by_image = trials.by_image(readout.margins_lost(trials.responses, trials.target, main))
    ratios, why_no_ratios = shrink_ratios(decoded.train, strength, generator_for(decoded.seed, "halves of the training images"))
    unknown = {"rates": strength.rate_reason, "signal_to_noise": why_no_ratios}
    strengths = {"equal": np.ones(readout.n_neurons), "rates": strength.mean_response, "signal_to_noise": ratios}
    generator = generator_for(decoded.seed, "surrogates")
    unmatched = {f"{name}_matched": why for name, why in reasons.items()}
    elsewhere = generator_for(decoded.seed, "queries assigned elsewhere")
    first = trials.first_places(readout.scores(trials.responses))
    null = permuted_totals(first, elsewhere, decoded.n_resamples) / len(first)
    found = describe_curves(curves, decoded.n_resamples, decoded.seed, unmatched, null)
    found += compare_with_surrogates(by_image, strengths, decoded.n_resamples, generator, unknown)
    units = margin_units(towers)
    return SparseSubsetsResult(curves, ranking, units, strength, trials.kind, trials.n_images, statistics=found)


def _accuracies(drawn: Float[np.ndarray, "draw size"]) -> Float[np.ndarray, "3 size"]:
    """Return the mean over draws, and between which ends one more draw would lie; a single draw has no such range."""
    mean = drawn.mean(0)
    reach = prediction_reach(drawn) if len(drawn) > 1 else np.zeros_like(mean)
    return np.stack([mean, *np.clip([mean - reach, mean + reach], 0, 1)])


def describe_curves(
    curves: Mapping[Treatment, SubsetCurves],
    n_resamples: int,
    seed: int,
    reasons: Mapping[str, str],
    elsewhere: Float[np.ndarray, "draw"] | None = None,
) -> tuple[Finding, ...]:
    """Return findings on the curves of the first treatment, and the areas of addition curves for the second.

    ``reasons`` says of matched sequences why there are none ("" where there are); ``elsewhere`` holds accuracies of all neurons if
    queries are assigned to other images.
    """
    main, *further = curves
    first = curves[main]
    n_images = first.by_image["top"].shape[1]
    generator = generator_for(seed, "bootstrap")
    counts, whole = resample_counts(n_images, n_resamples, generator), first.by_image["top"][-1]
    imagined = ImaginedImage.draw(n_images, n_resamples, generator)
    value, resampled = float(whole.mean()), imagined.join(counts @ whole / n_images, 0.0, 1.0)
    words = "" if elsewhere is None else NULL
    found = [Finding.from_draws("accuracy_full", value, "1", n_images, resampled, elsewhere, words)]
    found += _fractions(first, counts)
    for way in ("addition", "removal"):
        found += _comparisons(first, counts, way, "", reasons)
    for how in further:
        found += _comparisons(curves[how], counts, "addition", f"{how}_", reasons)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Areas:
    """Areas under the curve of one sequence: as observed, for every resample of images, and for every draw."""

    value: float
    resampled: Float[np.ndarray, "resample"]
    drawn: Float[np.ndarray, "draw"]


def _fractions(curves: SubsetCurves, counts: Int[np.ndarray, "resample image"]) -> list[Finding]:
    """Which fraction of the neurons gives half, and nine tenths, of the accuracy of all."""
    found, n_images = [], counts.shape[1]
    for word, share in (("half", HALF), ("most", MOST)):
        # fractions are read off a logarithmic axis, and their logarithm is near normal
        low, high = np.exp(prediction_range(np.log(fraction_needed(curves.by_draw["random"], curves.sizes, share))))
        null = (float(low), min(1.0, float(high)))
        for name in ("top", *(name for name in MEANING if name in curves.by_image)):
            by_image, title = curves.by_image[name], f"{word}_fraction_{name}"
            value = float(fraction_needed(by_image.mean(1), curves.sizes, share))
            resampled = fraction_needed(counts @ by_image.T / n_images, curves.sizes, share)
            limits, words = (None, "") if name == "random" else (null, MEANING["random"])
            found.append(Finding.from_draws(title, value, "1", n_images, resampled, null_range=limits, null=words))
    return found


def _comparisons(
    curves: SubsetCurves, counts: Int[np.ndarray, "resample image"], way: str, prefix: str, reasons: Mapping[str, str]
) -> list[Finding]:
    """By how much the area of top subsets exceeds that of others, and which share of it matched subsets explain.

    On removal the area is that of what is left, so that a negative difference says that the removed ones mattered more.
    """
    n_images = counts.shape[1]
    head = f"{prefix}{'removal_' if way == 'removal' else ''}"
    areas = {name: _areas(curves, counts, name, way) for name in ("top", *MEANING) if name in curves.by_image}
    found = []
    for name in MEANING:
        title = f"{head}top_minus_{name}_area"
        if name not in areas:
            found.append(Finding(title, np.nan, "1", n_images, reason=reasons.get(name, "")))
            continue
        top, other = areas["top"], areas[name]
        value, difference = top.value - other.value, top.resampled - other.resampled
        null = prediction_range(other.drawn, 0.0)
        found.append(Finding.from_draws(title, value, "1", n_images, difference, null_range=null, null=MEANING[name]))
    if way == "addition":
        found += [_explained(areas, name, head, n_images, reasons.get(name, "")) for name in tuple(MEANING)[1:]]
    return found


def _explained(areas: Mapping[str, _Areas], name: str, head: str, n_images: int, reason: str) -> Finding:
    """Share of the advantage of top over random subsets that matched subsets have too."""
    title = f"{head}{name.removesuffix('_matched')}_explained_share"
    if name not in areas:
        return Finding(title, np.nan, "1", n_images, reason=reason)
    top, matched, random = areas["top"], areas[name], areas["random"]
    advantage, whole = top.resampled - random.resampled, top.value - random.value
    reach = float(prediction_reach(random.drawn))
    # where nearly all resamples agree that there is an advantage; the few that do not would give shares without bound
    least = percentile_interval(advantage)[0]
    if whole <= reach or least <= 0:
        reason = "Top subsets are no better than random ones; there is nothing to explain."
        return Finding(title, np.nan, "1", n_images, reason=reason)
    value, shares = (matched.value - random.value) / whole, (matched.resampled - random.resampled) / np.maximum(advantage, least)
    null = (-reach / whole, reach / whole)
    return Finding.from_draws(title, value, "1", n_images, shares, null_range=null, null=MEANING["random"])


def _areas(curves: SubsetCurves, counts: Int[np.ndarray, "resample image"], name: str, way: str) -> _Areas:
    n_neurons = curves.sizes[-1]
    added = subset_sizes(n_neurons)
    if way == "addition":
        wanted, steps, source = added, added, name
    else:
        steps = tuple(size for size in added if size <= n_neurons // 2)
        wanted = tuple(n_neurons - size for size in steps)
        source = {"top": "bottom", "random": "random"}.get(name, f"{name}_bottom")
    places = [curves.sizes.index(size) for size in wanted]
    by_image, by_draw = curves.by_image[source][places], curves.by_draw[source][:, places]
    resampled = area_under(counts @ by_image.T / counts.shape[1], steps)
    return _Areas(float(area_under(by_image.mean(1), steps)), resampled, area_under(by_draw, steps))


def area_under(curve: Float[np.ndarray, "*curves size"], sizes: tuple[int, ...]) -> Float[np.ndarray, "*curves"]:
    """Return the mean height of curves over the logarithm of subset size (trapezia): every doubling counts the same.

    Examples
    --------
    >>> round(float(area_under(np.array([0.0, 1.0, 1.0]), (1, 2, 4))), 3)
    0.75
    """
    logarithm = np.log(sizes)
    return np.asarray(np.trapezoid(curve, logarithm, axis=-1) / (logarithm[-1] - logarithm[0]))


def fraction_needed(
    curve: Float[np.ndarray, "*curves size"], sizes: tuple[int, ...], share: float
) -> Float[np.ndarray, "*curves"]:
    """Return which fraction of all neurons first reaches ``share`` of the accuracy of all, between sizes by interpolation.

    Interpolation is linear in the logarithm of size; a curve that starts above gives the smallest size.

    Examples
    --------
    >>> fraction_needed(np.array([0.0, 0.5, 1.0]), (1, 2, 4), 0.5)
    array(0.5)
    """
    flat = np.atleast_2d(curve).reshape(-1, len(sizes))
    wanted = share * flat[:, -1]
    reached = flat >= wanted[:, None] - 1e-12
    after = reached.argmax(1)
    before = np.maximum(after - 1, 0)
    row = np.arange(len(flat))
    rise = flat[row, after] - flat[row, before]
    part = np.divide(wanted - flat[row, before], rise, out=np.zeros_like(wanted), where=rise > 0)
    logarithm = np.log(sizes)
    at = logarithm[before] + np.clip(part, 0, 1) * (logarithm[after] - logarithm[before])
    needed: np.ndarray = (np.exp(at) / sizes[-1]).reshape(np.shape(curve)[:-1])
    return needed
