"""What the recipes for several recordings can be told: adapters, trunk, rebuilding, training."""

from pydantic import Field

from dina.training.fit import FitSettings
from dina.training.optimisers import OptimiserSettings
from dina.training.preset_settings import PresetSettings

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


class MindEyeSettings(AdaptedTrunkSettings):
    """After MindEye2 (Scotti et al. 2024): first responses are blended, then images teach by their likeness.

    Parameters
    ----------
    first_share
        Fraction of the epochs with BiMixCo, before SoftCLIP takes over; published: a third.
    fit
        Training.
    """

    first_share: float = Field(1 / 3, ge=0, le=1)
    fit: FitSettings = TRUNK_FIT.model_copy(update={"objective": "bimixco"})


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
