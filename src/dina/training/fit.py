"""The training loop for one or several recordings: validation selects the epoch, checkpoints resume bit for bit."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from dina.checks import DataError
from dina.progress import track
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs, updates_per_epoch
from dina.training.epoch import Member, TrainingPlan, make_objectives, train_epoch, validate
from dina.training.objectives import Objective
from dina.training.state import FitHistory, OptimiserSettings, TrainingState


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

    An epoch visits every training image of every recording once, with a fresh mixture of its trials (see
    `TrainingBatches`). Batches of the recordings take turns; each updates the neural tower of its recording and everything
    that is shared. Epoch 0, before training, takes part in the selection: a fit never ends worse on validation than it
    began. Weights are learnt from training pairs alone; validation pairs choose the epoch.

    Parameters
    ----------
    towers
        Of each recording, all with one image tower (the same object). Trained in place; on ``device`` afterwards, in
        evaluation mode. Weights that need no gradient stay as they are.
    recordings
        Their pairs, in the same order; several need different names.
    settings
        How to train.
    seed
        Of batch order, trial mixtures and neuron dropout.
    device
        "cpu", "cuda" …
    folder
        Where checkpoints go. If it holds one of this very fit, training goes on from there, and ends with the same
        weights, bit for bit, as if it had never stopped (same device, threads and torch version).
    plan
        Whether another objective takes over, or responses are rebuilt; None for neither.
    objective
        Makes an objective of your own for each recording, in place of the one that ``settings`` name.

    Returns
    -------
    history
        One row per epoch and how the fit ended; losses and accuracies are means over recordings. If a loss stops being
        finite, training ends with a warning and the best weights so far.

    Raises
    ------
    DataError
        If names repeat or image towers differ; if a recording has fewer than two different training or validation images;
        if an objective is unknown or lacks categories or features that it needs; if ``folder`` holds checkpoints of
        another fit.
    """
    plan = TrainingPlan() if plan is None else plan
    _check(towers, recordings)
    for each in towers:
        each.to(torch.device(device))
        each.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    members = [
        Member.make(
            each,
            recording,
            make_objectives(settings.objective, plan.later) if objective is None else [objective()],
            settings.batch_size,
            seed,
        )
        for each, recording in zip(towers, recordings, strict=True)
    ]
    state = _prepare_state(members, settings)
    if folder is not None:
        state.resume(folder, _identify(members, recordings, settings, plan, seed))
    if not state.rows:
        state.note_epoch(validate(0, None, members, state), settings.select_by)
    stop_reason = _train(members, state, settings, plan, seed, folder)
    state.restore_best()
    n_updates = updates_per_epoch([each.train.n_stimuli for each in recordings], settings.batch_size)
    return FitHistory(tuple(state.rows), state.best_row.epoch, settings.n_epochs, stop_reason, n_updates)


def _check(towers: Sequence[AlignedTowers], recordings: Sequence[RecordingPairs]) -> None:
    names = [each.name for each in recordings]
    if not names or len(set(names)) < len(names) or len(names) != len(towers):
        raise DataError(f"Recordings must have different names; got {', '.join(names) or 'none'}. Rename one of them.")
    if any(each.image_tower is not towers[0].image_tower for each in towers):
        raise DataError("Recordings must share one image tower; build the others with the image_tower of the first.")
    for each in recordings:
        if each.validation.n_stimuli < 2:
            raise DataError(f"Validation needs at least 2 images; got {each.validation.n_stimuli}. Use another split.")


def _prepare_state(members: Sequence[Member], settings: FitSettings) -> TrainingState:
    objectives = [stage.objective for member in members for stage in member.stages]
    towers = [member.towers for member in members]
    return TrainingState(towers, objectives, settings.image, settings.neural, settings.halve_after)


def _identify(
    members: Sequence[Member], recordings: Sequence[RecordingPairs], settings: FitSettings, plan: TrainingPlan, seed: int
) -> dict[str, Any]:
    """Return everything that decides the weights, apart from their start and the device."""
    known = [stage.facts.known() for member in members for stage in member.stages]
    identity: dict[str, Any] = {
        "settings": settings.model_dump(mode="json", exclude={"n_epochs", "patience", "checkpoint_every"}),
        "seed": seed,
        "data": [pairs for each in recordings for pairs in (each.train, each.validation)],
        "objective": known[0]
        if len(known) == 1
        else {f"{i}.{name}": t for i, one in enumerate(known) for name, t in one.items()},
    }
    return identity if plan == TrainingPlan() else {**identity, "plan": asdict(plan)}


def _train(
    members: Sequence[Member], state: TrainingState, settings: FitSettings, plan: TrainingPlan, seed: int, folder: Path | None
) -> str:
    """Train epoch after epoch; return why training ended."""
    last_of_first = 0 if plan.later is None else math.floor(plan.first_share * settings.n_epochs)
    detail: dict[str, str] = {}
    for epoch in track(range(state.rows[-1].epoch + 1, settings.n_epochs + 1), "Training towers", detail=detail):
        # validation measures the objective that training ends with: the first one need not improve it
        n_waited = epoch - 1 - max(last_of_first, state.best_row.epoch)
        if settings.patience is not None and n_waited >= settings.patience:
            return f"Validation did not improve for {settings.patience} epochs."
        is_later = plan.later is not None and epoch > last_of_first
        train_loss = train_epoch(members, state, plan, settings.precision, epoch, seed, is_later=is_later)
        row = None if train_loss is None else validate(epoch, train_loss, members, state)
        if row is None or not math.isfinite(row.validation_loss):
            reason = _explain_failure(state, epoch)
            warnings.warn(reason, stacklevel=3)
            return reason
        state.note_epoch(row, settings.select_by)
        detail.update(loss=f"{train_loss:.3f}", validation=f"{row.validation_loss:.3f}", top1=f"{row.validation_top1:.0%}")
        if folder is not None and (epoch % settings.checkpoint_every == 0 or epoch == settings.n_epochs):
            state.write(folder)
    return f"All {settings.n_epochs} epochs of the budget were used."


def _explain_failure(state: TrainingState, epoch: int) -> str:
    weights = state.towers.named_parameters()
    bad = next((name for name, p in weights if not bool(torch.isfinite(p).all())), "none of the weights")
    return (
        f"The loss stopped being finite in epoch {epoch} (first weights that are not finite: {bad}). Training ended with the"
        f" weights of epoch {state.best_row.epoch}; use a lower learning rate or float32."
    )


def with_updates(fit: FitSettings, n_images: Sequence[int], n_updates: int) -> FitSettings:
    """Lengthen a training, in proportion patience and halving too, until it may make so many updates.

    An epoch of one recording makes fewer updates than one of several recordings together, and one of few images fewer still:
    with the same epochs a comparison of the two would compare short with long trainings.

    Parameters
    ----------
    fit
        The training; it is never shortened, and one of no epochs stays so.
    n_images
        Training images of each recording in it.
    n_updates
        At least so many.

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
