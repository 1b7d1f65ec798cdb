"""The course of a fit: its history, and everything that it carries from one epoch to the next, also in checkpoints."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.towers.fitted_buffers import fixed_buffers
from dina.short_words import brief
from dina.training.aligned_towers import AlignedTowers
from dina.weights import read_weights, write_weights

N_KEPT = 2


@dataclass(frozen=True)
class EpochRow:
    """One epoch of a fit; losses are in nats."""

    epoch: int  # 0 is before any training
    train_loss: float | None  # mean over batches, of which chance is the logarithm of the batch size; None for epoch 0
    validation_loss: float  # of all validation images together; chance is the logarithm of their number
    validation_top1: float  # fraction of averaged responses whose image scores highest among all validation images
    learning_rate_image: float  # 0 where a tower does not learn
    learning_rate_neural: float
    validation_log_rank: float | None = None  # mean logarithm of the mid-rank of the shown image; older files lack it


@dataclass(frozen=True)
class FitHistory:
    """Course and end of a fit."""

    __repr__ = brief

    rows: tuple[EpochRow, ...]  # one per epoch, epoch 0 included
    best_epoch: int  # whose weights were kept
    n_epochs_budget: int
    stop_reason: str  # one sentence
    updates_per_epoch: int

    @property
    def n_epochs_done(self) -> int:
        """Number of epochs trained."""
        return self.rows[-1].epoch

    def updates(self) -> dict[str, int]:
        """Return how many updates of the weights were made, and after how many they were kept."""
        made, kept = (n * self.updates_per_epoch for n in (self.n_epochs_done, self.best_epoch))
        return {"n_updates": made, "kept_updates": kept}

    def summary(self) -> dict[str, str | int]:
        """Return how many epochs were done, of how many, which was kept, and how training ended."""
        return {
            "epochs_done": self.n_epochs_done,
            "epochs_budget": self.n_epochs_budget,
            "chosen_epoch": self.best_epoch,
            "stop_reason": self.stop_reason,
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a table with one column per field; what is None there is NaN."""
        return pd.DataFrame([asdict(row) for row in self.rows]).astype({"train_loss": float, "validation_log_rank": float})


class OptimiserSettings(BaseModel):
    """How one tower learns.

    Parameters
    ----------
    name
        "adamw" or "rmsprop".
    learning_rate
        Step size at the start.
    weight_decay
        Shrinks weights: apart from the gradient under AdamW, added to the gradient under RMSprop.
    alpha
        Memory of RMSprop's running mean square.
    """

    __repr__ = __str__ = brief

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Literal["adamw", "rmsprop"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0, le=10, allow_inf_nan=False)
    weight_decay: float = Field(0.01, ge=0, le=10, allow_inf_nan=False)
    alpha: float = Field(0.9, gt=0, lt=1)


class PlateauRule:
    """Halve learning rates once the training loss has not improved for more than ``patience`` epochs; None never halves."""

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.lowest: float | None = None
        self.n_waited = 0

    def after_epoch(self, train_loss: float, optimisers: list[torch.optim.Optimizer]) -> None:
        """Note the training loss of an epoch, and halve if it is time."""
        if self.lowest is None or train_loss < self.lowest:
            self.lowest, self.n_waited = train_loss, 0
            return
        self.n_waited += 1
        if self.patience is not None and self.n_waited > self.patience:
            self.n_waited = 0
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] /= 2


