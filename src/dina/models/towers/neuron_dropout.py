"""Dropout whose masks come from an explicit generator, so that a resumed fit draws the same ones."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dina.checks import DataError


class NeuronDropout(nn.Module):
    """Silence each neuron of each sample with a probability while training, and scale up the others.

    Parameters
    ----------
    probability
        Of being silenced, in [0, 1).

    Raises
    ------
    DataError
        If ``probability`` is outside [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise DataError(f"dropout must be at least 0 and below 1; got {probability}. 0.5 is usual; 0 switches it off.")
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, responses: Float[Tensor, "batch neuron"]) -> Float[Tensor, "batch neuron"]:
        """Return responses with some neurons at 0 (training), or unchanged (evaluation, or before `seed_dropout`)."""
        if not self.training or self.probability == 0 or self.generator is None:
            return responses
        drawn = torch.rand(responses.shape, generator=self.generator, device=responses.device)
        return responses * (drawn >= self.probability) / (1 - self.probability)


def seed_dropout(module: nn.Module, generator: torch.Generator) -> None:
    """Give every `NeuronDropout` in ``module`` the generator of its masks (on the device of the responses)."""
    for part in module.modules():
        if isinstance(part, NeuronDropout):
            part.generator = generator
