"""The training loop: contrastive epochs, validation that selects, checkpoints that resume bit for bit."""

import math
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field

from dina.checks import DataError, check_choice
from dina.data.near_duplicates import group_near_identical
from dina.data.pairs import Pairs
from dina.models.towers.neuron_dropout import seed_dropout
from dina.progress import track
from dina.randomness import generator_for, seed_for
from dina.training.aligned_towers import IMAGES_AT_ONCE, AlignedTowers
from dina.training.batches import Batch, TrainingBatches
from dina.training.history import EpochRow, FitHistory
from dina.training.image_facts import ImageFacts, prepare_objective
from dina.training.objectives import OBJECTIVES, EncodedBatch, Objective
from dina.training.optimisers import OptimiserSettings
from dina.training.training_state import TrainingState


class FitSettings(BaseModel):
    """How two towers are trained.

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
        What validation decides by: "top1" (ties by the loss) or "loss".
    patience
        Stop after this many epochs without a better one; None trains to the end of the budget.
    halve_after
        Halve learning rates after this many epochs without a lower training loss; None never does.
    precision
        "float32", or "bfloat16" autocast inside the towers (scores stay in single precision).
    checkpoint_every
        Epochs between checkpoints.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_epochs: int = Field(40, ge=0)
    batch_size: int = Field(128, ge=2)
    image: OptimiserSettings = OptimiserSettings()
    neural: OptimiserSettings = OptimiserSettings()
    objective: str = "contrastive"
    select_by: Literal["top1", "loss"] = "top1"
    patience: int | None = Field(10, ge=1)
    halve_after: int | None = Field(None, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_every: int = Field(1, ge=1)


def fit_towers(
    towers: AlignedTowers,
    train: Pairs,
    validation: Pairs,
    settings: FitSettings,
    seed: int,
    device: str = "cpu",
    folder: Path | None = None,
    group: Int[np.ndarray, "stimulus"] | None = None,
    image_features: Float[np.ndarray, "image feature"] | None = None,
    objective: Objective | None = None,
) -> FitHistory:
    """Train both towers together, in place, and leave them with the weights of the best validation epoch.

    Every epoch visits each training image once with a fresh mixture of its trials (see `TrainingBatches`). Epoch 0,
    before training, takes part in the selection: a fit never ends worse on validation than it began. Nothing but
    weights is learnt here, from training pairs alone; validation pairs choose the epoch.

    Parameters
    ----------
    towers
        Trained in place; on ``device`` afterwards, in evaluation mode.
    train, validation
        Pairs of two parts of one split, standardised alike.
    settings
        How to train.
    seed
        Of batch order, trial mixtures and neuron dropout.
    device
        "cpu", "cuda" …
    folder
        Where checkpoints go. If it holds one of this very fit, training goes on from there, and ends with the same
        weights, bit for bit, as if it had never stopped (same device, threads and torch version).
    group
        Group of near-identical training images, shape ``(n_stimuli,)``; found here if None.
    image_features
        A fixed row of numbers for every image of the recording, in the order of stimulus ids; for objectives that are
        told more than the pairs.
    objective
        One of your own, or to keep its head: trained in place. None makes the one that ``settings`` name.

    Returns
    -------
    history
        One row per epoch and how the fit ended. If the loss stops being finite, training ends with a warning and the
        best weights so far.

    Raises
    ------
    DataError
        If there are fewer than two different training or validation images, or the objective is unknown or lacks
        what it needs to be told, or ``folder`` holds checkpoints of another fit.
    """
    if objective is None:
        objective = OBJECTIVES[check_choice("objective", settings.objective, OBJECTIVES)]()
    if validation.n_stimuli < 2:
        raise DataError(f"Validation needs at least 2 images; got {validation.n_stimuli}. Use another split.")
    towers.to(torch.device(device))
    towers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    towers.standardiser = train.standardiser
    groups = group_near_identical(train.images) if group is None else group
    batches = TrainingBatches(train, groups, settings.batch_size, seed, towers.device)
    facts, validation_facts = prepare_objective(
        objective, towers.image_tower.map_shape, train, validation, image_features, seed, towers.device
    )
    if objective.temperature != "preset":
        towers.comparison.set_temperature_learnt(objective.temperature == "learnt")
    state = TrainingState(towers, settings.image, settings.neural, settings.halve_after, objective)
    if folder is not None:
        changeable = {"n_epochs", "patience", "checkpoint_every"}
        state.resume(folder, settings.model_dump(mode="json", exclude=changeable), train, validation, seed, facts.told())
    judge = Judge(validation, objective, towers, validation_facts)
    if not state.rows:
        state.note_epoch(_row(0, None, judge, state), settings.select_by)
    detail: dict[str, str] = {}
    stop_reason = f"All {settings.n_epochs} epochs of the budget were used."
    first = state.rows[-1].epoch + 1
    for epoch in track(range(first, settings.n_epochs + 1), "Training towers", detail=detail):
        if settings.patience is not None and epoch - 1 - state.best_row.epoch >= settings.patience:
            stop_reason = f"Validation did not improve for {settings.patience} epochs."
            break
        train_loss = _train_epoch(towers, batches, objective, facts, settings, state, epoch, seed)
        row = None if train_loss is None else _row(epoch, train_loss, judge, state)
        if row is None or not math.isfinite(row.validation_loss):
            stop_reason = _explain_failure(towers, epoch, state.best_row.epoch)
            warnings.warn(stop_reason, stacklevel=2)
            break
        state.note_epoch(row, settings.select_by)
        detail.update(loss=f"{train_loss:.3f}", validation=f"{row.validation_loss:.3f}", top1=f"{row.validation_top1:.0%}")
        if folder is not None and (epoch % settings.checkpoint_every == 0 or epoch == settings.n_epochs):
            state.write(folder)
    state.restore_best()
    return FitHistory(tuple(state.rows), state.best_row.epoch, settings.n_epochs, stop_reason, batches.n_batches)


def _train_epoch(
    towers: AlignedTowers,
    batches: TrainingBatches,
    objective: Objective,
    facts: ImageFacts,
    settings: FitSettings,
    state: TrainingState,
    epoch: int,
    seed: int,
) -> float | None:
    """Train one epoch; return the mean loss per image, or None as soon as a loss is not finite."""
    towers.train()
    objective.train()
    mixtures = generator_for(seed, f"objective mixtures {epoch}")
    seed_dropout(towers, torch.Generator(towers.device).manual_seed(seed_for(seed, f"neuron dropout {epoch}")))
    total = 0.0
    for batch in batches.epoch_of_trials(epoch) if objective.repeats_apart else batches.epoch(epoch):
        for optimiser in state.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        loss = objective(encode_batch(towers, batch, objective, facts, settings.precision, mixtures))
        value = float(loss.detach())
        if not math.isfinite(value):
            return None
        loss.backward()
        for optimiser in state.optimisers.values():
            optimiser.step()
        total += value * len(batch.images)
    mean = total / batches.n_images
    state.plateau.after_epoch(mean, list(state.optimisers.values()))
    return mean


def encode_batch(
    towers: AlignedTowers,
    batch: Batch,
    objective: Objective,
    facts: ImageFacts,
    precision: str,
    mixtures: np.random.Generator,
) -> EncodedBatch:
    """Mix the responses of a batch as the objective asks, and send both sides through their towers.

    Parameters
    ----------
    towers
        Both towers and their comparison.
    batch
        On the device of the towers.
    objective
        Mixes the responses.
    facts
        What the objective is told about the training images.
    precision
        See `FitSettings`.
    mixtures
        Source of the objective's mixtures.
    """
    device = batch.responses.device.type
    responses, presentations, partner, share = objective.mix(batch.responses, batch.n_presentations, mixtures)
    with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        image_maps = towers.image_tower(batch.images.contiguous(memory_format=torch.channels_last))
        neural_maps = towers.neural_tower(responses)
    image_maps, neural_maps = image_maps.float(), neural_maps.float()
    if batch.row is not None:
        image_maps = image_maps.index_select(0, batch.row)
    scores = towers.comparison(neural_maps, image_maps, presentations)
    category, target = facts.at(batch.position)
    return EncodedBatch(neural_maps, image_maps, scores, batch.group, category, target, partner, share)


class Judge:
    """Loss and accuracy of the towers on the validation images, always in the same way.

    Parameters
    ----------
    validation
        Pairs of the validation images.
    objective
        Whose loss is reported.
    towers
        Judged as they are whenever `judge` is called.
    facts
        What the objective is told about the validation images.
    """

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
    def judge(self) -> tuple[float, float]:
        """Return loss and top-1 accuracy."""
        self.towers.eval()
        self.objective.eval()
        image_maps = torch.cat([self.towers.image_tower(chunk) for chunk in torch.split(self.images, IMAGES_AT_ONCE)])
        neural_maps = self.towers.neural_tower(self.responses)
        scores = self.towers.comparison(neural_maps, image_maps, self.presentations)
        known = (self.group, self.category, self.target, self.itself, torch.ones_like(self.presentations))
        own = scores.diagonal()[:, None]
        # ties share the first place, so that a collapsed model scores chance
        top1 = ((scores > own).sum(1) == 0) / (scores == own).sum(1).clamp_min(1)
        return float(self.objective(EncodedBatch(neural_maps, image_maps, scores, *known))), float(top1.mean())


def _row(epoch: int, train_loss: float | None, judge: Judge, state: TrainingState) -> EpochRow:
    loss, top1 = judge.judge()
    return EpochRow(epoch, train_loss, loss, top1, state.learning_rate("image"), state.learning_rate("neural"))


def _explain_failure(towers: AlignedTowers, epoch: int, best_epoch: int) -> str:
    bad = next((name for name, p in towers.named_parameters() if not bool(torch.isfinite(p).all())), "none of the weights")
    return (
        f"The loss stopped being finite in epoch {epoch} (first weights that are not finite: {bad}). Training ended with the"
        f" weights of epoch {best_epoch}; use a lower learning rate or float32."
    )
