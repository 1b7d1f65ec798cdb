"""dina as a decoder: towers of a preset, fitted to one or several recordings, and to one that joins others."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float

from dina.checks import DataError, check_choice
from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.towers.fitted_buffers import fixed_buffers
from dina.models.towers.image.feature_stack import FeatureStack
from dina.randomness import seed_for
from dina.shapes import Scores
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.fit import FitSettings, fit_towers
from dina.training.presets import (
    SHARED_PRESETS,
    AnyPreset,
    PresetSettings,
    RecordingShape,
    build_towers,
    changed_settings,
    find_preset,
    name_of,
)
from dina.training.start import Chosen, NeuronPrior
from dina.training.state import FitHistory


@dataclass(frozen=True, eq=False)
class FittedRecordings:
    """Towers of one or several recordings after training."""

    preset: AnyPreset
    settings: PresetSettings
    towers: dict[str, AlignedTowers]  # of every recording by name, all with one image tower
    before_training: dict[str, AlignedTowers]  # after the closed-form start; empty if the preset has none
    prior: NeuronPrior | None  # with which a further recording can start; None if the preset has no closed form
    history: FitHistory
    chosen: Chosen  # by validation, in the closed-form start


def fit_recordings(
    preset: AnyPreset,
    settings: PresetSettings | None,
    recordings: Sequence[RecordingPairs],
    seed: int,
    device: str = "cpu",
    folder: Path | None = None,
) -> FittedRecordings:
    """Build the towers of a preset, start them in closed form, and train them: one image tower for all recordings.

    Parameters
    ----------
    preset
        Name in `PRESETS`, or a preset of your own.
    settings
        Of the preset; None for those that it prescribes.
    recordings
        Pairs of one split by image identity. Several recordings need different names, and a preset that can be shared.
    seed
        Of weights, batch order, mixtures and dropout.
    device
        "cpu", "cuda" …
    folder
        Where checkpoints go, and from which training resumes; None for none.

    Raises
    ------
    DataError
        If the preset is unknown or not for several recordings, names repeat, or images differ in size.
    """
    row = find_preset(preset)
    if len(recordings) > 1 and not row.is_shared:
        check_choice("preset", name_of(preset), SHARED_PRESETS)
    settings = row.settings_type() if settings is None else settings
    _check_sizes(recordings)
    built: list[AlignedTowers] = []
    for each in recordings:
        weight_seed = seed_for(seed, f"towers of {each.name}") if built else seed
        built.append(build_towers(preset, settings, RecordingShape.of(each.train), weight_seed, built[0] if built else None))
    if row.has_closed_form_start:  # the start of others draws or measures a few numbers, in memory
        for towers in built:
            towers.to(torch.device(device))
    prior, chosen = row.start(built, settings, recordings)
    names = [each.name for each in recordings]
    started = deepcopy(built, _shared(built)) if row.has_closed_form_start else []  # one copy of the image tower
    history = fit_towers(built, recordings, settings.fit, seed, device, folder, row.plan(settings), row.objective)
    before_training = {name: towers.to(device).eval() for name, towers in zip(names, started)}
    return FittedRecordings(preset, settings, dict(zip(names, built, strict=True)), before_training, prior, history, chosen)


def _shared(towers: Sequence[AlignedTowers]) -> dict[int, Any]:
    """Return, as `copy.deepcopy` takes it, what copies of towers share with them: all that training leaves as it is."""
    return {id(buffer): buffer for each in towers for buffer in fixed_buffers(each).values()}


def _check_sizes(recordings: Sequence[RecordingPairs]) -> None:
    shapes = {tuple(each.train.images.shape[1:]) for each in recordings}
    if len(shapes) != 1:
        found = " and ".join(str(shape) for shape in sorted(shapes)) or "none"
        raise DataError(f"One image tower needs images of one size; got {found}. Resize the images of all recordings alike.")


def build_untrained(
    preset: AnyPreset, settings: PresetSettings | None, recording: RecordingPairs, seed: int, device: str = "cpu"
) -> AlignedTowers:
    """Build the towers with which `fit_recordings` begins for one recording; only shapes and standardiser of its pairs count."""
    towers = build_towers(preset, settings, RecordingShape.of(recording.train), seed).to(torch.device(device))
    towers.standardiser = recording.train.standardiser
    return towers.eval()


def join_recording(
    others: FittedRecordings, recording: RecordingPairs, seed: int, device: str = "cpu", fit: FitSettings | None = None
) -> tuple[AlignedTowers, FitHistory]:
    """Fit a neural tower for a recording that took no part in training, with a copy of the shared image tower.

    ``others`` are not changed. The new recording may have few pairs. ``fit`` says how to train; None as the others were trained.
    """
    row = find_preset(others.preset)
    first = deepcopy(next(iter(others.towers.values()))).cpu().requires_grad_(False)
    if isinstance(first.image_tower, FeatureStack):
        first.image_tower.take([])  # spaces were fitted to one recording; only the local channels are shared
    shape = RecordingShape.of(recording.train)
    towers = build_towers(others.preset, others.settings, shape, seed_for(seed, f"towers of {recording.name}"), first)
    row.join(towers, others.settings, others.prior, recording)
    fit = others.settings.fit if fit is None else fit
    later = row.plan(others.settings).later
    if later is not None:  # few images: the objective that training ends with
        fit = fit.model_copy(update={"objective": later})
    return towers, fit_towers([towers], [replace(recording, name="")], fit, seed, device, objective=row.objective)


class DinaDecoder:
    """Two aligned towers that pick the image whose maps fit the response's maps best.

    After `fit`, ``towers`` are trained, ``towers_before_training`` hold the closed-form start (None without one), ``history``
    the course of training, and ``chosen`` the choices of the closed-form start by validation.

    Parameters
    ----------
    preset, settings, seed, device, folder
        As in `fit_recordings`.
    image_features
        As in `RecordingPairs`.

    Raises
    ------
    DataError
        If the preset is unknown or the settings are those of another one.
    """

    name: str = "dina"
    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(
        self,
        preset: AnyPreset,
        settings: PresetSettings | Mapping[str, Any] | None = None,
        seed: int = 0,
        device: str = "cpu",
        folder: Path | None = None,
        image_features: Float[np.ndarray, "image feature"] | None = None,
    ) -> None:
        if isinstance(settings, Mapping):
            settings = changed_settings(preset, settings)
        expected = find_preset(preset).settings_type
        if settings is not None and not isinstance(settings, expected):
            raise DataError(f"Preset {name_of(preset)!r} takes {expected.__name__}; got {type(settings).__name__}.")
        self.preset = preset
        self.settings = expected() if settings is None else settings
        self.seed = seed
        self.device = device
        self.folder = folder
        self.image_features = image_features
        self.towers: AlignedTowers | None = None
        self.towers_before_training: AlignedTowers | None = None
        self.history: FitHistory | None = None
        self.chosen: Chosen = {}

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Build the towers, start them in closed form, and train them; validation chooses the epoch."""
        pairs = RecordingPairs(train, validation, image_features=self.image_features)
        found = fit_recordings(self.preset, self.settings, [pairs], self.seed, self.device, self.folder)
        self.towers, self.history, self.chosen = found.towers[pairs.name], found.history, found.chosen
        self.towers_before_training = found.before_training.get(pairs.name)
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the score of each gallery image for each query, larger for a better fit.

        Raises
        ------
        DataError
            If the decoder has not been fitted.
        """
        if self.towers is None:
            raise DataError("The decoder must be fitted before it can score; call fit(train, validation) first.")
        return self.towers.score(queries, gallery)

    def score_before_training(self, queries: Queries, gallery: Gallery) -> Scores | None:
        """Return the scores of the closed-form start, or None if the preset has none."""
        return None if self.towers_before_training is None else self.towers_before_training.score(queries, gallery)
