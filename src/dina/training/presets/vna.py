"""Preset `vna`: images and responses meet in one learnt vector space, after Gao, Rong & He (2025)."""

from pydantic import Field

from dina.models.towers.image.vision_models import Output
from dina.training.fit import FitSettings
from dina.training.presets.frozen_encoders import FrozenEncoderSettings, FrozenPreset, NeuralName
from dina.training.state import OptimiserSettings


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


class Vna(FrozenPreset[VnaSettings]):
    """A trained head on frozen features and a perceptron meet in one vector space."""

    settings_type = VnaSettings

    def n_outputs(self, settings: VnaSettings) -> int:
        """Return the length of the shared vectors."""
        return settings.n_outputs
