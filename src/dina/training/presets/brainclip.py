"""Preset `brainclip`: a linear map from responses to a frozen CLIP space, after BrainCLIP (Liu et al. 2023)."""

from dina.training.fit import FitSettings
from dina.training.presets.frozen_encoders import FrozenEncoderSettings, FrozenPreset
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
