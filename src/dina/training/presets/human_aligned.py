"""Preset `human_aligned`: responses meet a frozen encoder trained on human similarity judgements (Rajabi et al. 2025)."""

from dina.training.fit import FitSettings
from dina.training.presets.frozen_encoders import FrozenEncoderSettings, FrozenPreset, NeuralName
from dina.training.state import OptimiserSettings


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
        n_epochs=30,
        batch_size=256,
        neural=OptimiserSettings(learning_rate=1e-3, weight_decay=0.1),
        patience=8,
    )


class HumanAligned(FrozenPreset[HumanAlignedSettings]):
    """Frozen features, a perceptron, contrast alone."""

    settings_type = HumanAlignedSettings
