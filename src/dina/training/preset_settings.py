"""What each preset can be told: map sizes, pathways, noise, training."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dina.models.towers.map_geometry import Centring
from dina.training.fit import FitSettings
from dina.training.optimisers import OptimiserSettings


class PresetSettings(BaseModel):
    """What every preset can be told; each preset adds its own.

    Parameters
    ----------
    fit
        How the towers are trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: FitSettings = FitSettings()


class PaperSettings(PresetSettings):
    """The published towers and training (Wang et al. 2026), with the options that text and released code leave open.

    The full 5,000 epochs belong on a GPU (set ``fit.n_epochs``). The 10 epochs prescribed here are a budget for a CPU:
    with 2,000 neurons and 2,240 images of 68 × 270 pixels one epoch takes some three minutes of one core. The learning
    curve shows how far it got.

    Parameters
    ----------
    map_channels, map_height, map_width
        Of the feature maps; published 1 × 16 × 64.
    centring
        "min_max" per sample (published) or "centred".
    residual_cross_attention
        As published (True) or as released (False).
    is_backbone_trained
        As the text says (True) or as the released code does (False).
    image_stage
        After which stage of the image tower the map is read out; published 2.
    temperature
        Fixed.
    fit
        Training; published but for ``n_epochs``.
    """

    map_channels: int = Field(1, ge=1)
    map_height: int = Field(16, ge=1)
    map_width: int = Field(64, ge=1)
    centring: Centring = "min_max"
    residual_cross_attention: bool = True
    is_backbone_trained: bool = True
    image_stage: Literal[1, 2] = 2
    temperature: float = 0.01
    fit: FitSettings = FitSettings(
        n_epochs=10,
        batch_size=128,
        image=OptimiserSettings(name="adamw", learning_rate=3e-4, weight_decay=5e-5),
        neural=OptimiserSettings(name="rmsprop", learning_rate=5e-5, weight_decay=0.0, alpha=0.9),
        select_by="loss",
        patience=None,
        halve_after=50,
    )


class ScratchSettings(PresetSettings):
    """Two trained pathways and a linear neural tower of low rank.

    Parameters
    ----------
    map_channels
        Channels of the feature maps.
    pathway_width
        Channels inside each pathway.
    rank
        Components of the neural tower.
    dropout
        Probability of silencing a neuron while training.
    is_reliability_weighted
        Whether responses are weighted by their reliability over training repeats.
    temperature
        At the start; it is learnt.
    fit
        Training.
    """

    map_channels: int = Field(8, ge=1)
    pathway_width: int = Field(32, ge=4, multiple_of=4)
    rank: int = Field(256, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    is_reliability_weighted: bool = True
    temperature: float = 0.05
    fit: FitSettings = FitSettings(
        n_epochs=40,
        batch_size=128,
        image=OptimiserSettings(learning_rate=2e-3, weight_decay=0.01),
        neural=OptimiserSettings(learning_rate=1e-3, weight_decay=0.1),
        patience=12,
    )


class DefaultSettings(PresetSettings):
    """V1-like channels, local fields, shared noise: started in closed form, then trained together.

    Parameters
    ----------
    stride
        Pixels between places of the map; None for 17 places along the shorter side of the image.
    n_orientations
        Orientations of the Gabor filters.
    n_contrasts
        Knots of the contrast gain.
    has_phases
        Whether rectified phases (simple cells) are among the channels.
    order
        Order of the local patterns that make up a field.
    widths
        Widths of the field window to choose from by leave-one-out over training images, in places of the map.
    n_noise_components
        Largest number of shared noise components.
    dropout
        Probability of silencing a neuron while training.
    fit
        Training of what has no closed form: gains of channels, of contrasts and of neurons, and the scale.
    """

    stride: int | None = Field(None, ge=1)
    n_orientations: int = Field(4, ge=2)
    n_contrasts: int = Field(8, ge=2)
    has_phases: bool = True
    order: int = Field(2, ge=0, le=4)
    widths: tuple[float, ...] = Field((0.5, 0.75, 1.1, 1.7, 2.5), min_length=1)
    n_noise_components: int = Field(512, ge=1)
    dropout: float = Field(0.25, ge=0, lt=1)
    fit: FitSettings = FitSettings(
        n_epochs=2,
        batch_size=256,
        image=OptimiserSettings(learning_rate=3e-3, weight_decay=0.0),
        neural=OptimiserSettings(learning_rate=3e-3, weight_decay=0.0),
        patience=1,
    )
