"""One epoch of training, in which batches of the recordings take turns, and its validation."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.checks import check_choice
from dina.data.near_duplicates import group_near_identical
from dina.data.pairs import Pairs
from dina.models.towers.neural.shared_trunk import RebuildingTrunk, cyclic_loss
from dina.models.towers.neuron_dropout import seed_dropout
from dina.randomness import generator_for, seed_for
from dina.training.aligned_towers import IMAGES_AT_ONCE, AlignedTowers
from dina.training.batches import Batch, RecordingPairs, TrainingBatches
from dina.training.objectives import OBJECTIVES, EncodedBatch, ImageFacts, Objective, prepare_objective
from dina.training.state import EpochRow, TrainingState


@dataclass(frozen=True)
class TrainingPlan:
    """How training differs from one objective throughout.

    Parameters
    ----------
    later
        Name of the objective that takes over, or None for one objective throughout. Patience is counted from then on.
    first_share
        Fraction of the epochs after which it takes over.
    rebuild_weight
        Of rebuilding responses, see `dina.models.towers.neural.shared_trunk.cyclic_loss`; 0 for none.
    cycle_weight
        Of the way through another recording, relative to rebuilding.
    """

    later: str | None = None
    first_share: float = 1 / 3
    rebuild_weight: float = 0.0
    cycle_weight: float = 1.0


@dataclass(frozen=True, eq=False)
class _Stage:
    """An objective and what it knows about the training images of one recording."""

    objective: Objective
    facts: ImageFacts


@dataclass(frozen=True, eq=False)
class Member:
    """One recording in training.

    Parameters
    ----------
    towers
        Of the recording.
    batches
        Of its training pairs.
    first, later
        The objective that training begins with and the one that it ends with; often one and the same.
    validation
        Measures the loss of the later objective.
    """

    towers: AlignedTowers
    batches: TrainingBatches
    first: _Stage
    later: _Stage
    validation: "_ValidationImages"

    @classmethod
    def make(
        cls, towers: AlignedTowers, recording: RecordingPairs, objectives: Sequence[Objective], batch_size: int, seed: int
    ) -> "Member":
        """Prepare one or two objectives, in the order in which they train, for a recording.

        Batches and heads of a recording with a name draw from a seed of their own.
        """
        towers.standardiser = recording.train.standardiser
        if recording.name:
            seed = seed_for(seed, f"recording {recording.name}")
        group = group_near_identical(recording.train.images)
        batches = TrainingBatches(recording.train, group, batch_size, seed, towers.device)
        stages, validation_facts = [], []
        for objective in objectives:
            if objective.temperature != "preset":
                towers.comparison.set_temperature_learnt(objective.temperature == "learnt")
            facts, of_validation = prepare_objective(objective, towers.image_tower.map_shape, recording, seed, towers.device)
            stages.append(_Stage(objective, facts))
            validation_facts.append(of_validation)
        validation = _ValidationImages(recording.validation, stages[-1].objective, towers, validation_facts[-1])
        return cls(towers, batches, stages[0], stages[-1], validation)

    @property
    def stages(self) -> list[_Stage]:
        """Both stages, or the one that there is."""
        return [self.first] if self.first is self.later else [self.first, self.later]


def make_objectives(name: str, later: str | None) -> list[Objective]:
    """Make the objectives of a recording, in the order in which they train.

    Raises
    ------
    DataError
        If a name is unknown.
    """
    return [OBJECTIVES[check_choice("objective", each, OBJECTIVES)]() for each in dict.fromkeys((name, later or name))]


def validate(epoch: int, train_loss: float | None, members: Sequence[Member], state: TrainingState) -> EpochRow:
    """Return the row of an epoch; validation is the mean over recordings, each counting the same."""
    loss, top1 = np.mean([member.validation.measure() for member in members], axis=0)
    return EpochRow(epoch, train_loss, float(loss), float(top1), state.learning_rate("image"), state.learning_rate("neural"))


def train_epoch(
    members: Sequence[Member], state: TrainingState, plan: TrainingPlan, precision: str, epoch: int, seed: int, *, is_later: bool
) -> float | None:
    """Train one epoch: every training image of every recording once, one update for each batch.

    Parameters
    ----------
    members
        The recordings.
    state
        Of the fit; changed in place.
    plan
        Whether responses are rebuilt.
    precision
        Of the towers, see `dina.training.fit.FitSettings`.
    epoch
        Its number; with ``seed`` it decides order, mixtures and dropout.
    seed
        Of the fit.
    is_later
        Whether the later objective has taken over.

    Returns
    -------
    loss
        Mean loss per image, without rebuilding; None as soon as a loss is not finite.
    """
    state.train()
    mixtures, partners = (generator_for(seed, f"{purpose} {epoch}") for purpose in ("objective mixtures", "partners"))
    seed_dropout(state.towers, torch.Generator(state.device).manual_seed(seed_for(seed, f"neuron dropout {epoch}")))
    total, n_images = 0.0, 0
    for number, batch in _take_turns(members, epoch, is_later=is_later):
        stage = members[number].later if is_later else members[number].first
        for optimiser in state.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        loss = stage.objective(_encode_batch(members[number].towers, batch, stage, precision, mixtures))
        value = float(loss.detach())
        if plan.rebuild_weight > 0:
            loss = loss + plan.rebuild_weight * _rebuilding_loss(members, number, batch, plan.cycle_weight, partners)
        if not math.isfinite(float(loss.detach())):
            return None
        loss.backward()
        for optimiser in state.optimisers.values():
            optimiser.step()
        total += value * len(batch.images)
        n_images += len(batch.images)
    state.plateau.after_epoch(total / n_images, list(state.optimisers.values()))
    return total / n_images


class _ValidationImages:
    """The validation images of a recording, and how well its towers find them."""

    def __init__(self, validation: Pairs, objective: Objective, towers: AlignedTowers, facts: ImageFacts) -> None:
        self.towers = towers
        self.objective = objective
        device = towers.device
        self.images = torch.from_numpy(validation.images).to(device)
        self.responses = torch.from_numpy(validation.averaged()).to(device)
        self.presentations = torch.from_numpy(validation.total_presentations().astype(np.float32)).to(device)
        self.group = torch.from_numpy(group_near_identical(validation.images)).to(device)
        self.itself = torch.arange(validation.n_stimuli, device=device)
        self.category, self.target = facts.at(self.itself)

    @torch.no_grad()
    def measure(self) -> tuple[float, float]:
        """Return loss and top-1 accuracy of the towers as they are now."""
        self.towers.eval()
        self.objective.eval()
        image_maps = torch.cat([self.towers.image_tower(chunk) for chunk in torch.split(self.images, IMAGES_AT_ONCE)])
        neural_maps = self.towers.neural_tower(self.responses)
        scores = self.towers.comparison(neural_maps, image_maps, self.presentations)
        known = (self.group, self.category, self.target, self.itself, torch.ones_like(self.presentations))
        of_shown = scores.diagonal()[:, None]
        # ties share the first place, so that a collapsed model scores chance
        top1 = ((scores > of_shown).sum(1) == 0) / (scores == of_shown).sum(1).clamp_min(1)
        return float(self.objective(EncodedBatch(neural_maps, image_maps, scores, *known))), float(top1.mean())


def _take_turns(members: Sequence[Member], epoch: int, *, is_later: bool) -> Iterator[tuple[int, Batch]]:
    """Yield the batches of an epoch with the number of their recording; recordings take turns until all are through."""
    waiting = {}
    for number, member in enumerate(members):
        apart = (member.later if is_later else member.first).objective.repeats_apart
        waiting[number] = member.batches.epoch_of_trials(epoch) if apart else member.batches.epoch(epoch)
    while waiting:
        for number, source in list(waiting.items()):
            batch = next(source, None)
            if batch is None:
                del waiting[number]
            else:
                yield number, batch


def _encode_batch(
    towers: AlignedTowers, batch: Batch, stage: _Stage, precision: str, mixtures: np.random.Generator
) -> EncodedBatch:
    """Mix the responses of a batch as the objective prescribes, and send both sides through their towers."""
    device = batch.responses.device.type
    responses, presentations, partner, share = stage.objective.mix(batch.responses, batch.n_presentations, mixtures)
    with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        image_maps = towers.image_tower(batch.images.contiguous(memory_format=torch.channels_last))
        neural_maps = towers.neural_tower(responses)
    image_maps, neural_maps = image_maps.float(), neural_maps.float()
    if batch.row is not None:
        image_maps = image_maps.index_select(0, batch.row)
    scores = towers.comparison(neural_maps, image_maps, presentations)
    category, target = stage.facts.at(batch.position)
    return EncodedBatch(neural_maps, image_maps, scores, batch.group, category, target, partner, share)


def _rebuilding_loss(
    members: Sequence[Member], number: int, batch: Batch, cycle_weight: float, partners: np.random.Generator
) -> Float[Tensor, ""]:
    """Return the cyclic loss through a recording drawn among the others, or through itself where there is no other."""
    others = [other for other in range(len(members)) if other != number] or [number]
    through = members[int(partners.choice(others))].towers.neural_tower
    tower = members[number].towers.neural_tower
    if not (isinstance(tower, RebuildingTrunk) and isinstance(through, RebuildingTrunk)):
        raise TypeError("Rebuilding responses needs neural towers that can, such as RebuildingTrunk.")
    return cyclic_loss(tower, through, batch.responses, cycle_weight)
