"""Variants of the contrastive objective: blended responses (BiMixCo), similar images (SoftCLIP), pairs judged one by one (SigLIP)."""

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.models.towers.tower import MapShape, ResponseBatch
from dina.training.objectives.heads import FLOOR, TargetObjective
from dina.training.objectives.objective import EncodedBatch, Objective

# Parameter of the symmetric Beta distribution of the shares, as published: most blends are nearly pure.
BLEND = 0.15

# Chance of a response to be blended at all; the others stay as they were measured.
BLENDED = 0.5

TEACHER_TEMPERATURE = 0.05

# Where the bias starts (as published): nearly all combinations of a batch are wrong.
FIRST_BIAS = -10.0


def mixed_info_nce(
    scores: Float[Tensor, "batch batch"],
    group: Int[Tensor, "batch"],
    partner: Int[Tensor, "batch"],
    share: Float[Tensor, "batch"],
) -> Float[Tensor, ""]:
    r"""Symmetric InfoNCE of blended responses, from the scores of image *j* for blend *i*.

    ``share``, in [0, 1], says how much of blend *i* is the response to image *i*; the rest is the response of row ``partner``
    (the same row where none was blended in). Other pairs of the same ``group`` of near-identical images are left out.

    Notes
    -----
    With log-softmax over images :math:`p_{ij}` and over blends :math:`q_{ij}`, share :math:`\lambda_i` and partner
    :math:`k_i`

    .. math:: L = -\frac{1}{2n} \sum_i \big[\lambda_i (p_{ii} + q_{ii}) + (1 - \lambda_i) (p_{i k_i} + q_{i k_i})\big]

    References
    ----------
    Scotti et al. (2023), https://doi.org/10.48550/arXiv.2305.18274; Kim et al. (2020, MixCo),
    https://doi.org/10.48550/arXiv.2010.06300

    Examples
    --------
    Without blending it is InfoNCE: log 4 = 1.386 for equal scores.

    >>> mixed_info_nce(torch.ones(4, 4), torch.arange(4), torch.arange(4), torch.ones(4)).round(decimals=3)
    tensor(1.3860)
    """
    row = torch.arange(len(scores), device=scores.device)
    is_left_out = group[:, None] == group[None, :]
    is_left_out[row, row] = False
    is_left_out[row, partner] = False
    kept = scores.masked_fill(is_left_out, -torch.inf)
    both = kept.log_softmax(1) + kept.log_softmax(0)
    return -(share * both[row, row] + (1 - share) * both[row, partner]).mean() / 2


class BiMixCo(Objective):
    """Symmetric InfoNCE of blended responses while training; on validation images plain InfoNCE.

    As in the source, a random half of each batch is blended and the rest stays as measured. The source blends in the first
    third of training only and goes on with SoftCLIP; here it is used throughout.
    """

    reads_maps: ClassVar[bool] = False

    def mix(
        self, responses: ResponseBatch, n_presentations: Float[Tensor, "batch"], generator: np.random.Generator
    ) -> tuple[ResponseBatch, Float[Tensor, "batch"], Int[Tensor, "batch"], Float[Tensor, "batch"]]:
        """Blend a random half of the responses with that of a random other row; shares follow a Beta distribution.

        A response that is not blended is its own partner, with a share of 1.
        """
        n = len(responses)
        partners, shares = generator.permutation(n), generator.beta(BLEND, BLEND, n)
        is_pure = (generator.random(n) >= BLENDED) | (partners == np.arange(n))  # nor is a response blended with itself
        partner = torch.from_numpy(np.where(is_pure, np.arange(n), partners)).to(responses.device)
        share = torch.from_numpy(np.where(is_pure, 1.0, shares).astype(np.float32)).to(responses.device)
        blended = share[:, None] * responses + (1 - share[:, None]) * responses[partner]
        # noise of a blend in units of one presentation: the squares of its weights over their presentations
        worth = 1 / (share.square() / n_presentations + (1 - share).square() / n_presentations[partner])
        return blended, worth, partner, share

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats."""
        return mixed_info_nce(batch.scores, batch.group, batch.partner, batch.share.to(batch.scores.dtype))


def soft_cross_entropy(scores: Float[Tensor, "batch batch"], teacher: Float[Tensor, "batch batch"]) -> Float[Tensor, ""]:
    """Cross-entropy of a teacher's distribution over the batch and that of the scores, over rows and over columns.

    ``scores`` are those of image *j* for response *i*; ``teacher`` says how much *j* counts as an answer to *i*. Its rows sum to 1,
    and no gradient should reach it.

    References
    ----------
    Gao et al. (2023), https://doi.org/10.48550/arXiv.2303.17561; with images as the teacher: Scotti et al. (2023),
    https://doi.org/10.48550/arXiv.2305.18274

    Examples
    --------
    With a teacher that knows one answer it is InfoNCE; log(1 + 1/e) = 0.313:

    >>> soft_cross_entropy(torch.eye(2), torch.eye(2)).round(decimals=3)
    tensor(0.3130)
    """
    found = (scores.log_softmax(1) * teacher).sum(1)
    returned = (scores.log_softmax(0).T * teacher).sum(1)
    return -(found + returned).mean() / 2


class SoftClip(TargetObjective):
    """Symmetric cross-entropy against the similarity of the images to each other.

    The teacher is the softmax of the cosine between fixed descriptions of the images (Gabor energies, standardised by
    training images), divided by 0.05. The source takes features of a frozen CLIP vision model.
    """

    reads_maps: ClassVar[bool] = False

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Learn mean and deviation of the descriptions from the training images."""
        self.learn_scale(target, map_shape[1] * map_shape[2])

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats."""
        described = self.scaled_target(batch)
        unit = described / described.norm(dim=1, keepdim=True).clamp_min(FLOOR)
        teacher = (unit @ unit.T / TEACHER_TEMPERATURE).softmax(1).to(batch.scores.dtype)
        return soft_cross_entropy(batch.scores, teacher)


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

    reads_maps: ClassVar[bool] = False

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
