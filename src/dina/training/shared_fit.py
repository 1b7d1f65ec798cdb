"""Joint training: batches of the recordings take turns, one image tower learns from all of them."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dina.checks import check_choice
from dina.data.near_duplicates import group_near_identical
from dina.models.towers.neural.shared_trunk import RebuildingTrunk, cyclic_loss
from dina.models.towers.neuron_dropout import seed_dropout
from dina.progress import track
from dina.randomness import generator_for, seed_for
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import Batch, TrainingBatches
from dina.training.fit import FitSettings, Judge, encode_batch
from dina.training.history import EpochRow, FitHistory
from dina.training.image_facts import ImageFacts, prepare_objective
from dina.training.objectives import OBJECTIVES, Objective
from dina.training.optimisers import PlateauRule, make_optimiser
from dina.training.shared_towers import RecordingPairs, SharedTowers


@dataclass(frozen=True)
class JointObjective:
    """What joint training asks for besides the settings of any fit.

    Parameters
    ----------
    later
        Name of the objective that takes over, or None for one objective throughout. Patience is not lost before it has.
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


def fit_shared_towers(
    towers: SharedTowers,
    recordings: Sequence[RecordingPairs],
    settings: FitSettings,
    seed: int,
    device: str = "cpu",
    asked: JointObjective | None = None,
) -> FitHistory:
    """Train towers that share an image tower, in place, and leave them with the weights of the best validation epoch.

    An epoch visits every training image of every recording once; batches of the recordings take turns, each a step of its
    own neural tower and of everything that is shared. Validation is the mean over recordings, each counting the same. Epoch
    0 takes part in the selection.

    Parameters
    ----------
    towers
        Trained in place; weights that need no gradient stay as they are.
    recordings
        In the order of ``towers.names``.
    settings
        How to train; the objective is that of every recording.
    seed
        Of batch order, mixtures and dropout.
    device
        "cpu", "cuda" …
    asked
        Later objective, rebuilding; None for neither.

    Returns
    -------
    history
        One row per epoch; losses and accuracies are means over recordings. If a loss stops being finite, training ends with
        a warning and the best weights so far.

    Raises
    ------
    DataError
        If a recording has fewer than two different training images, or an objective is unknown.
    """
    asked = JointObjective() if asked is None else asked
    towers.to(torch.device(device))
    members = [_Member.make(towers.of(each.name), each, settings, asked, seed) for each in recordings]
    state = _State(towers, members, settings)
    state.note(_row(0, None, members, state), settings.select_by)
    stop_reason = f"All {settings.n_epochs} epochs of the budget were used."
    last_of_first = 0 if asked.later is None else math.floor(asked.first_share * settings.n_epochs)
    for epoch in track(range(1, settings.n_epochs + 1), "Training shared towers"):
        # validation judges by the objective that training ends with: the first one need not improve on it
        n_waited = epoch - 1 - max(last_of_first, state.best_row.epoch)
        if settings.patience is not None and n_waited >= settings.patience:
            stop_reason = f"Validation did not improve for {settings.patience} epochs."
            break
        is_later = asked.later is not None and epoch > last_of_first
        train_loss = _train_epoch(members, state, settings, asked, epoch, seed, is_later=is_later)
        row = None if train_loss is None else _row(epoch, train_loss, members, state)
        if row is None or not math.isfinite(row.validation_loss):
            stop_reason = f"The loss stopped being finite in epoch {epoch}; training ended with the weights of the best epoch."
            warnings.warn(stop_reason, stacklevel=2)
            break
        state.note(row, settings.select_by)
    state.restore()
    n_updates = sum(member.batches.n_batches for member in members)
    return FitHistory(tuple(state.rows), state.best_row.epoch, settings.n_epochs, stop_reason, n_updates)


@dataclass(frozen=True, eq=False)
class _Stage:
    """An objective with what it is told about the training images."""

    objective: Objective
    facts: ImageFacts


@dataclass(frozen=True, eq=False)
class _Member:
    """One recording in training: its towers, batches, objectives and judge."""

    towers: AlignedTowers
    batches: TrainingBatches
    first: _Stage
    later: _Stage
    judge: Judge

    @classmethod
    def make(
        cls, towers: AlignedTowers, recording: RecordingPairs, settings: FitSettings, asked: JointObjective, seed: int
    ) -> "_Member":
        towers.standardiser = recording.train.standardiser
        seed = seed_for(seed, f"recording {recording.name}")
        group = group_near_identical(recording.train.images)
        batches = TrainingBatches(recording.train, group, settings.batch_size, seed, towers.device)
        stages, told = [], []
        for name in dict.fromkeys((settings.objective, asked.later or settings.objective)):
            objective = OBJECTIVES[check_choice("objective", name, OBJECTIVES)]()
            if objective.temperature != "preset":
                towers.comparison.set_temperature_learnt(objective.temperature == "learnt")
            map_shape = towers.image_tower.map_shape
            facts, validation_facts = prepare_objective(
                objective, map_shape, recording.train, recording.validation, None, seed, towers.device
            )
            stages.append(_Stage(objective, facts))
            told.append(validation_facts)
        # one measure judges every epoch: that of the objective which training ends with
        judge = Judge(recording.validation, stages[-1].objective, towers, told[-1])
        return cls(towers, batches, stages[0], stages[-1], judge)


