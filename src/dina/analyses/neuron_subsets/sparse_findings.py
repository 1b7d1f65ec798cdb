"""Statistics of sparse subsets: how few neurons suffice, what the best have beyond matched ones, how unequal neurons are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dina.analyses.neuron_subsets.subset_curves import SubsetCurves, subset_sizes
from dina.analyses.score_changes import Treatment
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_range
from dina.statistics.resampling import percentile_interval, resample_counts
from dina.statistics.sparseness import gini_sparseness, treves_rolls_sparseness

HALF, MOST = 0.5, 0.9
MOST_RESAMPLES = 500
MEASURES = {"gini": gini_sparseness, "treves_rolls": treves_rolls_sparseness}
COMPARED = ("random", "snr_matched", "rate_matched")
MEANING = {
    "random": "random subsets",
    "snr_matched": "subsets matched in signal-to-noise ratio",
    "rate_matched": "subsets matched in mean response",
}


@dataclass(frozen=True, eq=False)
class _Areas:
    """Areas under the curve of one sequence: as observed, for every resample of images, and for every draw."""

    value: float
    resampled: Float[np.ndarray, "resample"]
    drawn: Float[np.ndarray, "draw"]

    @property
    def null(self) -> tuple[float, float]:
        """How far from their mean one more draw would lie."""
        return prediction_range(self.drawn, 0.0)


def describe_curves(
    curves: Mapping[Treatment, SubsetCurves], n_resamples: int, seed: int, reasons: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Return findings on the curves of the first treatment, and the areas of addition curves for the second.

    Parameters
    ----------
    curves
        Treatment → curves; the first is the one to rely on.
    n_resamples, seed
        Of the bootstrap over images.
    reasons
        Sequence ("snr_matched", "rate_matched") → why there is none.
    """
    main, *further = curves
    first = curves[main]
    n_images = first.by_image["top"].shape[1]
    counts = resample_counts(n_images, n_resamples, generator_for(seed, "bootstrap"))
    found = [_full(first, counts), *_fractions(first, counts)]
    for way in ("addition", "removal"):
        found += _comparisons(first, counts, way, "", reasons)
    for how in further:
        found += _comparisons(curves[how], counts, "addition", f"{how}_", reasons)
    return tuple(found)


def _full(curves: SubsetCurves, counts: Int[np.ndarray, "resample image"]) -> Finding:
    whole = curves.by_image["top"][-1]
    n_images, resampled = len(whole), counts @ whole / len(whole)
    chance = (1 / n_images, 1 / n_images)
    return Finding.from_draws(
        "accuracy_full", float(whole.mean()), "1", n_images, resampled, null_range=chance, null="chance level"
    )


def _fractions(curves: SubsetCurves, counts: Int[np.ndarray, "resample image"]) -> list[Finding]:
    """Which fraction of the neurons gives half, and nine tenths, of the accuracy of all."""
    found, n_images = [], counts.shape[1]
    for word, share in (("half", HALF), ("most", MOST)):
        # fractions are read off a logarithmic axis, and their logarithm is near normal
        low, high = np.exp(prediction_range(np.log(fraction_needed(curves.by_draw["random"], curves.sizes, share))))
        null = (float(low), min(1.0, float(high)))
        for name in ("top", *(name for name in COMPARED if name in curves.by_image)):
            by_image, title = curves.by_image[name], f"{word}_fraction_{name}"
            value = float(fraction_needed(by_image.mean(1), curves.sizes, share))
            resampled = fraction_needed(counts @ by_image.T / n_images, curves.sizes, share)
            if name == "random":
                found.append(Finding.from_draws(title, value, "1", n_images, resampled))
            else:
                words = MEANING["random"]
                found.append(Finding.from_draws(title, value, "1", n_images, resampled, null_range=null, null=words))
    return found


