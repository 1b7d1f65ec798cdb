"""Preset `learnt_fields`: separable pathways, and a field for each neuron that starts at its estimated place and is learnt."""

from typing import TypeVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from dina.models.field_centres import estimate_centres, move_places
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.image.separable_pathways import SeparablePathways
from dina.models.towers.neural.placed_fields import PlacedFields
from dina.models.towers.tower import ImageTower, MapShape
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import CosineComparison
from dina.training.fit import FitSettings
from dina.training.presets.preset import Preset, PresetSettings, RecordingShape, Temperature
from dina.training.presets.scratch import reliability_weights
from dina.training.start import Chosen, NeuronPrior
from dina.training.state import OptimiserSettings

Towers = AlignedTowers[ImageTower, PlacedFields]


class LearntFieldsSettings(PresetSettings):
    """Separable pathways and placed fields, trained together.

    Parameters
    ----------
    map_channels
        Channels of the feature maps.
    dropout
        Probability of silencing a neuron while training.
    is_placed
        Whether windows start at the estimated places of the neurons; at random places otherwise.
    is_reliability_weighted
        Whether responses are weighted by their reliability over training repeats.
    temperature
        At the start; it is learnt.
    fit
        Training.
    """

    map_channels: int = Field(32, ge=2)
    dropout: float = Field(0.5, ge=0, lt=1)
    is_placed: bool = True
    is_reliability_weighted: bool = True
    temperature: Temperature = 0.05
    fit: FitSettings = FitSettings(
        n_epochs=60,
        batch_size=128,
        image=OptimiserSettings(learning_rate=2e-3, weight_decay=0.01),
        neural=OptimiserSettings(learning_rate=1e-2, weight_decay=0.01),
        select_by="log_rank",
        patience=20,
    )


FieldsSettings = TypeVar("FieldsSettings", bound=LearntFieldsSettings)


class FieldsPreset(Preset[FieldsSettings, ImageTower, PlacedFields]):
    """An image tower meets fields at the places of the neurons, in a correlation with a learnt temperature."""

    def build_image_tower(self, image_shape: MapShape, n_channels: int) -> ImageTower:
        """Build the image tower alone."""
        raise NotImplementedError

    def build(self, settings: FieldsSettings, shape: RecordingShape) -> Towers:
        """Build both towers."""
        image_tower = self.build_image_tower(shape.image, settings.map_channels)
        neural_tower = PlacedFields(shape.n_neurons, image_tower.map_shape, settings.dropout)
        return AlignedTowers(image_tower, neural_tower, CosineComparison(settings.temperature, is_learnt=True, is_centred=True))

    def join(self, towers: Towers, settings: FieldsSettings, prior: NeuronPrior | None, recording: RecordingPairs) -> Chosen:
        """Set the places of the neurons, and weight their responses by reliability."""
        train, tower = recording.train, towers.neural_tower
        if settings.is_reliability_weighted:
            tower.set_gain(torch.from_numpy(reliability_weights(train)))
        if settings.is_placed:
            tower.set_places(
                estimated_places(torch.from_numpy(train.images), torch.from_numpy(train.averaged()), tower.map_shape)
            )
        return {}


class LearntFields(FieldsPreset[LearntFieldsSettings]):
    """Both towers are trained together; the image tower is convolutional.

    All weights start at random. Only the places do not: they are where Gabor channels correlate most with a neuron over the training
    images. From random places, windows do not find their way.
    """

    settings_type = LearntFieldsSettings

    def build_image_tower(self, image_shape: MapShape, n_channels: int) -> SeparablePathways:
        """Build separable pathways."""
        return SeparablePathways(image_shape, n_channels)


@torch.no_grad()
def estimated_places(images: Tensor, responses: Tensor, map_shape: MapShape) -> Float[Tensor, "neuron 2"]:
    """Return where the Gabor channels correlate most with each neuron, in places of a map of another size."""
    n_channels, height, width = images.shape[1:]
    channels = GaborEnergy((n_channels, height, width), n_contrasts=0)
    maps = channels.learn_statistics(images)
    return move_places(estimate_centres(maps, responses), maps.shape[2:], map_shape[1:])
