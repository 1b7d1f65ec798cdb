"""The sigmoid objective: every pair of an image and a response is classified as right or wrong, independently of all others."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.training.objectives.objective import EncodedBatch, Objective

# Where the bias starts (as published): nearly all combinations of a batch are wrong.
FIRST_BIAS = -10.0


def sigmoid_pair_loss(logits: Float[Tensor, "batch batch"], group: Int[Tensor, "batch"]) -> Float[Tensor, ""]:
    r"""Sum over all images of the binary cross-entropy of "this is the one", averaged over responses.

    Combinations of different pairs with the same or a nearly identical image are left out.

    Notes
    -----
    .. math:: L = -\frac1n \sum_i \sum_{j \in N_i} \log \sigma(z_{ij} s_{ij})

    with :math:`z_{ij}` = 1 on the diagonal and −1 elsewhere, :math:`N_i` made of *i* and all *j* of another group.

    References
    ----------
    Zhai et al. (2023), https://doi.org/10.48550/arXiv.2303.15343. They count duplicates as wrong; we do not.

    Examples
    --------
    Undecided about all four combinations of two pairs: two times log 2 for each response.

    >>> sigmoid_pair_loss(torch.zeros(2, 2), torch.arange(2)).round(decimals=3)
    tensor(1.3860)
    """
    is_pair = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    is_kept = is_pair | (group[:, None] != group[None, :])
    sign = is_pair.to(logits.dtype) * 2 - 1
    return -(F.logsigmoid(sign * logits) * is_kept).sum() / len(logits)


class SigLip(Objective):
    """The sigmoid objective with a learnt scale and a learnt bias on top of the comparison's scores."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.tensor(FIRST_BIAS))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set scale and bias to their start."""
        self.log_scale.zero_()
        self.bias.fill_(FIRST_BIAS)

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats for each response."""
        return sigmoid_pair_loss(batch.scores * self.log_scale.exp() + self.bias, batch.group)