def _comparisons(
    curves: SubsetCurves, counts: Int[np.ndarray, "resample image"], way: str, prefix: str, reasons: Mapping[str, str]
) -> list[Finding]:
    """By how much the area of top subsets exceeds that of others, and which share of it matched subsets explain.

    On removal the area is that of what is left, so that a negative difference says that the removed ones mattered more.
    """
    n_images = counts.shape[1]
    head = f"{prefix}{'removal_' if way == 'removal' else ''}"
    areas = {name: _areas(curves, counts, name, way) for name in ("top", *COMPARED) if name in curves.by_image}
    found = []
    for name in COMPARED:
        title = f"{head}top_minus_{name}_area"
        if name not in areas:
            found.append(Finding(title, np.nan, "1", n_images, reason=reasons.get(name, "")))
            continue
        top, other = areas["top"], areas[name]
        value, difference = top.value - other.value, top.resampled - other.resampled
        found.append(Finding.from_draws(title, value, "1", n_images, difference, null_range=other.null, null=MEANING[name]))
    if way == "addition":
        found += [_explained(areas, name, head, n_images, reasons.get(name, "")) for name in COMPARED[1:]]
    return found


def _explained(areas: Mapping[str, _Areas], name: str, head: str, n_images: int, reason: str) -> Finding:
    """Share of the advantage of top over random subsets that matched subsets have too."""
    title = f"{head}{name.removesuffix('_matched')}_explained_share"
    if name not in areas:
        return Finding(title, np.nan, "1", n_images, reason=reason)
    top, matched, random = areas["top"], areas[name], areas["random"]
    advantage, whole, reach = top.resampled - random.resampled, top.value - random.value, random.null[1]
    # where nearly all resamples agree that there is an advantage; the few that do not would give shares without bound
    least = percentile_interval(advantage)[0]
    if whole <= reach or least <= 0:
        reason = "Top subsets are no better than random ones; there is nothing to explain."
        return Finding(title, np.nan, "1", n_images, reason=reason)
    shares = (matched.resampled - random.resampled) / np.maximum(advantage, least)
    null = (-reach / whole, reach / whole)
    value = (matched.value - random.value) / whole
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


def compare_with_surrogates(
    by_image: Float[np.ndarray, "gallery neuron"],
    strengths: Mapping[str, Float[np.ndarray, "neuron"]],
    n_resamples: int,
    generator: np.random.Generator,
    unknown: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    r"""Measure how unequal contributions are, and by how much more than those of surrogate populations.

    Neurons of a surrogate contribute in proportion to their mean responses, as Poisson neurons with equal tuning would; in
    proportion to their signal-to-noise ratios, as neurons with independent noise would; or all the same. Strengths must be as
    unequal as the true ones, not made more so by errors (`dina.analyses.neuron_strength.shrink_ratios`). To each expected
    contribution an error is added that is as large as the standard error of the observed one, because errors of estimation
    alone make contributions unequal. Negative contributions count as zero.

    Parameters
    ----------
    by_image
        Margin lost without each neuron by image.
    strengths
        Surrogate → strength of each neuron, at least 0.
    n_resamples
        Bootstrap resamples of images; at most 500 are drawn.
    generator
        Source of randomness.
    unknown
        Surrogate → why it could not be made, "" where it could.

    References
    ----------
    Buzsáki & Mizuseki (2014), Nat. Rev. Neurosci. 15:264. https://doi.org/10.1038/nrn3687
    """
    n_images, n_neurons = by_image.shape
    mean, error = by_image.mean(0), by_image.std(0, ddof=1) / np.sqrt(n_images)
    expected = {name: _share(values) * mean.sum() for name, values in strengths.items()}
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
    for name, reason in (unknown or {}).items():
        if reason:
            found += [Finding(f"{measure}_excess_over_{name}", np.nan, "1", n_images, reason=reason) for measure in MEASURES]
    return tuple(found)


def _share(strength: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(np.maximum(strength, 0.0))
    total = known.sum()
    return known / total if total > 0 else np.full(len(known), 1 / len(known))


def _inequality(contributions: np.ndarray, measure: Callable[[np.ndarray], np.ndarray]) -> float:
    positive = np.maximum(contributions, 0.0)[:, None]
    return float(measure(positive)[0])
