"""The optimiser of each tower, its state on disk, and the rule that halves learning rates when training stalls."""

from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


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

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["adamw", "rmsprop"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0, le=10, allow_inf_nan=False)
    weight_decay: float = Field(0.01, ge=0, le=10, allow_inf_nan=False)
    alpha: float = Field(0.9, gt=0, lt=1)


def make_optimiser(module: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer | None:
    """Make the optimiser of all weights of ``module`` that learn; None if there are none.

    AdamW runs fused (one pass over weights and state instead of a dozen) on CPU and CUDA.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        return None
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(parameters, settings.learning_rate, settings.alpha, weight_decay=settings.weight_decay)
    is_fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
    return torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=settings.weight_decay, fused=is_fused)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's memory by name ("3.exp_avg": of its fourth parameter)."""
    state: dict[int, dict[str, Any]] = optimiser.state_dict()["state"]
    return {f"{i}.{key}": torch.as_tensor(value) for i, entries in state.items() for key, value in entries.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], learning_rate: float) -> None:
    """Put back what `optimiser_tensors` returned, and the learning rate."""
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


class PlateauRule:
    """Halve learning rates once the training loss has not improved for a number of epochs.

    Parameters
    ----------
    patience
        Epochs without improvement that are tolerated; None never halves.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.lowest: float | None = None
        self.n_waited = 0

    def after_epoch(self, train_loss: float, optimisers: list[torch.optim.Optimizer]) -> None:
        """Take note of an epoch's training loss, and halve if it is time."""
        if self.lowest is None or train_loss < self.lowest:
            self.lowest, self.n_waited = train_loss, 0
            return
        self.n_waited += 1
        if self.patience is not None and self.n_waited > self.patience:
            self.n_waited = 0
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] /= 2
