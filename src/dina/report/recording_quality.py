"""The recording that was decoded, its split, and the quality of its data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from dina.figures.parts import FigurePart, Section, Table
from dina.figures.words import from_to, number, numbers, percent
from dina.report.answer import presentations_in_trials
from dina.report.copies import copies_as_repeats
from dina.report.quality_figures import draw_histogram, draw_mean_variance, draw_repeats, draw_spectrum
from dina.study.run_directory import Run

FACTS = {
    "name": "name",
    "condition": "condition (stimulus set)",
    "image_set": "image set",
    "area": "brain area",
    "response_units": "unit of the responses",
    "n_neurons": "neurons",
    "n_stimuli": "images shown",
    "n_repeats": "trials per image",
    "n_repeats_range": "trials per image, fewest and most",
    "n_trials": "trials",
    "n_presentations": "presentations (a trial may average several)",
    "deg_per_pixel": "degrees of visual angle per pixel",
    "sha256": "checksum of the data (SHA-256)",
}
# Key of ``summary.json`` → words; other keys are shown as they are.
SPLIT_FACTS = {
    "n_folds": "folds (numbers for training and validation are those of the smallest)",
    "n_train": "images for training",
    "n_validation": "images for validation",
    "n_test": "images for testing",
    "seed": "seed",
    "sha256": "checksum of the split (SHA-256)",
    "n_near_identical_groups": "groups of near-identical images",
}
QUALITY_FACTS = {
    "n_constant_neurons": "neurons that never change",
    "median_reliability": "split-half reliability of the responses as recorded to all images, median over neurons",
    "median_signal_variance": "signal variance (of single-trial variance), median over neurons",
    "power_law_exponent": "power-law exponent of the variance spectrum (95\u202f% interval)",
    "nearest_training_image": "correlation of the pixels of a test image with the training image most like it, median",
    "slow_drift_share": "slow drift of the responses as recorded, share of the variance of training trials about the means of images"
    " (with the trials of each image exchanged: at most)",
    "slow_drift_p_value": "p-value of slow drift of the responses as recorded",
}

# Variable of ``quality.nc`` → axis label, and what zero means.
NEURON_HISTOGRAMS = {
    "reliability": ("split-half reliability (correlation between halves of the trials)", "no reliable response to the images"),
    "signal_variance": ("signal variance (% of single-trial variance)", "no variance that the images explain"),
    "zero_fraction": ("responses that are exactly zero (%)", None),
    "mean_response": ("mean response (arbitrary units)", None),
}


REASONS = {
    "variance_spectrum": "Variance spectrum",
    "power_law_exponent": "Power law",
    "mean_variance": "Variance against mean response",
}
"""What may be missing from ``quality.nc`` → words."""


def what_was_decoded(run: Run) -> Section:
    """Show the facts of the recording, the split, and what the reader dropped or converted."""
    recording, split = run.summary.get("recording", {}), run.summary.get("split", {})
    facts = {key: value for key, value in recording.items() if key not in ("notes", "is_simulated")}
    # trials per image: one number where all have the same, else the fewest and the most
    facts.pop("n_repeats" if facts.get("n_repeats") is None else "n_repeats_range", None)
    if facts.get("n_presentations") == facts.get("n_trials"):  # as a rule: each trial is one
        facts.pop("n_presentations", None)
    tables = [
        Table("The recording.", ("fact", "value"), _facts(facts, FACTS), n_words=2),
        Table("The split of the images.", ("fact", "value"), _facts(split, SPLIT_FACTS), n_words=2),
    ]
    sizes = [split.get(f"n_{part}") for part in ("train", "validation", "test")]
    notes = recording.get("notes")
    words = [_split_words(*sizes)] if all(isinstance(size, int) for size in sizes) and not run.folds else []
    is_decoded = any(row.queries == "single_trial" and row.top1 is not None for row in run.rows)
    averages = presentations_in_trials(run)
    if averages and is_decoded:
        words.append(f"Wherever this page says single trials, it means trials {averages}.")
    elif averages:
        words.append(f"Wherever this page says trials, it means responses {averages}; there are no single presentations.")
    words += filter(None, (copies_as_repeats(run),))
    words += [f"Note: {note}" for note in (notes if isinstance(notes, list) else [])]
    return Section("recording", "What was decoded", paragraphs=words, tables=tables)


def _facts(values: Mapping[str, Any], words: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (words.get(key, key.replace("_", " ")), _words(value) if key != "seed" else str(value)) for key, value in values.items()
    )


def data_quality(run: Run) -> Section:
    """Show reliability, signal variance, the variance spectrum and the trials per image."""
    title = "Data quality"
    quality = run.quality
    if quality is None:
        return Section("quality", title, missing=("It was not measured: the run holds no results/quality.nc.",))
    figures, missing = [], []
    for name, (label, zero) in NEURON_HISTOGRAMS.items():
        part = _histogram(quality, name, label, zero)
        figures += part
        reason = quality.attrs.get(f"reason_{name}")
        if not part and (reason or name in quality):
            missing.append(f"{label.split(' (')[0].capitalize()}: {reason or 'it could not be computed for any neuron.'}")
    if "n_trials" in quality and len(np.unique(quality["n_trials"])) > 1:  # one number stands among the facts
        figures.append(_repeats(quality["n_trials"].to_numpy()))
    figures += _spectrum(quality)
    figures += _mean_variance(quality, run.summary.get("response_transform", {}))
    tables = _transforms(run.summary.get("response_transform", {}))
    for name, words in REASONS.items():
        if f"reason_{name}" in quality.attrs:
            missing.append(f"{words}: {quality.attrs[f'reason_{name}']}")
    numbers = run.summary.get("quality")
    known = numbers.items() if isinstance(numbers, dict) else ()
    rows = _facts(_joined({k: v for k, v in known if not k.startswith("reason") and v is not None}), QUALITY_FACTS)
    transform = run.summary.get("response_transform", {}).get("name")
    rows += (("transform of the responses before decoding", str(transform)),) if transform else ()
    tables += (
        [
            Table(
                "Quality in numbers. They describe this recording and test nothing, unless a p-value is given.",
                ("measure", "value"),
                rows,
                n_words=2,
            )
        ]
        if rows
        else []
    )
    if isinstance(numbers, dict) and "reason_slow_drift" in numbers:
        missing.append(f"Slow drift: {numbers['reason_slow_drift']}")
    words = "No decoder can recover information that the responses lack. These are properties of the recording alone, without a decoder."
    covariates = run.summary.get("covariates")
    removed = str(covariates.get("in_words", "")) if isinstance(covariates, dict) else ""
    return Section("quality", title, (words, *([removed] if removed else [])), figures, tables, missing)


def _joined(known: Mapping[str, Any]) -> dict[str, Any]:
    """Put intervals and nulls into the line of their number, and write shares in per cent."""
    joined = dict(known)
    ends = [joined.pop(f"power_law_{end}", None) for end in ("low", "high")]
    if "power_law_exponent" in joined:
        exponent, *between = numbers(joined["power_law_exponent"], *ends)
        joined["power_law_exponent"] = f"{exponent} ({from_to(*between)})"
    chance = joined.pop("slow_drift_null_high", None)
    for name in ("median_signal_variance", "slow_drift_share"):
        if name in joined:
            joined[name] = percent(joined[name]) + (f" ({percent(chance)})" if name == "slow_drift_share" else "")
    return joined


def _histogram(quality: xr.Dataset, name: str, label: str, zero: str | None) -> list[FigurePart]:
    if name not in quality or not np.isfinite(quality[name].to_numpy()).any():
        return []
    values = quality[name].to_numpy().astype(float)
    values = values[np.isfinite(values)] * (100 if "%" in label else 1)
    steps = (5, 25, 50, 75, 95)
    cells = numbers(*(float(np.percentile(values, step)) for step in steps), float(values.mean()))
    columns = (*(f"{step}\u202f% quantile" for step in steps), "mean")
    table = Table(f"Distribution over {len(values):,} neurons: {label}.", columns, (cells,), n_words=0)
    plain = label.split(" (")[0]
    meaning = f" Dashed line at zero: {zero}." if zero and values.min() < 0 < values.max() else ""
    caption = (
        f"{plain[0].upper()}{plain[1:]}, for each of {len(values):,} neurons; the line marks the median.{meaning} The outermost bars hold"
        " whatever lies beyond them."
    )
    low, middle, high = (f"{np.percentile(values, step):.2g}" for step in (25, 50, 75))
    spoken = f"Histogram over {len(values):,} neurons of {plain}: median {middle}, middle half {low} to {high}."
    return [FigurePart(f"quality_{name}", draw_histogram(values, label, zero), caption, spoken, table)]


def _spectrum(quality: xr.Dataset) -> list[FigurePart]:
    if "variance_spectrum" not in quality or not (quality["variance_spectrum"].to_numpy() > 0).any():
        return []
    variance = quality["variance_spectrum"].to_numpy().astype(float)
    attributes = {**quality.attrs, **quality["variance_spectrum"].attrs}
    exponent = attributes.get("power_law_exponent")
    first, last = (int(attributes.get(f"power_law_{end}_rank", rank)) for end, rank in (("first", 11), ("last", 500)))
    last = min(last, len(variance))
    fit, power = "No power law could be fitted.", ""
    if exponent is not None:
        fit = f"The dashed line falls as rank to the power −{exponent:.2f}, fitted to ranks {first} to {last}; its interval is among the numbers of quality."
        power = f" with exponent {exponent:.2f}"
    shown = [rank for rank in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if rank <= len(variance)]
    rows = tuple((number(rank), number(float(variance[rank - 1]))) for rank in shown)
    table = Table("Cross-validated signal variance by rank.", ("rank", "variance"), rows, n_words=0)
    caption = (
        "Variance spectrum of the population response to the images, by cross-validated principal components: the variance that two"
        f" sets of trials share. {fit} Values at or below zero cannot be drawn. All images of the recording take part. Where the page has"
        " a section on variance spectra, its exponents of the responses are those of fewer images, validation and test, so they differ."
    )
    spoken = f"Variance falls with rank{power}; the numbers are in the table."
    return [FigurePart("spectrum", draw_spectrum(variance, exponent, first, last), caption, spoken, table)]


def _mean_variance(quality: xr.Dataset, chosen: Mapping[str, Any]) -> list[FigurePart]:
    """Show how noise grows with the response, and what was done about it."""
    exponent, factor = (quality.attrs.get(f"mean_variance_{name}") for name in ("exponent", "factor"))
    if "repeats_mean" not in quality or exponent is None or factor is None:
        return []
    mean, variance = (quality[f"repeats_{name}"].to_numpy().astype(float) for name in ("mean", "variance"))
    low, high = (quality.attrs.get(f"mean_variance_{name}") for name in ("low", "high"))
    interval = "" if low is None or high is None else f" (95\u202f% over neurons: {low:.2f} to {high:.2f})"
    tried = " The table of transforms shows what was tried." if chosen.get("mean_log_rank") else ""
    grows = (exponent if low is None else low) > 0
    falls = (exponent if high is None else high) < 0
    course = "grows with" if grows else "falls with" if falls else "does not certainly grow with"
    equal = f" A power of the responses of {1 - exponent / 2:.2f} would make the noise of the typical neuron the same everywhere."
    caption = (
        f"Noise {course} the response: the variance over repeats is proportional to the mean to the power {exponent:.2f}{interval}. Each"
        " point is a group of training images whose predicted responses are alike, averaged over neurons."
        f"{equal if grows and exponent < 2 else ''} {_transform_words(chosen)}{tried}"
    )
    rows = tuple((number(float(x)), number(float(y))) for x, y in zip(mean, variance, strict=True))
    table = Table("Mean and variance over repeats.", ("mean response", "variance over repeats"), rows, n_words=0)
    spoken = f"The variance over repeats follows the mean response to the power {exponent:.2f}."
    return [FigurePart("mean_variance", draw_mean_variance(mean, variance, factor, exponent), caption, spoken, table)]


def _transform_words(chosen: Mapping[str, Any]) -> str:
    name = str(chosen.get("name", "not recorded"))
    if name == "identity":
        return "Responses were decoded as they were recorded (transform: identity)."
    return f"Transform of the responses before decoding: {name}."


def _transforms(chosen: Mapping[str, Any]) -> list[Table]:
    """List the transforms that were tried."""
    tried, errors = (dict(chosen.get(key, {})) for key in ("mean_log_rank", "standard_error"))  # older runs hold no errors
    lowest = min(tried.values(), default=0.0)
    rows = tuple(
        (
            name,
            f"{value:.3f}",
            *([f"{value - lowest:.3f} ± {errors[name]:.3f}"] if errors else []),
            "yes" if name == chosen.get("name") else "",
        )
        for name, value in tried.items()
    )
    caption = (
        "Transforms of the responses, tried on training images: mean log rank of the right image among all training images; lower is"
        " better. The simplest is chosen that is worse than the lowest by at most one standard error of their difference, paired by image."
        " Identity: as recorded. With gain: each trial divided by a gain of its own first. These numbers only choose; they are no test."
    )
    above = ("above the lowest ± standard error",) if errors else ()
    return [Table(caption, ("transform", "mean log rank", *above, "chosen"), rows)] if rows else []


def _repeats(n_trials: np.ndarray) -> FigurePart:
    count, images = np.unique(n_trials.astype(int), return_counts=True)
    rows = tuple((number(int(c)), number(int(i))) for c, i in zip(count, images, strict=True))
    table = Table("Trials per image.", ("trials", "images"), rows, n_words=0)
    several = f"between {count.min()} and {count.max()} trials; median {np.median(n_trials):g}"
    each = f"{count[0]} {'trial' if count[0] == 1 else 'trials'} each"
    spoken = f"Images have {each if len(count) == 1 else several}."
    caption = f"How many trials each of {len(n_trials):,} images has."
    return FigurePart("repeats", draw_repeats(n_trials), caption, spoken, table)


def _split_words(train: int, validation: int, test: int) -> str:
    return (
        f"Images, not trials, were divided: {train:,} to learn from, {validation:,} to choose settings by, and {test:,} to be tested on once. All trials of"
        " an image, and all images nearly identical to it, are in the same part."
    )


def _words(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    return "not known" if value is None else str(value)
