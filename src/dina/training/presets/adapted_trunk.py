"""Presets with an adapter for each recording and a trunk that all recordings share: `mindeye2` and `mindbridge`."""

from typing import ClassVar, TypeVar

import torch
from pydantic import Field
from torch import nn

from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.neural.shared_trunk import AdaptedTrunk, RebuildingTrunk, SharedTrunk
from dina.models.towers.tower import initialise
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import CosineComparison
from dina.training.fit import FitSettings, TrainingPlan
from dina.training.presets.preset import Preset, PresetSettings, RecordingShape, Temperature
from dina.training.presets.scratch import ScratchSettings, reliability_weights
from dina.training.start import Chosen, NeuronPrior

Towers = AlignedTowers[TwoPathway, AdaptedTrunk]
TRUNK_FIT = ScratchSettings().fit


class AdaptedTrunkSettings(PresetSettings):
    """A trained image tower, a linear adapter for each recording, and a trunk of residual layers that all share.

    Parameters
    ----------
    map_channels
        Channels of the feature maps.
    pathway_width
        Channels inside each pathway of the image tower.
    width
        Dimensions of the common space between adapter and trunk.
    n_blocks
        Residual blocks of the trunk.
    dropout
        Probability of silencing a neuron while training.
    temperature
        At the start; it is learnt.
    fit
        Training; the weight decay of the neural towers makes the adapters ridge regressions.
    """

    map_channels: int = Field(8, ge=1)
    pathway_width: int = Field(32, ge=4, multiple_of=4)
    width: int = Field(256, ge=4)
    n_blocks: int = Field(2, ge=0)
    dropout: float = Field(0.5, ge=0, lt=1)
    temperature: Temperature = 0.05
    fit: FitSettings = TRUNK_FIT


TrunkSettings = TypeVar("TrunkSettings", bound=AdaptedTrunkSettings)


class TrunkPreset(Preset[TrunkSettings, TwoPathway, AdaptedTrunk]):
    """The image tower of `scratch`, a linear adapter for each recording, and a trunk that all recordings share."""

    is_shared: ClassVar[bool] = True
    tower_type: ClassVar[type[AdaptedTrunk]] = AdaptedTrunk  # of the neural towers

    def build(self, settings: TrunkSettings, shape: RecordingShape) -> Towers:
        """Build image tower, trunk and the first adapter."""
        image_tower = TwoPathway(shape.image, settings.map_channels, settings.pathway_width)
        trunk = SharedTrunk(settings.width, settings.n_blocks, image_tower.map_shape)
        return AlignedTowers(image_tower, self._adapt(settings, shape, trunk), _compare(settings))

    def build_beside(self, first: Towers, settings: TrunkSettings, shape: RecordingShape, generator: torch.Generator) -> Towers:
        """Build an adapter before the trunk of the first recording."""
        trunk = first.neural_tower.trunk
        placeholder = SharedTrunk(settings.width, 0, trunk.map_shape)  # weights of the trunk itself must stay
        neural_tower, comparison = self._adapt(settings, shape, placeholder), _compare(settings)
        initialise(nn.ModuleList([neural_tower, comparison]), generator)
        neural_tower.trunk = trunk
        return AlignedTowers(first.image_tower, neural_tower, comparison)

    def join(self, towers: Towers, settings: TrunkSettings, prior: NeuronPrior | None, recording: RecordingPairs) -> Chosen:
        """Weight responses by their reliability."""
        towers.neural_tower.set_gain(torch.from_numpy(reliability_weights(recording.train)))
        return {}

    def _adapt(self, settings: TrunkSettings, shape: RecordingShape, trunk: SharedTrunk) -> AdaptedTrunk:
        return self.tower_type(shape.n_neurons, trunk, settings.width, settings.dropout)


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


def _compare(settings: AdaptedTrunkSettings) -> CosineComparison:
    return CosineComparison(settings.temperature, is_learnt=True, is_centred=True)
