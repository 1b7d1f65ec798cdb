"""A run directory made up in a second, in the very files a study writes, so that pages can be tested without a study."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from dina.artifacts import write_dataset, write_json, write_text
from dina.study.decoder_scores import DecoderScores, Scored
from dina.study.judged_decoders import judge_decoders

N_NEURONS = 400
# how far the right image stands above the others, in standard deviations of the noise: (averaged, single trial)
SIGNAL = {
    "dina": (4.4, 3.1),
    "dina_before_training": (4.1, 2.9),
    "ridge": (2.6, 1.7),
    "encoding_global": (3.6, 2.4),
    "encoding_local": (4.2, 3.0),
    "nearest_repeat_zscored": (None, 2.2),
    "nearest_repeat_raw": (None, 1.8),
    "ideal_observer": (4.9, 3.5),
    "ideal_observer_transformed": (5.1, 3.8),
}
READS = {
    "nearest_repeat_zscored": "templates",
    "nearest_repeat_raw": "templates",
    "ideal_observer": "truth",
    "ideal_observer_transformed": "truth",
}


@dataclass(frozen=True)
class Fabrication:
    """What the run is to be like."""

    name: str = "demo session"
    n_test: int = 60
    thumbnail: tuple[int, ...] = (34, 135)
    is_simulated: bool = True
    has_averages_only: bool = False
    has_dina: bool = True
    label: str = "birds"
    file_name: str = ""  # of every image, behind its number
    words: str = ""  # put into every other place that holds text
    note: str = "3 images shown fewer than 2 times were dropped."


def fabricate_run(folder: Path, like: Fabrication = Fabrication()) -> Path:
    """Write a whole run directory and return its path."""
    generator = np.random.default_rng(0)
    scores = [_scores(name, like, generator) for name in SIGNAL if like.is_simulated or READS.get(name) != "truth"]
    if like.words:  # a decoder of a user's own, with a name of the user's own
        scores.append(replace(_scores("ridge", like, generator), decoder=like.words))
    analysis = judge_decoders(scores, seed=0, n_resamples=200)
    results = folder / "results"
    for one in scores:
        one.write(results / f"retrieval_{one.decoder if one.decoder in SIGNAL else 'own'}.nc")
    if analysis.gallery_size is not None:
        write_dataset(results / "gallery_size.nc", analysis.gallery_size)
    if analysis.comparisons is not None:
        write_dataset(results / "comparisons.nc", analysis.comparisons)
    write_dataset(results / "gallery.nc", _gallery(like, generator))
    write_dataset(results / "quality.nc", _quality(like, generator))
    write_json(folder / "summary.json", _summary(like, [row.to_json() for row in analysis.rows]))
    write_json(
        folder / "environment.json",
        {"dina": "0.1.0", "python": "3.11.7", "numpy": "2.2.0", "device": "cpu" + like.words, "n_threads": 2},
    )
    write_json(folder / "split.json", {"seed": 0, "sha256": "ab" * 32, "near_identical_groups": [[4, 9]]})
    write_text(folder / "study.toml", 'seed = 0\npreset = "default"\n\n[split]\ntest_fraction = 0.1\n' + like.words)
    if like.has_dina:
        _write_history(folder / "history.csv", generator)
    return folder


def _scores(name: str, like: Fabrication, generator: np.random.Generator) -> DecoderScores:
    reads: Any = READS.get(name, "images")
    preset = "default" if name.startswith("dina") else ""
    if name.startswith("dina") and not like.has_dina:
        reason = "The towers need at least 60 training images; there are 40."
        return DecoderScores(name, preset, reads, reason={"averaged": reason, "single_trial": reason})
    scored: dict[Any, Scored] = {}
    reasons: dict[Any, str] = {}
    chosen = {"alpha": 10.0, like.words: like.words} if name == "ridge" else {}
    for kind, signal, n_trials in zip(("averaged", "single_trial"), SIGNAL[name], (1, 2), strict=True):
        if signal is None:
            reasons[kind] = (
                "The average uses up the other repeats, which would serve as templates; see single trials." + like.words
            )
        elif kind == "single_trial" and like.has_averages_only:
            reasons[kind] = "Single trials cannot be decoded: this recording stores averages only."
        else:
            target = np.tile(np.arange(like.n_test), n_trials)
            noise = generator.standard_normal((len(target), like.n_test))
            scored[kind] = Scored(noise + signal * np.eye(like.n_test)[target], target, np.arange(like.n_test) * 3)
    return DecoderScores(name, preset, reads, scored, reasons, chosen)


def _gallery(like: Fabrication, generator: np.random.Generator) -> xr.Dataset:
    height, width, *colour = like.thumbnail
    y, x = np.mgrid[:height, :width] / height
    shape = (like.n_test, *(1 for _ in like.thumbnail))
    angle, frequency, phase = (
        generator.uniform(low, high, shape[: 3 + len(colour)]) for low, high in ((0, 3.1), (4, 20), (0, 6))
    )
    wave = np.sin(frequency * (np.cos(angle) * _fit(x, colour) + np.sin(angle) * _fit(y, colour)) + phase)
    noise = generator.standard_normal((like.n_test, *like.thumbnail))
    pixels = np.clip(128 + 70 * wave + 12 * noise, 0, 255).astype(np.uint8)
    axes = ("gallery", "thumbnail_height", "thumbnail_width", "colour")[: pixels.ndim]
    labels = np.array([like.label if i % 2 else "" for i in range(like.n_test)], dtype=object)
    known = {"thumbnail": (axes, pixels), "stimulus_id": ("gallery", np.arange(like.n_test) * 3), "label": ("gallery", labels)}
    if like.file_name:
        known["image_name"] = ("gallery", np.array([f"{i}{like.file_name}" for i in range(like.n_test)], dtype=object))
    return xr.Dataset(known)


def _fit(plane: np.ndarray, colour: list[int]) -> np.ndarray:
    return plane[None, ..., None] if colour else plane[None]


def _quality(like: Fabrication, generator: np.random.Generator) -> xr.Dataset:
    rank = np.arange(1, 301)
    reliability = np.clip(generator.normal(0.25, 0.2, N_NEURONS), -0.3, 0.95)
    variables: dict[str, Any] = {
        "mean_response": ("neuron", generator.lognormal(0, 1, N_NEURONS)),
        "zero_fraction": ("neuron", generator.beta(5, 5, N_NEURONS)),
        "n_trials": ("stimulus", np.where(np.arange(10 * like.n_test) % 40 == 0, 1, 2)),
    }
    if like.has_averages_only:
        return xr.Dataset(
            variables, attrs={"reason_reliability": "Reliability needs two trials of an image; there are averages only."}
        )
    variables |= {"reliability": ("neuron", reliability), "signal_variance": ("neuron", np.clip(reliability * 0.6, -0.1, 1))}
    variables["repeats_mean"] = ("response_group", np.geomspace(0.5, 3, 8))
    variables["repeats_variance"] = ("response_group", 2 * np.geomspace(0.5, 3, 8) ** 1.3)
    variables["variance_spectrum"] = ("rank", 0.2 * rank**-1.05 * generator.lognormal(0, 0.05, 300))
    law = {"power_law_exponent": 1.05, "power_law_first_rank": 11, "power_law_last_rank": 300}
    law |= {"mean_variance_exponent": 1.3, "mean_variance_factor": 2.0, "mean_variance_low": 1.2, "mean_variance_high": 1.4}
    return xr.Dataset(variables, attrs=law)


def _summary(like: Fabrication, rows: list[Any]) -> dict[str, Any]:
    return {
        "dina_version": "0.1.0",
        "recording": {
            "name": like.name,
            "condition": "natural" + like.words,
            "is_simulated": like.is_simulated,
            "n_neurons": N_NEURONS,
            "n_stimuli": 10 * like.n_test,
            "n_trials": 20 * like.n_test,
            "n_repeats": 2,
            "n_repeats_range": [2, 2],
            "notes": [like.note],
            "sha256": "cd" * 32,
        },
        "split": {"n_train": 8 * like.n_test, "n_validation": like.n_test, "n_test": like.n_test, "seed": 0, "sha256": "ab" * 32},
        "quality": {"median_reliability": 0.25, "power_law_exponent": 1.05},
        "response_transform": {"name": "power 0.5", "mean_log_rank": {"identity": 1.5, "power 0.5": 1.2}, "exponent": 1.3},
        "decoding": rows,
        "training": _training(like),
        "fits": {"ridge": {"alpha": 10.0, "said": like.words}},
        "warnings": [like.words] if like.words else [],
    }


def _training(like: Fabrication) -> dict[str, Any]:
    if not like.has_dina:
        return {"reason": "Nothing was trained in this study."}
    why = "Validation did not improve for 4 epochs." + like.words
    return {"epochs_done": 40, "epochs_budget": 100, "chosen_epoch": 36, "stop_reason": why}


def _write_history(path: Path, generator: np.random.Generator) -> None:
    epoch = np.arange(41)
    loss = 3.5 * np.exp(-epoch / 9) + 0.5 + 0.03 * generator.standard_normal(41)
    top1 = 0.9 - 0.5 * np.exp(-epoch / 7) + 0.01 * generator.standard_normal(41)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["epoch", "train_loss", "validation_loss", "validation_top1", "learning_rate"])
        writer.writerows(zip(epoch, ["", *loss[1:]], loss + 0.3, top1, 1e-3 * np.ones(41), strict=True))
