"""The training loop for one or several recordings: validation selects the epoch, checkpoints resume bit for bit."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from dina.checks import DataError, check_choice
from dina.data.splits import group_near_identical
from dina.models.towers.batch_norm import BatchNorm1d, BatchNorm2d
from dina.models.towers.divided_batch import average_over_processes, gather_rows, own_rows, sum_of_processes
from dina.models.towers.neural.shared_trunk import RebuildingTrunk, cyclic_loss
from dina.models.towers.tower import seed_dropout
from dina.processes import from_first, n_processes, on_every_process, process_number
from dina.progress import track
from dina.randomness import generator_for, seed_for
from dina.short_words import brief
from dina.training.aligned_towers import IMAGES_AT_ONCE, AlignedTowers
from dina.training.batches import Batch, RecordingPairs, TrainingBatches, updates_per_epoch
from dina.training.objectives import OBJECTIVES, EncodedBatch, ImageFacts, Objective, prepare_objective
from dina.training.state import EpochRow, FitHistory, OptimiserSettings, TrainingState


class FitSettings(BaseModel):
    """How towers are trained.

    Parameters
    ----------
    n_epochs
        Budget; 0 leaves the towers as they are.
    batch_size
        Images per batch; the other images of the batch are the wrong answers. All training images if they are fewer.
    image, neural
        Optimisers of the two towers; the comparison learns with the image tower's.
    objective
        Name in `OBJECTIVES`.
    select_by
        What validation decides by: "top1" (ties by the loss), "loss", or "log_rank", the mean logarithm of the rank of the shown
        image, which sees smaller gains than top-1 accuracy and, unlike the loss, does not depend on the temperature.
    patience
        Stop after this many epochs without a better one; None trains to the end of the budget.
    halve_after
        Halve learning rates after this many epochs without a lower training loss; None never does.
    precision
        "float32", or "bfloat16" autocast inside the towers (scores stay in single precision).
    checkpoint_every
        Epochs between checkpoints.
    """

    __repr__ = __str__ = brief

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_epochs: int = Field(40, ge=0)
    batch_size: int = Field(128, ge=2)
    image: OptimiserSettings = OptimiserSettings()
    neural: OptimiserSettings = OptimiserSettings()
    objective: str = "contrastive"
    select_by: Literal["top1", "loss", "log_rank"] = "top1"
    patience: int | None = Field(10, ge=1)
    halve_after: int | None = Field(None, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_every: int = Field(1, ge=1)


@dataclass(frozen=True)
class TrainingPlan:
    """How training differs from one objective throughout."""

    later: str | None = None  # name of an objective that takes over; patience is counted from then on
    first_share: float = 1 / 3  # fraction of the epochs after which it takes over
    rebuild_weight: float = 0.0  # of rebuilding responses, see dina.models.towers.neural.shared_trunk.cyclic_loss
    cycle_weight: float = 1.0  # of the way through another recording, relative to rebuilding


def fit_towers(
    towers: Sequence[AlignedTowers],
    recordings: Sequence[RecordingPairs],
    settings: FitSettings,
    seed: int,
    device: str = "cpu",
    folder: Path | None = None,
    plan: TrainingPlan | None = None,
    objective: Callable[[], Objective] | None = None,
) -> FitHistory:
    """Train the towers of one or several recordings, in place, and leave them with the weights of the best epoch.

    An epoch visits every training image of every recording once, with a fresh mixture of its trials. Batches of the
    recordings take turns; each updates the neural tower of its recording and everything that is shared. Training pairs alone
    teach; validation pairs choose the epoch. Epoch 0, before training, can be chosen too, so that no fit ends worse on
    validation than it began.

    Parameters
    ----------
    towers
        Of each recording, all with the same image tower object. On ``device`` and in evaluation mode afterwards. Weights that
        need no gradient stay as they are.
    recordings
        In the order of the towers; several need different names.
    settings, device
        How to train, and where ("cpu", "cuda" …).
    seed
        Of batch order, trial mixtures and neuron dropout.
    folder
        Where checkpoints go. Training resumes from a checkpoint of the same fit, and ends with the same weights, bit for bit,
        as without a stop (same device, threads and torch version).
    plan
        Whether another objective takes over, or responses are rebuilt; None for neither.
    objective
        Makes an objective of your own for each recording, in place of the one that ``settings`` name.

    Returns
    -------
    history
        Losses and accuracies are means over recordings. If a loss stops being finite, training ends with a warning and the
        best weights so far.

    Raises
    ------
    DataError
        If names repeat or image towers differ; if a recording has fewer than two different training or validation images;
        if an objective is unknown or lacks categories or features that it needs; if ``folder`` holds checkpoints of
        another fit.
    """
    plan = TrainingPlan() if plan is None else plan
    _check(towers, recordings)
    names = dict.fromkeys((settings.objective, plan.later or settings.objective))
    kinds = [objective] if objective is not None else [OBJECTIVES[check_choice("objective", each, OBJECTIVES)] for each in names]
    objectives = [[kind() for kind in kinds] for _ in recordings]
    return on_every_process(_fit, towers, recordings, objectives, settings, plan, seed, device, folder)


def _fit(
    towers: Sequence[AlignedTowers],
    recordings: Sequence[RecordingPairs],
    objectives: Sequence[Sequence[Objective]],
    settings: FitSettings,
    plan: TrainingPlan,
    seed: int,
    device: str,
    folder: Path | None,
) -> FitHistory:
    """Do what `fit_towers` does, in each process that takes part; only the first one reads and writes checkpoints."""
    for each in towers:
        each.to(torch.device(device))
        each.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    members = [
        _Member(each, recording, its, settings.batch_size, seed)
        for each, recording, its in zip(towers, recordings, objectives, strict=True)
    ]
    _check_division(towers, recordings, settings.batch_size)
    together = [stage.objective for member in members for stage in member.stages]
    state = TrainingState(towers, together, settings.image, settings.neural, settings.halve_after)
    if folder is not None:
        identity = _identify(members, recordings, settings, plan, seed)
        kept = from_first(lambda: state.find_checkpoint(folder, identity))
        if kept is not None:
            state.take(*kept)
    if not state.rows:
        state.note_epoch(_validate(0, None, members, state), settings.select_by)
    stop_reason = _train(members, state, settings, plan, seed, folder)
    state.restore_best()
    for words in sorted({each.comparison.bound_reached() for each in towers} - {""}):
        warnings.warn(words, stacklevel=4)
    n_updates = updates_per_epoch([each.train.n_stimuli for each in recordings], settings.batch_size)
    return FitHistory(tuple(state.rows), state.best_row.epoch, settings.n_epochs, stop_reason, n_updates)


def with_updates(fit: FitSettings, n_images: Sequence[int], n_updates: int) -> FitSettings:
    """Lengthen a training until it may make at least ``n_updates`` updates; patience and halving grow in proportion.

    An epoch of few images, or of one recording, makes fewer updates than one of several recordings together. With the same
    number of epochs, a comparison would be between short and long trainings. A training is never shortened, and one without
    epochs stays so. ``n_images`` holds the number of training images of each recording.

    Examples
    --------
    >>> longer = with_updates(FitSettings(n_epochs=40, patience=12), [40], 360)
    >>> longer.n_epochs, longer.patience
    (360, 108)
    """
    n_epochs = max(fit.n_epochs, math.ceil(n_updates / updates_per_epoch(n_images, fit.batch_size)))
    if fit.n_epochs == 0 or n_epochs == fit.n_epochs:
        return fit

    def lengthened(n: int | None) -> int | None:
        return None if n is None else math.ceil(n * n_epochs / fit.n_epochs)

    changes = {"n_epochs": n_epochs, "patience": lengthened(fit.patience), "halve_after": lengthened(fit.halve_after)}
    return fit.model_copy(update=changes)


@dataclass(frozen=True, eq=False)
class _Stage:
    """An objective, with the categories and targets of the training images of one recording."""

    objective: Objective
    facts: ImageFacts


class _Member:
    """One recording in training, with one or two objectives in the order in which they train."""

    def __init__(
        self, towers: AlignedTowers, recording: RecordingPairs, objectives: Sequence[Objective], batch_size: int, seed: int
    ) -> None:
        towers.standardiser = recording.train.standardiser
        if recording.name:
            seed = seed_for(seed, f"recording {recording.name}")
        device, validation = towers.device, recording.validation
        self.towers = towers
        self.batches = TrainingBatches(recording.train, group_near_identical(recording.train.images), batch_size, seed, device)
        self.stages: list[_Stage] = []
        for objective in objectives:
            if objective.temperature != "preset":
                towers.comparison.set_temperature_learnt(objective.temperature == "learnt")
            facts, of_validation = prepare_objective(objective, towers.image_tower.map_shape, recording, seed, device)
            self.stages.append(_Stage(objective, facts))
        self.images = torch.from_numpy(validation.images).to(device)
        self.responses = torch.from_numpy(validation.averaged()).to(device)
        self.presentations = torch.from_numpy(validation.total_presentations().astype(np.float32)).to(device)
        group, itself = group_near_identical(validation.images), torch.arange(validation.n_stimuli, device=device)
        ones = torch.ones_like(self.presentations)
        self.known = (torch.from_numpy(group).to(device), *of_validation.at(itself), itself, ones)

    def stage(self, *, is_later: bool) -> _Stage:
        return self.stages[-1 if is_later else 0]

    @torch.no_grad()
    def validate(self) -> tuple[float, float, float]:
        """Return validation loss, top-1 accuracy and mean log rank of the towers in their present state."""
        self.towers.eval()
        objective = self.stages[-1].objective.eval()
        encoded = _compare(self.towers, objective, self.images, self.responses, self.presentations, IMAGES_AT_ONCE)
        scores = encoded[2]
        of_shown = scores.diagonal()[:, None]
        n_better, n_equal = (scores > of_shown).sum(1), (scores == of_shown).sum(1).clamp_min(1)
        # ties share the first place, and have their mid-rank, so that a collapsed model scores chance
        top1, log_rank = (n_better == 0) / n_equal, (n_better + (n_equal + 1) / 2).log()
        return float(objective(EncodedBatch(*encoded, *self.known))), float(top1.mean()), float(log_rank.mean())


def _check(towers: Sequence[AlignedTowers], recordings: Sequence[RecordingPairs]) -> None:
    names = [each.name for each in recordings]
    if not names or len(set(names)) < len(names) or len(names) != len(towers):
        raise DataError(f"Recordings must have different names; got {', '.join(names) or 'none'}. Rename one of them.")
    if any(each.image_tower is not towers[0].image_tower for each in towers):
        raise DataError("Recordings must share one image tower; build the others with the image_tower of the first.")
    for each in recordings:
        if each.validation.n_stimuli < 2:
            raise DataError(f"Validation needs at least 2 images; got {each.validation.n_stimuli}. Use another split.")


def _check_division(towers: Sequence[AlignedTowers], recordings: Sequence[RecordingPairs], batch_size: int) -> None:
    """Refuse more processes than the smallest batch, or validation, has images, and layers that would see a part of a batch."""
    if n_processes() == 1:
        return
    for each in recordings:
        n_train = each.train.n_stimuli
        fewest = min(n_train // updates_per_epoch([n_train], batch_size), each.validation.n_stimuli)
        if fewest < n_processes():
            raise DataError(
                f"Every process must have an image of each batch and of validation; there are {fewest} for {n_processes()}"
                " processes. Start fewer processes, or use larger batches."
            )
    for name, part in (named for each in towers for named in each.named_modules()):
        if isinstance(part, _BatchNorm) and not isinstance(part, BatchNorm1d | BatchNorm2d):
            raise DataError(
                "In several processes batch normalisation must be that of dina.models.towers.batch_norm;"
                f" {name} is {type(part).__module__}.{type(part).__name__}. Use BatchNorm1d or BatchNorm2d from there,"
                " or one process."
            )


def _identify(
    members: Sequence[_Member], recordings: Sequence[RecordingPairs], settings: FitSettings, plan: TrainingPlan, seed: int
) -> dict[str, Any]:
    """Return everything that decides the weights, apart from their start and the device."""
    known = [stage.facts.known() for member in members for stage in member.stages]
    numbered = {f"{i}.{name}": tensor for i, each in enumerate(known) for name, tensor in each.items()}
    identity: dict[str, Any] = {
        "settings": settings.model_dump(mode="json", exclude={"n_epochs", "patience", "checkpoint_every"}),
        "seed": seed,
        "data": [pairs for each in recordings for pairs in (each.train, each.validation)],
        "objective": known[0] if len(known) == 1 else numbered,
    }
    return identity if plan == TrainingPlan() else {**identity, "plan": asdict(plan)}


def _train(
    members: Sequence[_Member], state: TrainingState, settings: FitSettings, plan: TrainingPlan, seed: int, folder: Path | None
) -> str:
    """Train epoch after epoch; return why training ended."""
    last_of_first = 0 if plan.later is None else math.floor(plan.first_share * settings.n_epochs)
    detail: dict[str, str] = {}
    epochs = range(state.rows[-1].epoch + 1, settings.n_epochs + 1)
    for epoch in track(epochs, "Training towers", detail=detail) if process_number() == 0 else epochs:
        # validation measures the objective that training ends with: the first one need not improve it
        n_waited = epoch - 1 - max(last_of_first, state.best_row.epoch)
        if settings.patience is not None and n_waited >= settings.patience:
            return f"Validation did not improve for {settings.patience} epoch{'s' * (settings.patience != 1)}."
        is_later = plan.later is not None and epoch > last_of_first
        train_loss = _train_epoch(members, state, plan, settings.precision, epoch, seed, is_later=is_later)
        row = None if train_loss is None else _validate(epoch, train_loss, members, state)
        if row is None or not math.isfinite(row.validation_loss):
            reason = _explain_failure(state, epoch)
            warnings.warn(reason, stacklevel=5)
            return reason
        state.note_epoch(row, settings.select_by)
        detail.update(loss=f"{train_loss:.3f}", validation=f"{row.validation_loss:.3f}", top1=f"{row.validation_top1:.0%}")
        is_due = epoch % settings.checkpoint_every == 0 or epoch == settings.n_epochs
        if folder is not None and process_number() == 0 and is_due:
            state.write(folder)
    return f"All {settings.n_epochs} epochs of the budget were used."


def _explain_failure(state: TrainingState, epoch: int) -> str:
    weights = state.towers.named_parameters()
    bad = next((name for name, p in weights if not bool(torch.isfinite(p).all())), "none of the weights")
    return (
        f"The loss stopped being finite in epoch {epoch} (first weights that are not finite: {bad}). Training ended with the"
        f" weights of epoch {state.best_row.epoch}; use a lower learning rate or float32."
    )


def _validate(epoch: int, train_loss: float | None, members: Sequence[_Member], state: TrainingState) -> EpochRow:
    """Return the row of an epoch; validation is the mean over recordings, each counting the same."""
    loss, top1, log_rank = (float(mean) for mean in np.mean([member.validate() for member in members], axis=0))
    rates = state.learning_rate("image"), state.learning_rate("neural")
    return from_first(lambda: EpochRow(epoch, train_loss, loss, top1, *rates, log_rank))


def _train_epoch(
    members: Sequence[_Member], state: TrainingState, plan: TrainingPlan, precision: str, epoch: int, seed: int, *, is_later: bool
) -> float | None:
    """Train one epoch, one update for each batch; return the mean loss per image, or None as soon as a loss is not finite."""
    state.train()
    mixtures, partners = (generator_for(seed, f"{purpose} {epoch}") for purpose in ("objective mixtures", "partners"))
    seed_dropout(state.towers, torch.Generator().manual_seed(seed_for(seed, f"neuron dropout {epoch}")))
    total, n_images = 0.0, 0
    for number, batch in _take_turns(members, epoch, is_later=is_later):
        stage = members[number].stage(is_later=is_later)
        for optimiser in state.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        loss = stage.objective(_encode_batch(members[number].towers, batch, stage, precision, mixtures))
        value = float(loss.detach())
        if plan.rebuild_weight > 0:
            loss = loss + plan.rebuild_weight * _rebuilding_loss(members, number, batch, plan.cycle_weight, partners)
        if not math.isfinite(float(sum_of_processes(loss.detach()))):
            return None
        loss.backward()
        average_over_processes([weight.grad for weight in state.weights() if weight.grad is not None])
        for optimiser in state.optimisers.values():
            optimiser.step()
        total += value * len(batch.images)
        n_images += len(batch.images)
    mean = from_first(lambda: total / n_images)
    state.plateau.after_epoch(mean, list(state.optimisers.values()))
    return mean


def _take_turns(members: Sequence[_Member], epoch: int, *, is_later: bool) -> Iterator[tuple[int, Batch]]:
    """Yield the batches of an epoch with the number of their recording; recordings take turns until all are through."""
    waiting = {}
    for number, member in enumerate(members):
        apart = member.stage(is_later=is_later).objective.repeats_apart
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
        images = batch.images.contiguous(memory_format=torch.channels_last)
        encoded = _compare(towers, stage.objective, images, responses, presentations, len(images), batch.row)
    category, target = stage.facts.at(batch.position)
    return EncodedBatch(*encoded, batch.group, category, target, partner, share)


def _compare(
    towers: AlignedTowers,
    objective: Objective,
    images: Tensor,
    responses: Tensor,
    presentations: Tensor,
    at_once: int,
    row: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return maps of responses and images, empty where the objective does not read them, and scores; ``row`` is as in `Batch`.

    Each process encodes its rows, at most ``at_once`` images together; all of them have all results.
    """
    comparison, own = towers.comparison, responses[own_rows(len(responses))]
    maps = (towers.image_tower(some) for some in torch.split(images[own_rows(len(images))], at_once))
    if objective.reads_maps:
        image_maps, neural_maps = torch.cat([part.float() for part in maps]), towers.neural_tower(own).float()
        image_maps, neural_maps = gather_rows(image_maps), gather_rows(neural_maps)
        image_maps = image_maps if row is None else image_maps.index_select(0, row)
        return neural_maps, image_maps, comparison(neural_maps, image_maps, presentations)
    of_images = gather_rows(torch.cat([comparison.read_images(part) for part in maps]))
    of_images = of_images if row is None else of_images.index_select(0, row)
    of_responses = gather_rows(comparison.read_responses(towers.neural_tower, own))
    scores = comparison.compare(of_responses, of_images, presentations)
    none = scores.new_zeros(0)
    return none, none, scores


def _rebuilding_loss(
    members: Sequence[_Member], number: int, batch: Batch, cycle_weight: float, partners: np.random.Generator
) -> Float[Tensor, ""]:
    """Return the cyclic loss through a recording drawn among the others, or through itself where there is no other."""
    others = [other for other in range(len(members)) if other != number] or [number]
    through = members[int(partners.choice(others))].towers.neural_tower
    tower = members[number].towers.neural_tower
    if not (isinstance(tower, RebuildingTrunk) and isinstance(through, RebuildingTrunk)):
        raise TypeError("Rebuilding responses needs neural towers that can, such as RebuildingTrunk.")
    own = batch.responses[own_rows(len(batch.responses))]
    # a mean over responses: of all processes, each counts by the responses that it has
    share = n_processes() * len(own) / len(batch.responses)
    return share * cyclic_loss(tower, through, own, cycle_weight)
