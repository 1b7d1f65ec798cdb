"""The presets: which towers meet in which comparison, and how they are trained."""

from dataclasses import asdict
from typing import Any

import torch
from pydantic import ValidationError

from dina.checks import DataError, check_choice
from dina.data.pairs import Pairs
from dina.models.towers.image.dual_stream import DualStream
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.neural.low_rank import LowRank
from dina.models.towers.neural.neuron_attention import NeuronAttention
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.tower import initialise
from dina.randomness import seed_for
from dina.training.aligned_towers import AlignedTowers
from dina.training.closed_form_start import start_at_encoding_model
from dina.training.comparison import CosineComparison, LikelihoodComparison
from dina.training.preset import Preset, RecordingShape
from dina.training.preset_settings import DefaultSettings, PaperSettings, PresetSettings, ScratchSettings
from dina.training.recipes.brainclip import BRAINCLIP
from dina.training.recipes.human_aligned import HUMAN_ALIGNED
from dina.training.recipes.vna import VNA
from dina.training.response_weights import reliability_weights


def _build_paper(settings: PaperSettings, shape: RecordingShape, generator: torch.Generator) -> AlignedTowers:
    map_shape = (settings.map_channels, settings.map_height, settings.map_width)
    image_tower = DualStream(
        (shape.n_channels, shape.height, shape.width),
        map_shape,
        residual_cross_attention=settings.residual_cross_attention,
        is_backbone_trained=settings.is_backbone_trained,
        centring=settings.centring,
        stage=settings.image_stage,
    )
    neural_tower = NeuronAttention(shape.n_neurons, map_shape, centring=settings.centring)
    towers = AlignedTowers(image_tower, neural_tower, CosineComparison(settings.temperature))
    initialise(towers, generator)
    return towers


def _start_paper(
    towers: AlignedTowers, settings: PaperSettings, train: Pairs, validation: Pairs, seed: int
) -> dict[str, str | float]:
    assert isinstance(towers.neural_tower, NeuronAttention)  # built by _build_paper; tells the type checker
    towers.neural_tower.learn_scaling(torch.from_numpy(train.responses))
    return {}


def _build_scratch(settings: ScratchSettings, shape: RecordingShape, generator: torch.Generator) -> AlignedTowers:
    image_tower = TwoPathway((shape.n_channels, shape.height, shape.width), settings.map_channels, settings.pathway_width)
    neural_tower = LowRank(shape.n_neurons, image_tower.map_shape, settings.rank, settings.dropout)
    comparison = CosineComparison(settings.temperature, is_learnt=True, is_centred=True)
    towers = AlignedTowers(image_tower, neural_tower, comparison)
    initialise(towers, generator)
    return towers


def _start_scratch(
    towers: AlignedTowers, settings: ScratchSettings, train: Pairs, validation: Pairs, seed: int
) -> dict[str, str | float]:
    assert isinstance(towers.neural_tower, LowRank)  # built by _build_scratch; tells the type checker
    if settings.is_reliability_weighted:
        towers.neural_tower.set_gain(torch.from_numpy(reliability_weights(train)))
    return {}


def _build_default(settings: DefaultSettings, shape: RecordingShape, generator: torch.Generator) -> AlignedTowers:
    image_tower = GaborEnergy(
        (shape.n_channels, shape.height, shape.width),
        settings.stride,
        settings.n_orientations,
        settings.n_contrasts,
        has_phases=settings.has_phases,
    )
    n_components = min(settings.n_noise_components, shape.n_neurons)
    neural_tower = ProjectiveFields(shape.n_neurons, image_tower.map_shape, settings.order, n_components, settings.dropout)
    towers = AlignedTowers(image_tower, neural_tower, LikelihoodComparison(neural_tower))
    initialise(towers, generator)
    return towers


def _start_default(
    towers: AlignedTowers, settings: DefaultSettings, train: Pairs, validation: Pairs, seed: int
) -> dict[str, str | float]:
    assert isinstance(towers.image_tower, GaborEnergy)  # built by _build_default; tells the type checker
    assert isinstance(towers.neural_tower, ProjectiveFields)
    return start_at_encoding_model(towers.image_tower, towers.neural_tower, settings.widths, train, validation)


PRESETS: dict[str, Preset] = {
    "default": Preset(DefaultSettings, _build_default, _start_default, has_closed_form_start=True),
    "paper": Preset(PaperSettings, _build_paper, _start_paper),
    "scratch": Preset(ScratchSettings, _build_scratch, _start_scratch),
    "brainclip": BRAINCLIP,
    "human_aligned": HUMAN_ALIGNED,
    "vna": VNA,
}
"""Every preset by name."""


def build_towers(preset: str, settings: PresetSettings | None, shape: RecordingShape, seed: int) -> AlignedTowers:
    """Build the towers of a preset with random weights drawn from ``seed``; `AlignedTowers.save` stores how.

    Raises
    ------
    DataError
        If the preset is unknown or its towers cannot take the images.
    """
    row = PRESETS[check_choice("preset", preset, PRESETS)]
    chosen = row.settings_type() if settings is None else settings
    towers = row.build(chosen, shape, torch.Generator().manual_seed(seed_for(seed, "initial weights")))
    towers.recipe = {"preset": preset, "settings": chosen.model_dump(mode="json"), "shape": asdict(shape)}
    return towers


def build_from_recipe(recipe: dict[str, Any]) -> AlignedTowers:
    """Build the towers that a saved recipe describes; their weights are to be loaded.

    Raises
    ------
    DataError
        If this version of dina does not know the preset or its settings.
    """
    preset = check_choice("preset", str(recipe.get("preset")), PRESETS)
    try:
        settings = PRESETS[preset].settings_type.model_validate(recipe.get("settings"))
        shape = RecordingShape(**recipe["shape"])
    except (ValidationError, KeyError, TypeError) as error:
        raise DataError(
            f"The settings of preset {preset!r} in this file are not those of this version of dina. Use the version that"
            " wrote it, or fit again."
        ) from error
    return build_towers(preset, settings, shape, seed=0)


__all__ = ["PRESETS", "Preset", "RecordingShape", "build_from_recipe", "build_towers"]
