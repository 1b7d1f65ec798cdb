"""Presets with a frozen image encoder: published recipes (`brainclip`, `human_aligned`, `vna`), and how the encoder is found."""

import os
from pathlib import Path
from typing import Literal, TypeVar

import torch
from pydantic import Field
from torch import nn

from dina.checks import DataError
from dina.models.towers.image.frozen_encoder import FrozenEncoder
from dina.models.towers.image.frozen_network import GaborFeatures, permute_weights, random_network
from dina.models.towers.image.kept_features import FeatureStore
from dina.models.towers.image.vision_models import Output, read_vision_model
from dina.models.towers.neural.feedforward import Linear, LowRank, Perceptron
from dina.models.towers.neural.paper_neuron_attention import NeuronAttention
from dina.models.towers.tower import MapShape, NeuralTower
from dina.randomness import seed_for
from dina.recordings.download import data_folder
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs
from dina.training.comparison import CosineComparison
from dina.training.fit import FitSettings
from dina.training.presets.preset import Preset, PresetSettings, RecordingShape, Temperature
from dina.training.start import Chosen, NeuronPrior
from dina.training.state import OptimiserSettings

FEATURES_VARIABLE = "DINA_FEATURES"
NeuralName = Literal["linear", "low_rank", "perceptron", "attention"]


class FrozenEncoderSettings(PresetSettings):
    """A frozen encoder of images, and the neural tower that meets it.

    Parameters
    ----------
    encoder
        Folder of a vision transformer (``config.json`` and ``model.safetensors``); or, without a download, "gabor" for Gabor
        features, or "random" for a convolutional network with random weights, the control that has learnt nothing.
    layer
        Hidden layer of the transformer; −1 for the last.
    output
        "vector" for one vector per image, "map" for features in their places; "gabor" and "random" give maps.
    has_random_weights
        Whether the numbers inside every weight of the transformer are shuffled: the control that has learnt nothing.
    n_components
        Most channels kept of the features, by variance over training images.
    n_places
        Most places kept of a map.
    neural
        "linear", "low_rank", "perceptron" (one hidden layer) or "attention".
    rank
        Components of the low-rank tower, or hidden units of the perceptron.
    dropout
        Probability of silencing a neuron while training (not with attention).
    temperature
        Of the cosine at the start; it is learnt.
    """

    encoder: str = ""
    layer: int = -1
    output: Output = "vector"
    has_random_weights: bool = False
    n_components: int = Field(512, ge=1)
    n_places: int = Field(128, ge=1)
    neural: NeuralName = "linear"
    rank: int = Field(256, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    temperature: Temperature = 0.07


FrozenSettings = TypeVar("FrozenSettings", bound=FrozenEncoderSettings)
Towers = AlignedTowers[FrozenEncoder, NeuralTower]


class FrozenPreset(Preset[FrozenSettings, FrozenEncoder, NeuralTower]):
    """A frozen encoder of images meets a neural tower in a cosine with a learnt temperature."""

    def build(self, settings: FrozenSettings, shape: RecordingShape) -> Towers:
        """Build both towers.

        Raises
        ------
        DataError
            If no encoder is named, it cannot be read, or an encoder without weights is to be a control.
        """
        encoder = _find_encoder(settings, shape.image)
        store = None if settings.encoder == "gabor" else feature_store()
        n_outputs = self.n_outputs(settings)
        image_tower = FrozenEncoder(shape.image, encoder, settings.n_components, settings.n_places, n_outputs, store)
        neural_tower = _build_neural_tower(settings, shape.n_neurons, image_tower.map_shape)
        return AlignedTowers(image_tower, neural_tower, CosineComparison(settings.temperature, is_learnt=True))

    def join(self, towers: Towers, settings: FrozenSettings, prior: NeuronPrior | None, recording: RecordingPairs) -> Chosen:
        """Learn statistics of the features, and the range of responses for attention."""
        towers.image_tower.learn_statistics(torch.from_numpy(recording.train.images))
        if isinstance(towers.neural_tower, NeuronAttention):
            towers.neural_tower.learn_scaling(torch.from_numpy(recording.train.responses))
        return {}

    def n_outputs(self, settings: FrozenSettings) -> int:
        """Return the length of the vector that a trained head makes of the features of an image; 0 for no head."""
        return 0


def feature_store() -> FeatureStore | None:
    """Return where features of networks are kept: ``features`` beside fetched data, unless ``DINA_FEATURES`` is "off"."""
    return None if os.environ.get(FEATURES_VARIABLE) == "off" else FeatureStore(data_folder("features"))


def _find_encoder(settings: FrozenEncoderSettings, image_shape: MapShape) -> nn.Module:
    if not settings.encoder:
        raise DataError(
            "This preset needs a frozen image encoder; none is named. Set dina.encoder to the folder of a vision transformer"
            " (install the extra in the folder of dina's source: pip install -e '.[encoders]'), or to 'gabor' for Gabor features,"
            " which need no download."
        )
    encoder: nn.Module
    if settings.encoder == "gabor":
        encoder = GaborFeatures(image_shape)
    elif settings.encoder == "random":
        encoder = random_network(image_shape)
    else:
        encoder = read_vision_model(Path(settings.encoder), image_shape, settings.layer, settings.output)
    if settings.has_random_weights:
        # one fixed control for all seeds of a study, so that saved towers find it again
        permute_weights(encoder, torch.Generator().manual_seed(seed_for(0, "permuted weights")))
    return encoder


def _build_neural_tower(settings: FrozenEncoderSettings, n_neurons: int, map_shape: MapShape) -> NeuralTower:
    if settings.neural == "attention":
        return NeuronAttention(n_neurons, map_shape, centring="none")
    if settings.neural == "perceptron":
        return Perceptron(n_neurons, map_shape, settings.rank, settings.dropout)
    if settings.neural == "low_rank":
        return LowRank(n_neurons, map_shape, settings.rank, settings.dropout)
    return Linear(n_neurons, map_shape, settings.dropout)


class BrainClipSettings(FrozenEncoderSettings):
    """A frozen encoder that a linear neural tower learns to meet.

    Taken from the source: the image side is a frozen CLIP model; a light map from responses into its space is trained to
    find the right image in the batch and to regress its features. Left out: the text side and prompts, the variational
    map, the generation of images. Done otherwise: features are z-scored and rotated to their main directions over training
    images, the temperature is learnt, single neurons are dropped at random in training.

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