class TrainingState:
    """Weights, best weights, optimisers, learning-rate rule and history of one fit.

    Towers and objectives are those of every recording, on their device, in the memory format in which they are trained. Weights
    of objectives follow the optimiser of the image tower; those of comparisons do so without weight decay.
    """

    def __init__(
        self,
        towers: Sequence[AlignedTowers],
        objectives: Sequence[nn.Module],
        image: OptimiserSettings,
        neural: OptimiserSettings,
        halve_after: int | None,
    ) -> None:
        self.towers = _as_one(towers)
        self.image_tower = towers[0].image_tower  # of all recordings
        self.objectives = _as_one(objectives)
        self.device = towers[0].device
        # a list of modules gives every weight once, also one that several towers share
        comparisons = nn.ModuleList(each.comparison for each in towers)
        made = {
            "image": _make_optimiser(towers[0].image_tower, image),
            "neural": _make_optimiser(nn.ModuleList(each.neural_tower for each in towers), neural),
            "comparison": _make_optimiser(comparisons, image.model_copy(update={"weight_decay": 0.0})),
            "objective": _make_optimiser(self.objectives, image),
        }
        self.optimisers = {name: optimiser for name, optimiser in made.items() if optimiser is not None}
        self.plateau = PlateauRule(halve_after)
        self.rows: list[EpochRow] = []
        self.best: dict[str, Tensor] = {}
        self.best_head: dict[str, Tensor] = {}
        self.identity: dict[str, Any] = {}
        self.best_row: EpochRow  # set by the first note_epoch, or by take

    def learning_rate(self, tower: str) -> float:
        """Return the present learning rate of "image" or "neural"; 0 if that tower does not learn."""
        return float(self.optimisers[tower].param_groups[0]["lr"]) if tower in self.optimisers else 0.0

    def weights(self) -> list[Tensor]:
        """Return all weights that learn."""
        return [weight for each in self.optimisers.values() for group in each.param_groups for weight in group["params"]]

    def train(self) -> None:
        """Set towers and objectives to training mode; an image tower that learns nothing keeps its batch statistics, too."""
        self.towers.train()
        if "image" not in self.optimisers:
            self.image_tower.eval()
        self.objectives.train()

    def note_epoch(self, row: EpochRow, select_by: str) -> None:
        """Add an epoch to the history, and keep its weights if validation finds them best so far."""

        def badness(candidate: EpochRow) -> tuple[float, float]:
            log_rank = math.inf if candidate.validation_log_rank is None else candidate.validation_log_rank
            first = {"top1": -candidate.validation_top1, "loss": candidate.validation_loss, "log_rank": log_rank}
            return first[select_by], candidate.validation_loss

        if not self.rows or badness(row) < badness(self.best_row):
            self.best_row = row
            fixed = fixed_buffers(self.towers)
            self.best, self.best_head = (
                {name: tensor.detach().clone() for name, tensor in module.state_dict().items() if name not in fixed}
                for module in (self.towers, self.objectives)
            )
        self.rows.append(row)

    def restore_best(self) -> None:
        """Give towers and objectives the best weights, in evaluation mode."""
        self.towers.load_state_dict({**fixed_buffers(self.towers), **self.best})
        self.towers.eval()
        self.objectives.load_state_dict(self.best_head)
        self.objectives.eval()

    def write(self, folder: Path) -> None:
        """Write a checkpoint, atomically, and remove all but the last two."""
        # copies: a file cannot hold one tensor under two names, as recordings with one image tower would have it
        fixed = fixed_buffers(self.towers)  # they are those of the start, which a checkpoint knows by its hash
        tensors = {f"now.{name}": tensor.clone() for name, tensor in self.towers.state_dict().items() if name not in fixed}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors |= {f"head_now.{name}": tensor for name, tensor in self.objectives.state_dict().items()}
        tensors |= {f"head_best.{name}": tensor for name, tensor in self.best_head.items()}
        for name, optimiser in self.optimisers.items():
            tensors |= {f"optimiser.{name}.{key}": tensor for key, tensor in _optimiser_tensors(optimiser).items()}
        content = {
            "identity": self.identity,
            "rows": [asdict(row) for row in self.rows],
            "best_epoch": self.best_row.epoch,
            "learning_rates": {name: o.param_groups[0]["lr"] for name, o in self.optimisers.items()},
            "plateau": {"lowest": self.plateau.lowest, "n_waited": self.plateau.n_waited},
        }
        write_weights(folder / f"checkpoint_{self.rows[-1].epoch:06d}.safetensors", tensors, content)
        for old in _checkpoints(folder)[:-N_KEPT]:
            old.unlink(missing_ok=True)

    def find_checkpoint(self, folder: Path, begun_with: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the last intact checkpoint in ``folder``, if there is one; refuse that of another fit.

        ``begun_with`` holds by name everything that decides the weights besides their start and the device. Pairs ("data")
        and the tensors of objectives ("objective") are kept as hashes.

        Raises
        ------
        DataError
            If the checkpoint belongs to a fit with other settings, data, seed, towers or device.
        """
        known = {**begun_with["objective"], **self.objectives.state_dict()}
        self.identity = {
            **begun_with,
            "device": self.device.type,
            "data": _data_hash(begun_with["data"]),
            "start": _tensor_hash(self.towers.state_dict()),
            "objective": _tensor_hash(known),
        }
        if not known:
            del self.identity["objective"]
        for path in reversed(_checkpoints(folder)):
            try:
                tensors, content = read_weights(path)
            except DataError:
                continue  # damaged: the one before it is kept for this
            differing = [key for key, value in self.identity.items() if content["identity"].get(key) != value]
            if differing:
                raise DataError(
                    f"{folder} holds checkpoints of another fit (different: {', '.join(differing)}). Choose another folder, or"
                    " remove the checkpoints to train from the beginning."
                )
            return tensors, content
        return None

    def take(self, tensors: dict[str, Tensor], content: dict[str, Any]) -> None:
        """Go on from what `find_checkpoint` returned."""

        def under(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

        self.towers.load_state_dict({**fixed_buffers(self.towers), **under("now.")})
        self.best = {name: tensor.to(self.device) for name, tensor in under("best.").items()}
        self.objectives.load_state_dict(under("head_now."))
        self.best_head = {name: tensor.to(self.device) for name, tensor in under("head_best.").items()}
        for name, optimiser in self.optimisers.items():
            _restore_optimiser(optimiser, under(f"optimiser.{name}."), content["learning_rates"][name])
        self.plateau.lowest, self.plateau.n_waited = content["plateau"]["lowest"], content["plateau"]["n_waited"]
        self.rows = [EpochRow(**row) for row in content["rows"]]
        self.best_row = next(row for row in self.rows if row.epoch == content["best_epoch"])


def _as_one(modules: Sequence[nn.Module]) -> nn.Module:
    """Return several modules as one; the weights of a single one keep their names."""
    return modules[0] if len(modules) == 1 else nn.ModuleList(modules)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint_*.safetensors"))


def _data_hash(parts: Sequence[Pairs]) -> str:
    digest = hashlib.sha256()
    for pairs in parts:
        for array in (pairs.images, pairs.responses, pairs.stimulus_index, pairs.n_presentations):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _tensor_hash(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _make_optimiser(module: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer | None:
    """Make the optimiser of all weights of ``module`` that learn; None if there are none."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        return None
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(parameters, settings.learning_rate, settings.alpha, weight_decay=settings.weight_decay)
    # fused: one pass over weights and state instead of a dozen
    is_fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
    return torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=settings.weight_decay, fused=is_fused)


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's memory by name ("3.exp_avg": of its fourth parameter)."""
    state: dict[int, dict[str, Any]] = optimiser.state_dict()["state"]
    return {f"{i}.{key}": torch.as_tensor(value) for i, entries in state.items() for key, value in entries.items()}


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], learning_rate: float) -> None:
    """Put back what `_optimiser_tensors` returned, and the learning rate."""
    content = optimiser.state_dict()
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        parameter = parameters[int(number)]
        if value.shape == parameter.shape:
            # a fused step walks through memory: its state must lie as the weights do (channels last, for one)
            value = torch.empty_like(parameter).copy_(value)
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({**content, "state": state})
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
