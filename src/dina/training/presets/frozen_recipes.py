"""Presets `brainclip`, `human_aligned` and `vna`: published recipes with a frozen image encoder."""

from pydantic import Field

from dina.models.towers.image.vision_models import Output
from dina.training.fit import FitSettings
from dina.training.presets.frozen_encoders import FrozenEncoderSettings, FrozenPreset, NeuralName
from dina.training.state import OptimiserSettings


class BrainClipSettings(FrozenEncoderSettings):
    """A frozen encoder that a linear neural tower learns to meet.

    Taken from the source: the image side is a frozen CLIP model; a light map from responses into its space is trained to
    find the right image in the batch and to regress its features. Left out: the text side and prompts, the variational
    map, the generation of images. Done otherwise: features are z-scored and rotated to their main directions over training
    images, the temperature is learnt, single neurons are dropped at random in training.

    Parameters
    ----------
    fit
        Training.

    References
    ----------
    Liu et al. (2023), https://doi.org/10.48550/arXiv.2302.12971
    """

    fit: FitSettings = FitSettings(
        n_epochs=30,
        batch_size=256,
        neural=OptimiserSettings(learning_rate=1e-3, weight_decay=0.1),
        objective="contrastive_regression",
        patience=8,
    )


class BrainClip(FrozenPreset[BrainClipSettings]):
    """Frozen features, a linear neural tower, contrast and regression."""

    settings_type = BrainClipSettings


class HumanAlignedSettings(FrozenEncoderSettings):
    """A frozen encoder that a non-linear neural tower learns to meet, by contrast alone.

    Taken from the source: image features come from a frozen encoder that was tuned to human judgements of similarity, brain
    signals are mapped to them by a trained network and a contrastive objective. Which encoder that is, is up to you: name
    the folder of a human-aligned model, and compare with the same architecture that was not tuned (``encoder``) and with
    shuffled weights (``has_random_weights``). With "gabor" nothing here is human-aligned: it tests the rest of the recipe.
    Left out: their architectures for EEG and MEG, which read time courses.

    Parameters
    ----------
    neural
        Neural tower.
    fit
        Training.

    References
    ----------
    Rajabi et al. (2025), https://doi.org/10.48550/arXiv.2502.03081
    """

    neural: NeuralName = "perceptron"
    fit: FitSettings = FitSettings(
        n_epochs=30, batch_size=256, neural=OptimiserSettings(learning_rate=1e-3, weight_decay=0.1), patience=8
    )


class HumanAligned(FrozenPreset[HumanAlignedSettings]):
    """Frozen features, a perceptron, contrast alone."""

    settings_type = HumanAlignedSettings


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
