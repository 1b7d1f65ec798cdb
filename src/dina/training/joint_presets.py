"""The recipes for several recordings: what they share, how they are begun, and how a new recording joins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dina.data.pairs import Pairs
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.image.two_pathway import TwoPathway
from dina.models.towers.neural.low_rank import LowRank
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.models.towers.neural.shared_trunk import AdaptedTrunk, RebuildingTrunk, SharedTrunk
from dina.models.towers.tower import initialise
from dina.randomness import seed_for
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import CosineComparison
from dina.training.joint_settings import AdaptedTrunkSettings, MindBridgeSettings, MindEyeSettings
from dina.training.preset_settings import DefaultSettings, PresetSettings, ScratchSettings
from dina.training.presets import RecordingShape, build_towers
from dina.training.response_weights import reliability_weights
from dina.training.shared_fit import JointObjective
from dina.training.shared_start import SharedFields, start_new_recording, start_sharing_images
from dina.training.shared_towers import RecordingPairs, SharedTowers

Chosen = dict[str, str | float]


@dataclass(frozen=True)
class JointPreset:
    """How towers of several recordings are built and begun.

    Parameters
    ----------
    settings_type
        Its settings; without arguments, what it prescribes.
    build
        Makes towers for a new recording from settings, shape, seed and the towers that it is to share with, if any.
    start
        Learns what has a closed form for all recordings; returns what a further recording can be started with, and what was
        chosen.
    join
        The same for one further recording, everything shared being left as it is.
    ask
        What joint training asks for besides the objective.
    has_closed_form_start
        Whether training only refines: then its length is no part of a comparison.
    """

    settings_type: type[PresetSettings]
    build: Callable[[Any, RecordingShape, int, AlignedTowers | None], AlignedTowers]
    start: Callable[[SharedTowers, Any, Sequence[RecordingPairs]], tuple[SharedFields | None, Chosen]]
    join: Callable[[AlignedTowers, Any, SharedFields | None, Pairs, Pairs], Chosen]
    ask: Callable[[Any], JointObjective] = lambda settings: JointObjective()
    has_closed_form_start: bool = False


def _build_row(preset: str) -> Callable[[Any, RecordingShape, int, AlignedTowers | None], AlignedTowers]:
    """Return a builder that takes both towers from a preset for one recording."""

    def build(settings: PresetSettings, shape: RecordingShape, seed: int, shared: AlignedTowers | None) -> AlignedTowers:
        towers = build_towers(preset, settings, shape, seed)
        if shared is None:
            return towers
        return AlignedTowers(shared.image_tower, towers.neural_tower, towers.comparison, towers.recipe)

    return build


def _build_trunk(tower_type: type[AdaptedTrunk]) -> Callable[[Any, RecordingShape, int, AlignedTowers | None], AlignedTowers]:
    """Return a builder of an image tower from scratch, adapters of one type, and a trunk."""

    def build(settings: AdaptedTrunkSettings, shape: RecordingShape, seed: int, shared: AlignedTowers | None) -> AlignedTowers:
        generator = torch.Generator().manual_seed(seed_for(seed, "initial weights"))
        comparison = CosineComparison(settings.temperature, is_learnt=True, is_centred=True)
        if shared is None:
            image_shape = (shape.n_channels, shape.height, shape.width)
            image_tower = TwoPathway(image_shape, settings.map_channels, settings.pathway_width)
            trunk = SharedTrunk(settings.width, settings.n_blocks, image_tower.map_shape)
            towers = AlignedTowers(image_tower, tower_type(shape.n_neurons, trunk, settings.width, settings.dropout), comparison)
            initialise(towers, generator)
            return towers
        known = shared.neural_tower
        assert isinstance(known, AdaptedTrunk)  # built above; tells the type checker
        fresh = SharedTrunk(settings.width, 0, known.map_shape)  # stands in for the trunk, whose weights must stay
        neural_tower = tower_type(shape.n_neurons, fresh, settings.width, settings.dropout)
        initialise(nn.ModuleList([neural_tower, comparison]), generator)
        neural_tower.trunk = known.trunk
        return AlignedTowers(shared.image_tower, neural_tower, comparison)

    return build


def _start_reliable(
    towers: SharedTowers, settings: PresetSettings, recordings: Sequence[RecordingPairs]
) -> tuple[SharedFields | None, Chosen]:
    for each in recordings:
        _join_reliable(towers.of(each.name), settings, None, each.train, each.validation)
    return None, {}


def _join_reliable(
    towers: AlignedTowers, settings: PresetSettings, shared: SharedFields | None, train: Pairs, validation: Pairs
) -> Chosen:
    assert isinstance(towers.neural_tower, LowRank | AdaptedTrunk)  # as all rows with this start build; tells the type checker
    if not isinstance(settings, ScratchSettings) or settings.is_reliability_weighted:  # the others offer no choice
        towers.neural_tower.set_gain(torch.from_numpy(reliability_weights(train)))
    return {}


def _start_default(
    towers: SharedTowers, settings: DefaultSettings, recordings: Sequence[RecordingPairs]
) -> tuple[SharedFields | None, Chosen]:
    assert isinstance(towers.image_tower, GaborEnergy)  # built by the preset; tells the type checker
    fields = [
        tower for tower in (towers.of(each.name).neural_tower for each in recordings) if isinstance(tower, ProjectiveFields)
    ]
    return start_sharing_images(towers.image_tower, fields, recordings, settings.widths)


def _join_default(
    towers: AlignedTowers, settings: DefaultSettings, shared: SharedFields | None, train: Pairs, validation: Pairs
) -> Chosen:
    assert shared is not None  # from _start_default; tells the type checker
    assert isinstance(towers.image_tower, GaborEnergy)
    assert isinstance(towers.neural_tower, ProjectiveFields)
    return start_new_recording(towers.image_tower, towers.neural_tower, shared, train, validation)


JOINT_PRESETS: dict[str, JointPreset] = {
    "default": JointPreset(DefaultSettings, _build_row("default"), _start_default, _join_default, has_closed_form_start=True),
    "scratch": JointPreset(ScratchSettings, _build_row("scratch"), _start_reliable, _join_reliable),
    "mindeye2": JointPreset(
        MindEyeSettings,
        _build_trunk(AdaptedTrunk),
        _start_reliable,
        _join_reliable,
        lambda settings: JointObjective("soft_clip", settings.first_share),
    ),
    "mindbridge": JointPreset(
        MindBridgeSettings,
        _build_trunk(RebuildingTrunk),
        _start_reliable,
        _join_reliable,
        lambda settings: JointObjective(rebuild_weight=settings.rebuild_weight, cycle_weight=settings.cycle_weight),
    ),
}
"""Every recipe for several recordings by name."""
