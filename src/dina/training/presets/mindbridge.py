"""Preset `mindbridge`: several recordings share image tower and trunk, after MindBridge (Wang et al. 2024)."""

from typing import ClassVar

from pydantic import Field

from dina.models.towers.neural.shared_trunk import AdaptedTrunk, RebuildingTrunk
from dina.training.fit import FitSettings, TrainingPlan
from dina.training.presets.adapted_trunk import TRUNK_FIT, AdaptedTrunkSettings, TrunkPreset


class MindBridgeSettings(AdaptedTrunkSettings):
    """After MindBridge (Wang et al. 2024): responses must survive the way through another recording's neurons.

    Parameters
    ----------
    rebuild_weight
        Of rebuilding responses, beside the contrastive objective.
    cycle_weight
        Of the way through another recording, relative to rebuilding.
    fit
        Training.
    """

    rebuild_weight: float = Field(1.0, ge=0)
    cycle_weight: float = Field(1.0, ge=0)
    fit: FitSettings = TRUNK_FIT.model_copy(update={"objective": "soft_clip"})


class MindBridge(TrunkPreset[MindBridgeSettings]):
    """Adapters that also rebuild responses, and a trunk."""

    settings_type = MindBridgeSettings
    tower_type: ClassVar[type[AdaptedTrunk]] = RebuildingTrunk

    def plan(self, settings: MindBridgeSettings) -> TrainingPlan:
        """Rebuild responses beside the objective."""
        return TrainingPlan(rebuild_weight=settings.rebuild_weight, cycle_weight=settings.cycle_weight)
