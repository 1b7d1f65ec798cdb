"""Objectives side by side over seeds: retrieval, category beyond low-level structure, spatial frequencies, similarity of maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from dina.analyses.objectives.objective_measures import PROFILE
from dina.analyses.verdict import MARGIN, Answer, FindingKey, Rule, Verdict, judge, place_of, rises_above, says
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.intervals import wilson_interval
from dina.statistics.map_similarity import linear_cka
from dina.statistics.resampling import WELL_DEFINED, central_range, resample_counts
from dina.training.objectives import OBJECTIVES

BEYOND, MATCHED = "category_beyond_low_level", "category_matched_beyond_low_level"
RESPONSES: FindingKey = ("responses", BEYOND)
CONTRASTIVE: FindingKey = ("contrastive", MATCHED)
SEMANTIC: FindingKey = ("category objectives", MATCHED)
LOSS: FindingKey = ("category objectives", f"{MATCHED}_minus_contrastive")
N_RESAMPLES = 2000
NAMES = {"category_accuracy": "guess", "category_accuracy_image": "guess_image", "category_matched": "guess_by_match"}
FROM_LOW_LEVEL = "categories drawn from low-level structure"
ALL_DETERMINED = "Low-level structure determines every category, so that nothing is left to find."
Rows = Sequence[Float[np.ndarray, "image"]]


def _decide(found: Mapping[FindingKey, Finding]) -> tuple[Answer, str]:
    """Decide whether the low-level bias is made by the contrastive objective; ``docs/objectives.md`` says the rule in words."""
    held, kept, semantic, loss = (found[key] for key in (RESPONSES, CONTRASTIVE, SEMANTIC, LOSS))
    where = f"Responses carry {says(held, '%')} of the category information that low-level structure lacks"
    others = (
        f"best-matching images keep {says(semantic, '%')} of it in towers trained by category, {says(kept, '%')} in"
        " contrastive ones"
    )
    is_semantic = rises_above(semantic) and place_of(semantic, MARGIN) == "above"
    if place_of(held, MARGIN) == "below":
        if is_semantic:
            return "cannot tell", f"{where}, less than a tenth; yet {others}."
        return "not supported", f"{where}, less than a tenth: no objective could keep information that is not there ({others})."
    if place_of(held, MARGIN) != "above" or not rises_above(held):
        return "cannot tell", f"{where}; {others}."
    if not (is_semantic or (rises_above(kept) and place_of(kept, MARGIN) == "above")):
        return "cannot tell", f"{where}, but these towers keep it under no objective: {others}."
    lost = f"{where}; {others}. The share lost under the contrastive objective is {says(loss, '%')}"
    if place_of(loss, MARGIN) == "above":
        return "supported", f"{lost}: more than a tenth."
    if place_of(loss, MARGIN) == "below":
        return "not supported", f"{lost}: less than a tenth."
    return "cannot tell", f"{lost}."


# Needs the responses themselves, the contrastive objective and at least one objective trained by category.
OBJECTIVE_RULE = Rule(
    claim="The low-level bias of the maps is made by the contrastive objective.",
    side="image",
    statistic="Balanced accuracy of category among the training images that a held-out response matches best, minus that of"
    " responses made from low-level structure alone, as a share of the largest possible difference; category objectives compared"
    " with the contrastive one.",
    needs=(RESPONSES, CONTRASTIVE, SEMANTIC, LOSS),
    decide=_decide,
)


@dataclass(frozen=True, eq=False)
class ObjectiveComparison:
    """Numbers of all objectives side by side, and the verdict whether the contrastive one makes the low-level bias.

    Findings of each objective over all seeds are ``top1_averaged``, ``top1_single_trial``, those of `PROFILE`, and with labels
    balanced accuracies of category: ``category_accuracy`` (a readout of the maps of responses), ``category_accuracy_image``
    (of images) and ``category_matched`` (among the training images that a response matches best); and of the first and last
    the share beyond low-level structure, ``category_beyond_low_level`` and ``category_matched_beyond_low_level``. "responses"
    has the first of the responses themselves; "category objectives" the last as the mean of all objectives trained by
    category, and by how much it exceeds the contrastive one. ``similarity`` is the linear kernel alignment of the maps of test
    images, mean over seeds.
    """

    findings: Mapping[str, Mapping[str, Finding]]
    similarity: xr.DataArray
    verdict: Verdict
    seeds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ObjectivesStudy:
    """A comparison of objectives on the recording of this name, ready to be written.

    ``learning`` holds the validation top-1 by epoch of the first seed, ``missing`` why an objective could not be trained.
    """

    recording: str
    comparison: ObjectiveComparison
    learning: Mapping[str, Sequence[float]]
    missing: Mapping[str, str]


def compare_objectives(
    measured: Mapping[tuple[str, int], xr.Dataset], responses: Mapping[int, xr.Dataset], seed: int = 0
) -> ObjectiveComparison:
    """Put together what was measured of each objective and seed.

    Intervals come from drawing seeds, and images within seeds, with replacement. Those of accuracies also hold Wilson's interval,
    since a bootstrap of images that were all missed has no spread.

    ``measured`` holds what `measure_objective` gives by objective and seed, the same seeds for all objectives; ``responses``
    what `measure_responses` gives by seed, empty where images have no labels. ``seed`` is that of the bootstrap.
    """
    objectives = list(dict.fromkeys(name for name, _ in measured))
    seeds = sorted({number for _, number in measured})
    runs = {name: [measured[name, number] for number in seeds] for name in objectives}
    found = {name: [*_retrieval(some, seed), *_profile(some, seed)] for name, some in runs.items()}
    if set(seeds) <= responses.keys():
        for name, some in runs.items():
            found[name] += _category(some, seed)
        found[RESPONSES[0]] = [_beyond(BEYOND, "guess", [responses[number] for number in seeds], seed)]
        by_category = [runs[name] for name in objectives if name in OBJECTIVES and OBJECTIVES[name]().needs == "categories"]
        if by_category and CONTRASTIVE[0] in runs:
            found[SEMANTIC[0]] = _category_objectives(by_category, runs[CONTRASTIVE[0]], seed)
    named = {name: {one.name: one for one in some} for name, some in found.items()}
    verdict = judge((OBJECTIVE_RULE,), named)[0]
    return ObjectiveComparison(named, _similarity(runs), verdict, tuple(seeds))


def _retrieval(runs: Sequence[xr.Dataset], seed: int) -> list[Finding]:
    found = []
    for name in ("top1_averaged", "top1_single_trial"):
        rows = [run[name].to_numpy() for run in runs]
        rows = [row[np.isfinite(row)] for row in rows]
        if any(not len(row) for row in rows):
            found.append(Finding(name, np.nan, "1", 0, reason="No image has such a query."))
            continue
        chance = float(np.mean([1 / len(row) for row in rows]))
        mean = _average(name, rows, [np.full(len(row), 1 / len(row)) for row in rows], seed)
        no_null = f"Chance is {chance:.3g}, one over the number of candidates; a null was not drawn."
        found.append(Finding.from_draws(name, mean.value, "1", mean.n, interval=mean.accuracy_interval, no_null=no_null))
    return found


def _profile(runs: Sequence[xr.Dataset], seed: int) -> list[Finding]:
    found = []
    for name in PROFILE:
        values, _, _, null_low, null_high = np.stack([run["profile"].sel(statistic=name).to_numpy() for run in runs]).T
        units = str(runs[0].attrs["units_of_median_frequency"]) if name == "median_frequency" else "1"
        if not np.isfinite(values).all():
            reason = "Nothing was found in the full gallery for some seed, so that no frequency carries the decoding."
            found.append(Finding(name, np.nan, units, 0, reason=reason))
            continue
        null = float(null_low.mean()), float(null_high.mean())
        resamples = [run["profile_resamples"].sel(statistic=name).to_numpy() for run in runs]
        one = Finding.from_draws(name, float(values.mean()), units, len(values), null="pairs permuted", null_range=null)
        if any(np.isfinite(row).mean() < WELL_DEFINED for row in resamples):
            found.append(replace(one, reason="For some seed few resamples of the images define it, so that it has no interval."))
        else:
            low, high = central_range(_draw_seeds(resamples, generator_for(seed, f"objectives {name}")))
            found.append(replace(one, low=low, high=high))
    return found


def _draw_seeds(resamples: Rows, generator: np.random.Generator) -> Float[np.ndarray, "resample"]:
    """Draw seeds with replacement, and for each a resample of its images that defines the statistic; average over seeds."""
    defined = [row[np.isfinite(row)] for row in resamples]
    places = generator.random((N_RESAMPLES, len(defined)))
    drawn = generator.integers(len(defined), size=(N_RESAMPLES, len(defined)))
    by_seed = np.stack([row[(places * len(row)).astype(int)] for row in defined])
    averaged: np.ndarray = np.take_along_axis(by_seed, drawn[None], axis=0)[0].mean(axis=1)
    return averaged


def _category(runs: Sequence[xr.Dataset], seed: int) -> list[Finding]:
    weights = [_balanced(run["category"].to_numpy()) for run in runs]
    generator = generator_for(seed, "permuted categories")
    found = []
    for name, guess in NAMES.items():
        rows = [_correct(run, guess) for run in runs]
        null = []
        for _ in range(200):
            orders = [generator.permutation(len(row)) for row in rows]
            shuffled = [
                run[guess][order].to_numpy() == run["category"].to_numpy() for run, order in zip(runs, orders, strict=True)
            ]
            null.append(np.mean([weight @ one for weight, one in zip(weights, shuffled, strict=True)]))
        mean = _average(name, rows, weights, seed)
        null_words, interval = "categories permuted", mean.accuracy_interval
        found.append(Finding.from_draws(name, mean.value, "1", mean.n, None, np.array(null), null_words, interval=interval))
    return [*found, _beyond(BEYOND, "guess", runs, seed), _beyond(MATCHED, "guess_by_match", runs, seed)]


def _beyond(name: str, guess: str, runs: Sequence[xr.Dataset], seed: int) -> Finding:
    """Return how much better category is read than from surrogate responses, as a share of what is possible."""
    draws = []
    for run in runs:
        weight = _balanced(run["category"].to_numpy())
        drawn = (_correct(run, f"{guess}_surrogate") @ weight) / (_possible(run) @ weight)
        draws.append(drawn - drawn.mean())
    share = _share(name, [_gain(run, guess) for run in runs], runs, seed)
    return Finding.from_draws(
        name, share.value, "1", share.n, share.resamples, np.mean(draws, axis=0), FROM_LOW_LEVEL, ALL_DETERMINED
    )


def _category_objectives(
    by_category: Sequence[Sequence[xr.Dataset]], contrastive: Sequence[xr.Dataset], seed: int
) -> list[Finding]:
    gains = [
        np.mean([_gain(runs[number], "guess_by_match") for runs in by_category], axis=0) for number in range(len(contrastive))
    ]
    minus = [gain - _gain(run, "guess_by_match") for gain, run in zip(gains, contrastive, strict=True)]
    nulls = [_beyond(MATCHED, "guess_by_match", runs, seed) for runs in by_category]
    null = float(np.mean([one.null_low for one in nulls])), float(np.mean([one.null_high for one in nulls]))
    share, loss = _share(MATCHED, gains, contrastive, seed), _share(LOSS[1], minus, contrastive, seed)
    return [
        Finding.from_draws(
            *(MATCHED, share.value, "1", share.n, share.resamples), null=nulls[0].null, reason=ALL_DETERMINED, null_range=null
        ),
        Finding.from_draws(LOSS[1], loss.value, "1", loss.n, loss.resamples, reason=ALL_DETERMINED),
    ]


def _correct(run: xr.Dataset, guess: str) -> Float[np.ndarray, "..."]:
    return np.asarray(run[guess].to_numpy() == run["category"].to_numpy(), dtype=float)


def _possible(run: xr.Dataset) -> Float[np.ndarray, "image"]:
    """Return for each image what a readout of category alone would gain."""
    return np.asarray(1 - _correct(run, "category_surrogate").mean(axis=0))


def _gain(run: xr.Dataset, guess: str) -> Float[np.ndarray, "image"]:
    return np.asarray(_correct(run, guess) - _correct(run, f"{guess}_surrogate").mean(axis=0))


def _balanced(category: Int[np.ndarray, "image"]) -> Float[np.ndarray, "image"]:
    """Return weights that sum to 1 and give every category that is there the same share."""
    counts = np.bincount(category)
    return np.asarray(1 / counts[category] / (counts > 0).sum())


@dataclass(frozen=True, eq=False)
class _Average:
    """A mean over images and seeds with its resamples; ``n_effective`` images are as many as the weights amount to (Kish)."""

    value: float
    resamples: Float[np.ndarray, "resample"]
    n: int
    n_effective: int

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """Both the percentile interval and Wilson's, for a fraction of correct answers."""
        (low, high), wilson = central_range(self.resamples), wilson_interval(min(1.0, max(0.0, self.value)), self.n_effective)
        return min(wilson[0], low), max(wilson[1], high)


