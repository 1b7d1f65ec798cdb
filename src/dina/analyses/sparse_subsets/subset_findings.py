"""Statistics of addition and removal curves: how few neurons suffice, and what top subsets have beyond matched ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dina.analyses.score_changes import Treatment
from dina.analyses.sparse_subsets.subset_curves import SubsetCurves, area_under, fraction_needed
from dina.analyses.sparse_subsets.subset_orders import subset_sizes
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import prediction_reach
from dina.statistics.resampling import percentile_interval, resample_counts

HALF, MOST = 0.5, 0.9
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
    def reach(self) -> float:
        """How far from their mean one more draw would lie at most."""
        return float(prediction_reach(self.drawn))


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
    low, high = percentile_interval(counts @ whole / len(whole))
    chance = 1 / len(whole)
    return Finding("accuracy_full", float(whole.mean()), "1", len(whole), low, high, chance, chance, "chance level")


def _fractions(curves: SubsetCurves, counts: Int[np.ndarray, "resample image"]) -> list[Finding]:
    """Which fraction of the neurons gives half, and nine tenths, of the accuracy of all."""
    found = []
    n_images = counts.shape[1]
    random = curves.by_draw["random"]
    for word, share in (("half", HALF), ("most", MOST)):
        null = _range_of_fractions(fraction_needed(random, curves.sizes, share))
        for name in ("top", *(name for name in COMPARED if name in curves.by_image)):
            by_image = curves.by_image[name]
            value = float(fraction_needed(by_image.mean(1), curves.sizes, share))
            low, high = percentile_interval(fraction_needed(counts @ by_image.T / n_images, curves.sizes, share))
            limits = null if name != "random" else (np.nan, np.nan)
            words = MEANING["random"] if name != "random" else ""
            found.append(Finding(f"{word}_fraction_{name}", value, "1", n_images, low, high, *limits, words))
    return found


def _range_of_fractions(drawn: Float[np.ndarray, "draw"]) -> tuple[float, float]:
    """Return where one more draw would lie: fractions are read off a logarithmic axis, and their logarithm is near normal."""
    logarithm = np.log(drawn)
    mean, reach = float(logarithm.mean()), float(prediction_reach(logarithm))
    return float(np.exp(mean - reach)), min(1.0, float(np.exp(mean + reach)))


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
        limits = percentile_interval(areas["top"].resampled - areas[name].resampled)
        value, reach = areas["top"].value - areas[name].value, areas[name].reach
        found.append(Finding(title, value, "1", n_images, *limits, -reach, reach, MEANING[name]))
    if way == "addition":
        found += [_explained(areas, name, head, n_images, reasons.get(name, "")) for name in COMPARED[1:]]
    return found


def _explained(areas: Mapping[str, _Areas], name: str, head: str, n_images: int, reason: str) -> Finding:
    """Share of the advantage of top over random subsets that matched subsets have too."""
    title = f"{head}{name.removesuffix('_matched')}_explained_share"
    if name not in areas:
        return Finding(title, np.nan, "1", n_images, reason=reason)
    advantage = areas["top"].resampled - areas["random"].resampled
    whole = areas["top"].value - areas["random"].value
    reach = areas["random"].reach
    # where nearly all resamples agree that there is an advantage; the few that do not would give shares without bound
    least = percentile_interval(advantage)[0]
    if whole <= reach or least <= 0:
        return Finding(
            title, np.nan, "1", n_images, reason="Top subsets are no better than random ones; there is nothing to explain."
        )
    low, high = percentile_interval((areas[name].resampled - areas["random"].resampled) / np.maximum(advantage, least))
    value = (areas[name].value - areas["random"].value) / whole
    return Finding(title, value, "1", n_images, low, high, -reach / whole, reach / whole, MEANING["random"])


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
