"""Everything that a fit carries from one epoch to the next, in memory and in checkpoints."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.training.aligned_towers import AlignedTowers
from dina.training.history import EpochRow
from dina.training.optimisers import OptimiserSettings, PlateauRule, make_optimiser, optimiser_tensors, restore_optimiser
from dina.weights import read_weights, write_weights

N_KEPT = 2


class TrainingState:
    """Weights, best weights, optimisers, learning-rate rule and history of one fit.

    Parameters
    ----------
    towers
        On their device, in the memory format in which they are trained.
    image, neural
        Optimisers of the towers; a comparison that learns follows ``image`` without weight decay.
    halve_after
        See `PlateauRule`.
    objective
        Its weights, if it has any, follow ``image`` as well.
    """

    def __init__(
        self,
        towers: AlignedTowers,
        image: OptimiserSettings,
        neural: OptimiserSettings,
        halve_after: int | None,
        objective: nn.Module,
    ) -> None:
        self.towers = towers
        self.objective = objective
        comparison = image.model_copy(update={"weight_decay": 0.0})
        made = {
            "image": make_optimiser(towers.image_tower, image),
            "neural": make_optimiser(towers.neural_tower, neural),
            "comparison": make_optimiser(towers.comparison, comparison),
            "objective": make_optimiser(objective, image),
        }
        self.optimisers = {name: optimiser for name, optimiser in made.items() if optimiser is not None}
        self.plateau = PlateauRule(halve_after)
        self.rows: list[EpochRow] = []
        self.best: dict[str, Tensor] = {}
        self.best_head: dict[str, Tensor] = {}
        self.identity: dict[str, Any] = {}
        self._best_row: EpochRow  # set by the first note_epoch, or by resume

    @property
    def best_row(self) -> EpochRow:
        """The epoch whose weights would be kept now."""
        return self._best_row

    def learning_rate(self, tower: str) -> float:
        """Return the present learning rate of "image" or "neural"; 0 if that tower does not learn."""
        return float(self.optimisers[tower].param_groups[0]["lr"]) if tower in self.optimisers else 0.0

    def note_epoch(self, row: EpochRow, select_by: str) -> None:
        """Add an epoch to the history, and keep its weights if validation finds them best so far."""

        def badness(candidate: EpochRow) -> tuple[float, float]:
            first = -candidate.validation_top1 if select_by == "top1" else candidate.validation_loss
            return first, candidate.validation_loss

        if not self.rows or badness(row) < badness(self._best_row):
            self._best_row = row
            self.best = {name: tensor.detach().clone() for name, tensor in self.towers.state_dict().items()}
            self.best_head = {name: tensor.detach().clone() for name, tensor in self.objective.state_dict().items()}
        self.rows.append(row)

    def restore_best(self) -> None:
        """Give the towers, and the objective's head, the best weights; evaluation mode."""
        self.towers.load_state_dict(self.best)
        self.towers.eval()
        self.objective.load_state_dict(self.best_head)
        self.objective.eval()

    def write(self, folder: Path) -> None:
        """Write a checkpoint, atomically, and remove all but the last two."""
        tensors = {f"now.{name}": tensor for name, tensor in self.towers.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors |= {f"head_now.{name}": tensor for name, tensor in self.objective.state_dict().items()}
        tensors |= {f"head_best.{name}": tensor for name, tensor in self.best_head.items()}
        for name, optimiser in self.optimisers.items():
            tensors |= {f"optimiser.{name}.{key}": tensor for key, tensor in optimiser_tensors(optimiser).items()}
        content = {
            "identity": self.identity,
            "rows": [asdict(row) for row in self.rows],
            "best_epoch": self._best_row.epoch,
            "learning_rates": {name: o.param_groups[0]["lr"] for name, o in self.optimisers.items()},
            "plateau": {"lowest": self.plateau.lowest, "n_waited": self.plateau.n_waited},
        }
        write_weights(folder / f"checkpoint_{self.rows[-1].epoch:06d}.safetensors", tensors, content)
        for old in _checkpoints(folder)[:-N_KEPT]:
            old.unlink(missing_ok=True)

    def resume(
        self,
        folder: Path,
        settings: dict[str, Any],
        train: Pairs,
        validation: Pairs,
        seed: int,
        told: dict[str, Tensor],
    ) -> None:
        """Take up the last intact checkpoint in ``folder``, if there is one.

        Parameters
        ----------
        folder
            Where checkpoints are.
        settings, train, validation, seed
            What the fit was begun with.
        told
            What the objective knows of the images besides; empty for most.

        Raises
        ------
        DataError
            If the checkpoint belongs to a fit with other settings, data, seed, towers or device.
        """
        self.identity = {
            "settings": settings,
            "seed": seed,
            "device": self.towers.device.type,
            "data": _data_hash(train, validation),
            "start": _tensor_hash(self.towers.state_dict()),
        }
        told = {**told, **self.objective.state_dict()}
        if told:
            self.identity["objective"] = _tensor_hash(told)
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
            self._take(tensors, content)
            return

    def _take(self, tensors: dict[str, Tensor], content: dict[str, Any]) -> None:
        def under(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

        self.towers.load_state_dict(under("now."))
        self.best = {name: tensor.to(self.towers.device) for name, tensor in under("best.").items()}
        self.objective.load_state_dict(under("head_now."))
        self.best_head = {name: tensor.to(self.towers.device) for name, tensor in under("head_best.").items()}
        for name, optimiser in self.optimisers.items():
            restore_optimiser(optimiser, under(f"optimiser.{name}."), content["learning_rates"][name])
        self.plateau.lowest, self.plateau.n_waited = content["plateau"]["lowest"], content["plateau"]["n_waited"]
        self.rows = [EpochRow(**row) for row in content["rows"]]
        self._best_row = next(row for row in self.rows if row.epoch == content["best_epoch"])


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint_*.safetensors"))


def _data_hash(train: Pairs, validation: Pairs) -> str:
    digest = hashlib.sha256()
    for pairs in (train, validation):
        for array in (pairs.images, pairs.responses, pairs.stimulus_index, pairs.n_presentations):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _tensor_hash(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
