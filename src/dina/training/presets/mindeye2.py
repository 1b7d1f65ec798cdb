"""Preset `mindeye2`: several recordings share image tower and trunk, after MindEye2 (Scotti et al. 2024)."""

from pydantic import Field

from dina.training.fit import FitSettings, TrainingPlan
from dina.training.presets.adapted_trunk import TRUNK_FIT, AdaptedTrunkSettings, TrunkPreset


class MindEyeSettings(AdaptedTrunkSettings):
    """After MindEye2 (Scotti et al. 2024): first responses are blended, then images teach by their similarity.

    Parameters
    ----------
    first_share
        Fraction of the epochs with BiMixCo, before SoftCLIP takes over; published: a third.
    fit
        Training.
    """

    first_share: float = Field(1 / 3, ge=0, le=1)
    fit: FitSettings = TRUNK_FIT.model_copy(update={"objective": "bimixco"})


class MindEye2(TrunkPreset[MindEyeSettings]):
    """Adapters and a trunk, trained by BiMixCo and then by SoftCLIP."""

    settings_type = MindEyeSettings

    def plan(self, settings: MindEyeSettings) -> TrainingPlan:
        """Let SoftCLIP take over."""
        return TrainingPlan("soft_clip", settings.first_share)
