"""Preset `attention`: the published towers with other settings, meant to let them learn to decode."""

from typing import ClassVar, Literal

from pydantic import Field

from dina.data.response_transform import Units
from dina.models.towers.map_geometry import Centring
from dina.models.towers.neural.paper_neuron_attention import Scaling
from dina.training.fit import FitSettings
from dina.training.presets.paper import Paper, PaperSettings
from dina.training.presets.preset import Temperature
from dina.training.state import OptimiserSettings


class AttentionSettings(PaperSettings):
    """Other defaults for the options of `PaperSettings`, meant to let the published towers learn to decode.

    Responses are transformed and standardised, what attention reads is normalised over the batch, maps are centred, have eight
    channels and come from the first stage of the image tower, the temperature is learnt, half of the neurons are silenced at
    random, and both towers learn faster.
    """

    map_channels: int = Field(8, ge=1)
    centring: Centring = "centred"
    image_stage: Literal[1, 2] = 1
    temperature: Temperature = 0.05
    is_temperature_learnt: bool = True
    response_scaling: Scaling = "standardised"
    is_readout_normalised: bool = True
    dropout: float = Field(0.5, ge=0, lt=1)
    fit: FitSettings = FitSettings(
        n_epochs=120,
        batch_size=128,
        image=OptimiserSettings(learning_rate=1e-3, weight_decay=0.01),
        neural=OptimiserSettings(learning_rate=5e-4, weight_decay=0.1),
        select_by="log_rank",
        patience=None,
    )


class Attention(Paper):
    """The towers of `Paper` meet in a cosine with a learnt temperature."""

    settings_type = AttentionSettings
    units: ClassVar[Units] = "chosen"