class _State:
    """Optimisers, history and best weights of a joint fit."""

    def __init__(self, towers: SharedTowers, members: Sequence[_Member], settings: FitSettings) -> None:
        self.towers = towers
        # a list of modules gives every weight once, also those that several towers share
        comparisons = nn.ModuleList(member.towers.comparison for member in members)
        heads = nn.ModuleList(stage.objective for member in members for stage in dict.fromkeys((member.first, member.later)))
        plain = settings.image.model_copy(update={"weight_decay": 0.0})
        made = {
            "image": make_optimiser(towers.image_tower, settings.image),
            "neural": make_optimiser(nn.ModuleList(member.towers.neural_tower for member in members), settings.neural),
            "comparison": make_optimiser(comparisons, plain),
            "objective": make_optimiser(heads, settings.image),
        }
        self.optimisers = {name: optimiser for name, optimiser in made.items() if optimiser is not None}
        self.plateau = PlateauRule(settings.halve_after)
        self.rows: list[EpochRow] = []
        self.best: dict[str, Tensor] = {}
        self.best_row: EpochRow

    def learning_rate(self, tower: str) -> float:
        return float(self.optimisers[tower].param_groups[0]["lr"]) if tower in self.optimisers else 0.0

    def note(self, row: EpochRow, select_by: str) -> None:
        def badness(candidate: EpochRow) -> tuple[float, float]:
            first = -candidate.validation_top1 if select_by == "top1" else candidate.validation_loss
            return first, candidate.validation_loss

        if not self.rows or badness(row) < badness(self.best_row):
            self.best_row = row
            self.best = {name: tensor.detach().clone() for name, tensor in self.towers.state_dict().items()}
        self.rows.append(row)

    def restore(self) -> None:
        self.towers.load_state_dict(self.best)
        self.towers.eval()


def _row(epoch: int, train_loss: float | None, members: Sequence[_Member], state: _State) -> EpochRow:
    loss, top1 = np.mean([member.judge.judge() for member in members], axis=0)
    return EpochRow(epoch, train_loss, float(loss), float(top1), state.learning_rate("image"), state.learning_rate("neural"))


def _train_epoch(
    members: Sequence[_Member],
    state: _State,
    settings: FitSettings,
    asked: JointObjective,
    epoch: int,
    seed: int,
    *,
    is_later: bool,
) -> float | None:
    """Train one epoch; return the mean loss per image, or None as soon as a loss is not finite."""
    state.towers.train()
    mixtures, partners = (generator_for(seed, f"{what} {epoch}") for what in ("objective mixtures", "partners"))
    seed_dropout(state.towers, torch.Generator(state.towers.device).manual_seed(seed_for(seed, f"neuron dropout {epoch}")))
    total, n_images = 0.0, 0
    for number, batch in _turns(members, epoch, is_later=is_later):
        member = members[number]
        stage = member.later if is_later else member.first
        stage.objective.train()
        for optimiser in state.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        loss = stage.objective(encode_batch(member.towers, batch, stage.objective, stage.facts, settings.precision, mixtures))
        value = float(loss.detach())
        if asked.rebuild_weight > 0:
            loss = loss + asked.rebuild_weight * _rebuilding(members, number, batch, asked, partners)
        if not math.isfinite(float(loss.detach())):
            return None
        loss.backward()
        for optimiser in state.optimisers.values():
            optimiser.step()
        total += value * len(batch.images)
        n_images += len(batch.images)
    state.plateau.after_epoch(total / n_images, list(state.optimisers.values()))
    return total / n_images


def _turns(members: Sequence[_Member], epoch: int, *, is_later: bool) -> Iterator[tuple[int, Batch]]:
    """Yield batches with the number of their recording, recordings taking turns until all are through."""
    sources = []
    for member in members:
        stage = member.later if is_later else member.first
        apart = stage.objective.repeats_apart
        sources.append(member.batches.epoch_of_trials(epoch) if apart else member.batches.epoch(epoch))
    waiting = dict(enumerate(sources))
    while waiting:
        for number, source in list(waiting.items()):
            batch = next(source, None)
            if batch is None:
                del waiting[number]
            else:
                yield number, batch


def _rebuilding(
    members: Sequence[_Member], number: int, batch: Batch, asked: JointObjective, partners: np.random.Generator
) -> Tensor:
    """Return the cyclic loss through a recording drawn among the others, or through itself where there is no other."""
    others = [other for other in range(len(members)) if other != number] or [number]
    own, other = members[number].towers.neural_tower, members[int(partners.choice(others))].towers.neural_tower
    if not (isinstance(own, RebuildingTrunk) and isinstance(other, RebuildingTrunk)):
        raise TypeError("Rebuilding responses needs neural towers that can, such as RebuildingTrunk.")
    return cyclic_loss(own, other, batch.responses, asked.cycle_weight)
