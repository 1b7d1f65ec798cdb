"""Preset `paper`: the published model, towers and training of Wang et al. (2026)."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from dina.data.response_transform import Units
from dina.models.towers.image.paper_dual_stream import DualStream
from dina.models.towers.map_geometry import Centring
from dina.models.towers.neural.paper_neuron_attention import HIDDEN, NeuronAttention, Scaling
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import CosineComparison
from dina.training.fit import FitSettings
from dina.training.presets.preset import Preset, PresetSettings, RecordingShape, Temperature
from dina.training.start import Chosen, NeuronPrior
from dina.training.state import OptimiserSettings

Towers = AlignedTowers[DualStream, NeuronAttention]
Width = Annotated[int, Field(ge=1)]


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
        Of the objective; published: fixed.
    is_temperature_learnt
        Whether training adjusts it.
    response_scaling
        "min_max" of each neuron over training trials (published), or "standardised".
    is_readout_normalised
        Whether what attention reads is normalised over the batch; published: not.
    readout_widths
        Of the linear layers between attention and the coarse map.
    dropout
        Probability of silencing a neuron while training; published: 0.
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
    temperature: Temperature = 0.01
    is_temperature_learnt: bool = False
    response_scaling: Scaling = "min_max"
    is_readout_normalised: bool = False
    readout_widths: tuple[Width, ...] = HIDDEN
    dropout: float = Field(0.0, ge=0, lt=1)
    fit: FitSettings = FitSettings(
        n_epochs=10,
        batch_size=128,
        image=OptimiserSettings(name="adamw", learning_rate=3e-4, weight_decay=5e-5),
        neural=OptimiserSettings(name="rmsprop", learning_rate=5e-5, weight_decay=0.0, alpha=0.9),
        select_by="loss",
        patience=None,
        halve_after=50,
    )


class Paper(Preset[PaperSettings, DualStream, NeuronAttention]):
    """A dual-stream image tower meets attention between neurons in a cosine with a fixed temperature."""

    settings_type = PaperSettings
    units: ClassVar[Units] = "raw"  # as published

    def build(self, settings: PaperSettings, shape: RecordingShape) -> Towers:
        """Build both towers."""
        map_shape = (settings.map_channels, settings.map_height, settings.map_width)
        image_tower = DualStream(
            shape.image,
            map_shape,
            residual_cross_attention=settings.residual_cross_attention,
            is_backbone_trained=settings.is_backbone_trained,
            centring=settings.centring,
            stage=settings.image_stage,
        )
        neural_tower = NeuronAttention(
            shape.n_neurons,
            map_shape,
            centring=settings.centring,
            scaling=settings.response_scaling,
            is_normalised=settings.is_readout_normalised,
            hidden=settings.readout_widths,
            dropout=settings.dropout,
        )
        comparison = CosineComparison(settings.temperature, is_learnt=settings.is_temperature_learnt)
        return AlignedTowers(image_tower, neural_tower, comparison)

    def join(self, towers: Towers, settings: PaperSettings, prior: NeuronPrior | None, recording: RecordingPairs) -> Chosen:
        """Learn the range of the responses."""
        towers.neural_tower.learn_scaling(torch.from_numpy(recording.train.responses))
        return {}