def _share(name: str, gains: Rows, runs: Sequence[xr.Dataset], seed: int) -> _Average:
    weights = [_balanced(run["category"].to_numpy()) for run in runs]
    return _average(name, gains, weights, seed, [_possible(run) for run in runs])


def _average(name: str, rows: Rows, weights: Rows, seed: int, possible: Rows | None = None) -> _Average:
    """Average over images, as a share of what is possible for them, and over seeds; draw seeds and, within each, images."""
    totals = weights if possible is None else [weight * each for weight, each in zip(weights, possible, strict=True)]
    n_seeds = len(rows)
    if any(total.sum() <= 0 for total in totals):
        return _Average(np.nan, np.full(N_RESAMPLES, np.nan), 0, 0)
    generator = generator_for(seed, f"objectives {name}")
    parts = [(weight * row, total) for weight, row, total in zip(weights, rows, totals, strict=True)]
    value = float(np.mean([part.sum() / total.sum() for part, total in parts]))
    resampled = np.empty((n_seeds, n_seeds, N_RESAMPLES))  # a seed drawn twice gets two resamples of its images
    for number, (part, total) in enumerate(parts):
        for slot in range(n_seeds):
            counts = resample_counts(len(part), N_RESAMPLES, generator)
            resampled[number, slot] = (counts @ part) / np.maximum(counts @ total, 1e-12)
    drawn = generator.integers(n_seeds, size=(n_seeds, N_RESAMPLES))
    slots, draws = np.arange(n_seeds)[:, None], np.arange(N_RESAMPLES)[None]
    n_effective = max(1, round(n_seeds**2 / sum(float((weight**2).sum()) for weight in weights)))
    return _Average(value, resampled[drawn, slots, draws].mean(axis=0), sum(map(len, rows)), n_effective)


def _similarity(runs: Mapping[str, Sequence[xr.Dataset]]) -> xr.DataArray:
    """Compare maps of the same test images between objectives; 1 on the diagonal."""
    names, sides = list(runs), ("image", "response")
    values = np.ones((len(sides), len(names), len(names)))
    for number, side in enumerate(sides):
        for i, first in enumerate(names):
            for j in range(i):
                pairs = zip(runs[first], runs[names[j]], strict=True)
                found = [linear_cka(*(run[f"{side}_maps"].to_numpy() for run in pair)) for pair in pairs]
                values[number, i, j] = values[number, j, i] = float(np.mean(found))
    coords = {"side": list(sides), "first": names, "second": names}
    return xr.DataArray(values, coords, ("side", "first", "second"), "linear_cka", {"units": "1"})
