"""Fit several recordings together, let a new one join with few images, and compare with a recording left alone."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch

from dina.checks import DataError, check_choice
from dina.randomness import seed_for
from dina.training.aligned_towers import AlignedTowers
from dina.training.fit import FitSettings, fit_towers
from dina.training.history import FitHistory
from dina.training.joint_presets import JOINT_PRESETS
from dina.training.preset_settings import PresetSettings
from dina.training.presets import RecordingShape
from dina.training.shared_fit import fit_shared_towers
from dina.training.shared_start import SharedFields
from dina.training.shared_towers import RecordingPairs, SharedTowers


@dataclass(frozen=True, eq=False)
class JointFit:
    """Towers of several recordings after training together.

    Parameters
    ----------
    preset, settings
        Of `JOINT_PRESETS`.
    towers
        Of every recording, by name: ``towers.of(name)``.
    shared
        What a new recording can be started with, where the preset has a closed form; else None.
    history
        The course of training.
    chosen
        What the closed-form start chose by validation.
    """

    preset: str
    settings: PresetSettings
    towers: SharedTowers
    shared: SharedFields | None
    history: FitHistory
    chosen: dict[str, str | float]


def fit_jointly(
    preset: str,
    settings: PresetSettings | None,
    recordings: Sequence[RecordingPairs],
    seed: int,
    device: str = "cpu",
) -> JointFit:
    """Fit one image tower for all recordings and a neural tower for each; with one recording, it is left alone.

    Parameters
    ----------
    preset
        Name in `JOINT_PRESETS`.
    settings
        Of the preset; None for what it prescribes.
    recordings
        Training and validation pairs of one split by image identity.
    seed
        Of weights, batch order, mixtures and dropout.
    device
        "cpu", "cuda" …

    Raises
    ------
    DataError
        If the preset is unknown, names repeat, or images differ in size.
    """
    row = JOINT_PRESETS[check_choice("joint preset", preset, JOINT_PRESETS)]
    settings = row.settings_type() if settings is None else settings
    shapes = {tuple(each.train.images.shape[1:]) for each in recordings}
    if len(shapes) != 1:
        found = " and ".join(str(shape) for shape in sorted(shapes)) or "none"
        raise DataError(f"One image tower needs images of one size; got {found}. Resize the images of all recordings alike.")
    built: list[AlignedTowers] = []
    for each in recordings:
        own = seed if not built else seed_for(seed, f"towers of {each.name}")
        built.append(row.build(settings, RecordingShape.of(each.train), own, built[0] if built else None))
    towers = SharedTowers([each.name for each in recordings], built)
    shared, chosen = row.start(towers, settings, recordings)
    history = fit_shared_towers(towers, recordings, settings.fit, seed, device, row.ask(settings))
    return JointFit(preset, settings, towers, shared, history, chosen)


def build_untrained(
    preset: str, settings: PresetSettings | None, recording: RecordingPairs, seed: int, device: str = "cpu"
) -> AlignedTowers:
    """Build the towers with which `fit_jointly` begins for one recording alone; nothing is learnt from its pairs.

    Parameters
    ----------
    preset
        Name in `JOINT_PRESETS`.
    settings
        Of the preset; None for what it prescribes.
    recording
        For the shapes of images and responses, and how they were standardised.
    seed
        The one of `fit_jointly`.
    device
        "cpu", "cuda" …

    Raises
    ------
    DataError
        If the preset is unknown.
    """
    row = JOINT_PRESETS[check_choice("joint preset", preset, JOINT_PRESETS)]
    settings = row.settings_type() if settings is None else settings
    towers = row.build(settings, RecordingShape.of(recording.train), seed, None).to(torch.device(device))
    towers.standardiser = recording.train.standardiser
    return towers.eval()


def join_recording(
    joint: JointFit, recording: RecordingPairs, seed: int, device: str = "cpu", fit: FitSettings | None = None
) -> tuple[AlignedTowers, FitHistory]:
    """Fit a neural tower for a recording that took no part in joint training; all that is shared stays as it is.

    Parameters
    ----------
    joint
        Of other recordings; not changed.
    recording
        Training and validation pairs of the new one; they may be few.
    seed
        Of weights, batch order, mixtures and dropout.
    device
        "cpu", "cuda" …
    fit
        How to train; None as the others were trained together.

    Returns
    -------
    towers
        With a copy of the shared image tower.
    history
        The course of training.
    """
    row = JOINT_PRESETS[joint.preset]
    first = deepcopy(joint.towers.of(joint.towers.names[0])).cpu().requires_grad_(False)
    shape = RecordingShape.of(recording.train)
    towers = row.build(joint.settings, shape, seed_for(seed, f"towers of {recording.name}"), first)
    towers.standardiser = recording.train.standardiser
    row.join(towers, joint.settings, joint.shared, recording.train, recording.validation)
    fit = joint.settings.fit if fit is None else fit
    asked = row.ask(joint.settings)
    if asked.later is not None:  # few images: the objective that training ends with
        fit = fit.model_copy(update={"objective": asked.later})
    return towers, fit_towers(towers, recording.train, recording.validation, fit, seed, device)
