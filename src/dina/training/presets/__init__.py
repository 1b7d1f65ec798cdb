"""The presets: one class each, and the table of all."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from dina.checks import DataError, check_choice, check_settings
from dina.models.towers.tower import initialise
from dina.randomness import seed_for
from dina.training.aligned_towers import AlignedTowers
from dina.training.presets.adapted_trunk import MindBridge, MindEye2
from dina.training.presets.attention import Attention
from dina.training.presets.default import Default
from dina.training.presets.frozen_encoders import BrainClip, HumanAligned, Vna
from dina.training.presets.learnt_fields import LearntFields
from dina.training.presets.paper import Paper
from dina.training.presets.preset import Preset, PresetSettings, RecordingShape
from dina.training.presets.pretrained_fields import PretrainedFields
from dina.training.presets.scratch import Scratch

# Every preset by name.
PRESETS: dict[str, Preset[Any, Any, Any]] = {
    "default": Default(),  # V1-like channels and local fields, started in closed form
    "paper": Paper(),  # the published model (Wang et al. 2026)
    "attention": Attention(),  # the published towers with other settings
    "scratch": Scratch(),  # both towers trained from random weights
    "learnt_fields": LearntFields(),  # trained from random weights, at estimated places
    "pretrained_fields": PretrainedFields(),  # the same fields, on an image tower that other recordings have trained
    "brainclip": BrainClip(),  # after Liu et al. (2023)
    "human_aligned": HumanAligned(),  # after Rajabi et al. (2025)
    "vna": Vna(),  # after Gao, Rong & He (2025)
    "mindeye2": MindEye2(),  # after Scotti et al. (2024), for several recordings
    "mindbridge": MindBridge(),  # after Wang et al. (2024), for several recordings
}

# Presets whose image tower several recordings can share.
SHARED_PRESETS = {name: preset for name, preset in PRESETS.items() if preset.is_shared}


# A preset by its name in `PRESETS`, or as an object.
AnyPreset = str | Preset[Any, Any, Any]


def find_preset(preset: AnyPreset) -> Preset[Any, Any, Any]:
    """Return the preset of a name, or the object itself.

    Raises
    ------
    DataError
        If there is no preset of that name, or it is no object of a class that derives from `Preset`.
    """
    if isinstance(preset, Preset):
        return preset
    if not isinstance(preset, str):
        raise DataError(f"A preset must be a name or an object such as Scratch(); got {preset!r}. Make an object of the class.")
    return PRESETS[check_choice("preset", preset, PRESETS)]


def name_of(preset: AnyPreset) -> str:
    """Return the name of a preset in tables, settings and files; a preset of your own is named by its class and its parts.

    Examples
    --------
    >>> from dina.training.objectives import SigLip
    >>> name_of(Scratch()), name_of(Scratch(objective=SigLip))
    ('scratch', 'scratch with SigLip')
    """
    if isinstance(preset, str):
        return preset
    known = next((name for name, row in PRESETS.items() if type(row) is type(preset)), type(preset).__name__)
    parts = preset.own_parts().values()
    return f"{known} with {' and '.join(parts)}" if parts else known


def changed_settings(preset: AnyPreset, changes: Mapping[str, Any]) -> PresetSettings:
    """Return the settings of a preset with some changed; settings that are not named are those of the preset.

    Raises
    ------
    DataError
        If the preset or a key is unknown, or a value does not fit.

    Examples
    --------
    >>> changed_settings("scratch", {"fit": {"n_epochs": 5}}).fit.n_epochs
    5
    """
    settings_type = find_preset(preset).settings_type
    return check_settings(settings_type, _merge(settings_type().model_dump(mode="json"), changes), prefix="dina")


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with some changed; tables are merged, values replaced.

    Examples
    --------
    >>> _merge({"fit": {"n_epochs": 2, "patience": 1}}, {"fit": {"n_epochs": 5}})
    {'fit': {'n_epochs': 5, 'patience': 1}}
    """
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged


def build_towers(
    preset: AnyPreset, settings: PresetSettings | None, shape: RecordingShape, seed: int, first: AlignedTowers | None = None
) -> AlignedTowers:
    """Build the towers of a preset with random weights, and the recipe from which `dina.training.saved` builds them again.

    Without ``settings``, the preset's own are used. ``first`` are the towers of another recording; the new ones share their image
    tower.

    Raises
    ------
    DataError
        If the preset is unknown, or its towers cannot take the images.
    """
    row = find_preset(preset)
    chosen = row.settings_type() if settings is None else settings
    generator = torch.Generator().manual_seed(seed_for(seed, "initial weights"))
    if first is None:
        towers = row.build(chosen, shape)
        initialise(towers, generator)
    else:
        towers = row.build_beside(first, chosen, shape, generator)
    towers.recipe = {"preset": name_of(preset), "settings": chosen.model_dump(mode="json"), "shape": asdict(shape)}
    return towers


__all__ = [
    "PRESETS",
    "SHARED_PRESETS",
    "AnyPreset",
    "Attention",
    "Default",
    "LearntFields",
    "Paper",
    "Preset",
    "PresetSettings",
    "RecordingShape",
    "Scratch",
    "build_towers",
    "changed_settings",
    "find_preset",
    "name_of",
]
