"""What presets with adapters for single recordings and a shared trunk have in common."""

from typing import ClassVar, TypeVar

import torch
from pydantic import Field
from torch import nn

from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.neural.shared_trunk import AdaptedTrunk, SharedTrunk
from dina.models.towers.tower import initialise
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import CosineComparison
from dina.training.fit import FitSettings
from dina.training.presets.preset import Preset, PresetSettings, RecordingShape
from dina.training.presets.scratch import reliability_weights
from dina.training.start import Chosen, NeuronPrior
from dina.training.state import OptimiserSettings

Towers = AlignedTowers[TwoPathway, AdaptedTrunk]
TRUNK_FIT = FitSettings(
    n_epochs=40,
    batch_size=128,
    image=OptimiserSettings(learning_rate=2e-3, weight_decay=0.01),
    neural=OptimiserSettings(learning_rate=1e-3, weight_decay=0.1),
    patience=12,
)


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
        Training; weight decay of the neural towers is what makes the adapters ridge regressions.
    """

    map_channels: int = Field(8, ge=1)
    pathway_width: int = Field(32, ge=4, multiple_of=4)
    width: int = Field(256, ge=4)
    n_blocks: int = Field(2, ge=0)
    dropout: float = Field(0.5, ge=0, lt=1)
    temperature: float = 0.05
    fit: FitSettings = TRUNK_FIT


TrunkSettings = TypeVar("TrunkSettings", bound=AdaptedTrunkSettings)


class TrunkPreset(Preset[TrunkSettings, TwoPathway, AdaptedTrunk]):
    """The image tower of `scratch`, a linear adapter for each recording, and a trunk that all recordings share.

    Attributes
    ----------
    tower_type
        Of the neural towers.
    """

    is_shared: ClassVar[bool] = True
    tower_type: ClassVar[type[AdaptedTrunk]] = AdaptedTrunk

    def build(self, settings: TrunkSettings, shape: RecordingShape, generator: torch.Generator) -> Towers:
        """Build image tower, trunk and the first adapter."""
        image_tower = TwoPathway((shape.n_channels, shape.height, shape.width), settings.map_channels, settings.pathway_width)
        trunk = SharedTrunk(settings.width, settings.n_blocks, image_tower.map_shape)
        towers = AlignedTowers(image_tower, self._adapt(settings, shape, trunk), _compare(settings))
        initialise(towers, generator)
        return towers

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


def _compare(settings: AdaptedTrunkSettings) -> CosineComparison:
    return CosineComparison(settings.temperature, is_learnt=True, is_centred=True)
