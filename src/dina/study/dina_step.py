"""The step of a study that trains dina: resolved settings, resumable training, and everything that it leaves behind."""

import copy
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float

from dina.artifacts import write_text
from dina.checks import DataError, check_choice
from dina.data.pairs import Gallery, Pairs, Queries
from dina.shapes import Scores
from dina.study.decoder_scores import DecoderScores
from dina.study.fitting import Parts, fit_and_score, score_test
from dina.study.settings_file import check_settings
from dina.training.dina_decoder import DinaDecoder
from dina.training.presets import PRESETS, PresetSettings
from dina.training.saved import save_towers

log = logging.getLogger("dina.study")

BEFORE_TRAINING = "dina_before_training"
"""Name in tables of dina's closed-form start, before any contrastive training."""

MIN_TRAIN, MIN_VALIDATION = 50, 6
"""Fewest images to train towers on and to choose the epoch by; below, the towers would only learn them by heart."""

CHECKPOINTS = "checkpoints"


def dina_settings(preset: str, changes: Mapping[str, Any]) -> PresetSettings:
    """Return the settings of a preset with some changed.

    Parameters
    ----------
    preset
        Name in `dina.training.presets.PRESETS`.
    changes
        Nested; what is not named stays as the preset prescribes.

    Raises
    ------
    DataError
        If the preset or a key is unknown, or a value does not fit.
    """
    settings_type = PRESETS[check_choice("preset", preset, PRESETS)].settings_type
    return check_settings(settings_type, merge_settings(settings_type().model_dump(mode="json"), changes), prefix="dina")


def merge_settings(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with some changed; tables are merged, values replaced.

    Examples
    --------
    >>> merge_settings({"fit": {"n_epochs": 2, "patience": 1}}, {"fit": {"n_epochs": 5}})
    {'fit': {'n_epochs': 5, 'patience': 1}}
    """
    merged = copy.deepcopy(dict(base))
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge_settings(merged[key], value) if nested else value
    return merged


def carry_out_dina(
    preset: str,
    settings: PresetSettings,
    seed: int,
    parts: Parts,
    device: str,
    folder: Path,
    path: Path,
    image_features: Float[np.ndarray, "image feature"] | None = None,
) -> None:
    """Train dina, score the test images before and after, and keep towers, history and scores; ``path`` comes last.

    Parameters
    ----------
    preset, settings, seed, device
        As `DinaDecoder` takes them.
    parts
        The three parts of the split.
    folder
        The run directory; training goes on from the checkpoints in it.
    path
        Where the scores go.
    image_features
        As `DinaDecoder` takes them.
    """

    def make() -> DinaDecoder:
        _check_numbers(parts)
        return DinaDecoder(preset, settings, seed, device, folder / CHECKPOINTS, image_features)

    scores, decoder = fit_and_score("dina", preset, make, parts)
    if isinstance(decoder, DinaDecoder) and decoder.towers is not None and decoder.history is not None:
        if decoder.towers_before_training is not None:
            scored, reason = score_test(_BeforeTraining(decoder), parts.test)
            DecoderScores(BEFORE_TRAINING, preset, "images", scored, reason).write(
                path.with_name(f"retrieval_{BEFORE_TRAINING}.nc")
            )
        history = decoder.history
        write_text(folder / "history.csv", history.to_frame().to_csv(index=False, lineterminator="\n"))
        save_towers(decoder.towers, folder / "model.safetensors")
        scores = replace(scores, chosen={**scores.chosen, **history.summary()})
    scores.write(path)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _check_numbers(parts: Parts) -> None:
    n_train, n_validation = parts.train.n_stimuli, parts.validation.n_stimuli
    if n_train < MIN_TRAIN or n_validation < MIN_VALIDATION:
        raise DataError(
            f"dina needs at least {MIN_TRAIN} images to train on and {MIN_VALIDATION} to choose by; this recording gives"
            f" {n_train} and {n_validation}. Record more images."
        )


class _BeforeTraining:
    """The closed-form start of a fitted decoder, as a decoder of its own."""

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self, decoder: DinaDecoder) -> None:
        self.name = BEFORE_TRAINING
        self._decoder = decoder

    def fit(self, train: Pairs, validation: Pairs) -> "_BeforeTraining":
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        scores = self._decoder.score_before_training(queries, gallery)
        if scores is None:
            raise DataError("This preset has no start that decodes before training.")
        return scores
