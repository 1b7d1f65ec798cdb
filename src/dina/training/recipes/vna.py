"""The recipe of visual–neural alignment: images and responses meet in one learnt vector space, both sides by a trained map."""

import torch
from pydantic import Field

from dina.models.towers.image.vision_models import Output
from dina.training.aligned_towers import AlignedTowers
from dina.training.fit import FitSettings
from dina.training.optimisers import OptimiserSettings
from dina.training.preset import Preset, RecordingShape
from dina.training.recipes.frozen_encoders import FrozenEncoderSettings, NeuralName, build_frozen, start_frozen


class VnaSettings(FrozenEncoderSettings):
    """A shared vector space for images and responses, learnt by contrast.

    Taken from the source: vectors instead of maps, a symmetric contrastive objective between the two, judged by choosing
    images from responses and responses from images; beside it stand direct encoding (`encoding_network`,
    `encoding_global`) and direct decoding (`direct_decoding`). Done otherwise: its encoders are not rebuilt. Here a trained
    linear head reads the features of a frozen encoder, and a perceptron with one hidden layer reads responses.

    Parameters
    ----------
    output
        What the head reads of a transformer.
    n_components
        Most channels kept of the features.
    neural
        Neural tower.
    n_outputs
        Length of the shared vectors.
    fit
        Training.

    References
    ----------
    Gao, Rong & He (2025), https://doi.org/10.48550/arXiv.2511.04096
    """

    output: Output = "map"
    n_components: int = Field(64, ge=1)
    neural: NeuralName = "perceptron"
    n_outputs: int = Field(256, ge=2)
    fit: FitSettings = FitSettings(
        n_epochs=30,
        batch_size=256,
        image=OptimiserSettings(learning_rate=3e-4, weight_decay=0.1),
        neural=OptimiserSettings(learning_rate=1e-3, weight_decay=0.1),
        patience=8,
    )


def _build(settings: VnaSettings, shape: RecordingShape, generator: torch.Generator) -> AlignedTowers:
    return build_frozen(settings, shape, generator, settings.n_outputs)


VNA = Preset(VnaSettings, _build, start_frozen)
"""Row of the table of presets."""
