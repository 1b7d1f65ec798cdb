"""The table of all numbers, ``summary.json``: null with a reason where something cannot be computed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dina import __version__
from dina.data.splits import Split
from dina.recordings.recording import Recording
from dina.retrieval.evaluate import TRAINING
from dina.study.decoder_scores import DecoderScores
from dina.study.judged_decoders import JudgedDecoders
from dina.study.quality import Quality
from dina.study.run_directory import Run, update_summary

NOT_CHANCE = 0.01
"""p-value below which a decoder is taken to beat chance, in warnings."""


def compose_summary(
    recording: Recording,
    split: Split,
    quality: Quality,
    scores: Sequence[DecoderScores],
    judged: JudgedDecoders,
) -> dict[str, Any]:
    """Return the content of ``summary.json``; the same study gives the same, times are kept elsewhere.

    Parameters
    ----------
    recording, split, quality
        What was studied and how.
    scores
        Of every decoder, for what its fit reported.
    judged
        The table and the comparisons.
    """
    fitted = next((one.chosen for one in scores if one.decoder == "dina"), {})
    training = {key: fitted[key] for key in TRAINING if key in fitted}
    return {
        "dina_version": __version__,
        "recording": _describe_recording(recording),
        "split": {
            "n_train": len(split.train),
            "n_validation": len(split.validation),
            "n_test": len(split.test),
            "seed": split.seed,
            "sha256": split.sha256(),
            "n_near_identical_groups": int((np.bincount(split.group) > 1).sum()),
        },
        "quality": quality.numbers,
        "decoding": [row.to_json() for row in judged.rows],
        "training": training if training else {"reason": "Nothing was trained in this study."},
        "fits": {one.decoder: dict(one.chosen) for one in scores if one.chosen},
        "warnings": _warnings(split, quality, judged),
    }


def note_animal(run: Path, recording: Recording) -> None:
    """Write the animal of a recording into the summary of a finished run of it: no number of the run depends on it.

    Parameters
    ----------
    run
        A finished run directory.
    recording
        The one that it studied, perhaps described better since.
    """
    known = Run(run).summary["recording"]
    if known.get("animal") != recording.animal:
        update_summary(run, {"recording": {"name": known["name"], **known, "animal": recording.animal}})


def _describe_recording(recording: Recording) -> dict[str, Any]:
    counts = recording.repeats_per_stimulus()
    shown = counts[counts > 0]
    same = bool((shown == shown[0]).all())
    return {
        "name": recording.name,
        "animal": recording.animal,
        "condition": recording.condition,
        "is_simulated": recording.is_simulated,
        "n_neurons": recording.n_neurons,
        "n_stimuli": len(shown),
        "n_trials": recording.n_trials,
        "n_repeats": int(shown[0]) if same else None,
        "n_repeats_range": [int(shown.min()), int(shown.max())],
        "n_presentations": int(recording.n_presentations.sum()),
        "notes": list(recording.notes),
        "sha256": recording.fingerprint(),
    }


def _warnings(split: Split, quality: Quality, judged: JudgedDecoders) -> list[str]:
    """Say what a careful reader should look at before believing the numbers."""
    warnings = list(quality.warnings)
    twins = int((np.bincount(split.group) > 1).sum())
    if twins:
        warnings.append(f"{twins} groups of near-identical images were found; each was kept on one side of the split.")
    rows = [row for row in judged.rows if row.top1 is not None]
    of_images = [row for row in rows if row.reads == "images"]
    if of_images and all((row.p_value or 0.0) > NOT_CHANCE for row in of_images):
        repeats = any(row.reads == "templates" and (row.p_value or 1.0) < NOT_CHANCE for row in rows)
        warnings.append(
            "No decoder that reads images beats chance although responses repeat: check that images are in the order of"
            " stimulus_id, and that there are enough to learn from."
            if repeats
            else "No decoder beats chance: responses to one image may not repeat, or there are too few images to tell."
        )
    return warnings
