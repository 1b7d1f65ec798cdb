"""Which rows the table of rivals has, in the order of fitting, and what each of them is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dina.rivals import RIVALS
from dina.study.settings import dina_settings
from dina.study.settings_file import apply_overrides
from dina.study.unfinished_run import safe_name
from dina.training.objectives import OBJECTIVES
from dina.training.presets import PRESETS, PresetSettings
from dina.training.presets.adapted_trunk import TrunkPreset

OBJECTIVES_ON = "scratch"  # the preset that learns its maps from the objective alone, and quickly
EPOCHS = {"paper": 3, "objectives": 12}  # what fits, with all other rows, into 40 minutes of two cores at benchmark size
RANDOM = "random"  # the frozen network with random weights, which needs no download either
ENCODER = {"encoder": "gabor"}  # in place of a frozen network, for presets that need one: nothing is downloaded
ALONE = [name for name, row in PRESETS.items() if isinstance(row, TrunkPreset)]  # recipes for several recordings, fitted to one


@dataclass(frozen=True)
class Row:
    """One row of the table: a preset with its settings, one for several recordings with its settings, a control, or a baseline."""

    kind: str
    name: str
    preset: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Return the name of its folder below that of session and seed."""
        return safe_name(f"{self.kind}-{self.name}")

    @property
    def label(self) -> str:
        """Return how the row is called in the table: where an image encoder is a setting, with the one it was given."""
        encoder = self.settings.get("encoder")
        if not isinstance(encoder, str):
            return self.name
        words = {"gabor": "Gabor", RANDOM: "random network", "": "no encoder"}.get(encoder, Path(encoder).name)
        return f"{self.preset} ({words}{', weights shuffled' * bool(self.settings.get('has_random_weights'))})"

    @property
    def scores(self) -> str:
        """Return where its scores lie in that folder."""
        return "results/retrieval_dina.nc" if self.preset else f"results/retrieval_{safe_name(self.name)}.nc"

    def preset_settings(self) -> PresetSettings:
        """Return the settings of its preset, checked."""
        return dina_settings(self.preset, self.settings)


def all_rows(epochs: dict[str, int], changes: Sequence[str]) -> list[Row]:
    """List the rows in the order of fitting: presets, since all others are compared with `default`, then the quick ones."""
    stated: dict[str, dict[str, Any]] = {name: {"fit": {"n_epochs": n}} for name, n in epochs.items()}
    stated |= {preset: {**ENCODER, **stated.get(preset, {})} for preset in encoding_presets()}
    told = {preset: apply_overrides(stated.get(preset, {}), _told(preset, changes)) for preset in PRESETS}
    # by retrieval, an objective that rewards none would keep an accidental epoch
    by_loss = {"fit": {"select_by": "loss", **stated["objectives"]["fit"]}}
    on = apply_overrides(by_loss, _told(OBJECTIVES_ON, changes))
    rows = [_resolved("preset", preset, preset, told[preset]) for preset in PRESETS if preset not in ALONE]
    rows.sort(key=lambda row: row.name != "default")
    rows += [_resolved("joint_preset", preset, preset, told[preset]) for preset in ALONE]
    rows += [Row("baseline", name) for name in RIVALS]
    rows += _controls(told)
    for name in OBJECTIVES:
        chosen = apply_overrides(on, [f'fit.objective="{name}"'])
        rows.append(_resolved("objective", name, OBJECTIVES_ON, chosen))
    return rows


def _controls(told: dict[str, dict[str, Any]]) -> list[Row]:
    """List what has learnt nothing of images: towers as they start, and recipes with a frozen network of random weights."""
    untrained = apply_overrides(told[OBJECTIVES_ON], ["fit.n_epochs=0"])
    rows = [_resolved("control", f"{OBJECTIVES_ON} untrained", OBJECTIVES_ON, untrained)]
    for preset in encoding_presets():
        drawn = apply_overrides(told[preset], [f"encoder={RANDOM}", "has_random_weights=false"])
        rows.append(_resolved("control", f"{preset} random", preset, drawn))
    return rows


def encoding_presets() -> list[str]:
    """Name the presets that read a frozen image encoder and have none of their own."""
    return [name for name, row in PRESETS.items() if getattr(row.settings_type(), "encoder", None) == ""]


def _told(preset: str, changes: Sequence[str]) -> list[str]:
    return [word.removeprefix(f"{preset}.") for word in changes if word.startswith(f"{preset}.")]


def _resolved(kind: str, name: str, preset: str, changes: dict[str, Any]) -> Row:
    settings = Row(kind, name, preset, changes).preset_settings()
    return Row(kind, name, preset, settings.model_dump(mode="json"))
