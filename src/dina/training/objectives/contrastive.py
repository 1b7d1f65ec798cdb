"""Contrastive objectives: each response must find its image, or any of several right ones, in the batch, and the reverse."""

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from dina.models.towers.map_geometry import scale_maps
from dina.training.objectives.objective import EncodedBatch, Objective


def symmetric_info_nce(logits: Float[Tensor, "batch batch"], group: Int[Tensor, "batch"]) -> Float[Tensor, ""]:
    r"""Mean cross-entropy of finding the partner over rows and over columns (symmetric InfoNCE).

    ``logits`` score image *j* for response *i*, true pairs on the diagonal. Other pairs of the same ``group`` of near-identical
    images are left out of the sums, because no model could distinguish them. In nats; :math:`\log n` where all scores are equal.

    Notes
    -----
    .. math:: L = \frac{1}{2n} \sum_i \Big[\log \sum_{j \in N_i} e^{s_{ij}} + \log \sum_{j \in N_i} e^{s_{ji}} - 2 s_{ii}\Big]

    with :math:`N_i` made of *i* and all *j* of another group.

    References
    ----------
    van den Oord et al. (2018), https://doi.org/10.48550/arXiv.1807.03748; Radford et al. (2021),
    https://doi.org/10.48550/arXiv.2103.00020. They count duplicates as negatives; we do not.

    Examples
    --------
    Four identical maps cannot be distinguished, log 4 = 1.386:

    >>> symmetric_info_nce(torch.ones(4, 4), torch.arange(4)).round(decimals=3)
    tensor(1.3860)
    """
    in_order = group.sort().values
    if bool((in_order[1:] == in_order[:-1]).any()):
        is_same = group[:, None] == group[None, :]
        is_same.fill_diagonal_(False)
        logits = logits.masked_fill(is_same, -torch.inf)
    loss: Tensor = _BothWays.apply(logits)  # type: ignore[no-untyped-call]
    return loss


class _BothWays(torch.autograd.Function):
    """The loss of scores of which some are left out (minus infinity); its gradient needs them and no other matrix of their size."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        by_row, by_column = scores.logsumexp(1), scores.logsumexp(0)
        ctx.save_for_backward(scores, by_row, by_column)
        return (by_row + by_column - 2 * scores.diagonal()).mean() / 2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        scores, by_row, by_column = ctx.saved_tensors
        gradient = (scores - by_row[:, None]).exp_()
        gradient += (scores - by_column).exp_()
        gradient.diagonal().sub_(2)
        return gradient.mul_(upstream / (2 * len(scores)))


class Contrastive(Objective):
    """Symmetric InfoNCE over the scores of the batch, see `symmetric_info_nce`."""

    reads_maps: ClassVar[bool] = False

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats; the logarithm of the number of pairs where all scores are equal."""
        return symmetric_info_nce(batch.scores, batch.group)


class ContrastiveRegression(Objective):
    r"""Symmetric InfoNCE, plus the squared distance of the response's map from its image's map.

    Meant for frozen image towers, whose maps are fixed targets. The distance does not train the image tower, or maps could
    shrink to one another.

    Notes
    -----
    Maps are centred and scaled to a mean square of 1, so that the distance is :math:`2 - 2r` with their correlation
    :math:`r`. Both terms have weight 1: the first is in nats, the second between 0 and 4.

    References
    ----------
    Liu et al. (2023, BrainCLIP), https://doi.org/10.48550/arXiv.2302.12971
    """

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the sum of both terms."""
        distance = (scale_maps(batch.neural_maps) - scale_maps(batch.image_maps.detach())).square().mean()
        return symmetric_info_nce(batch.scores, batch.group) + distance


def multi_positive_info_nce(scores: Float[Tensor, "batch batch"], is_right: Bool[Tensor, "batch batch"]) -> Float[Tensor, ""]:
    r"""Mean cross-entropy of finding each of several partners, over rows and over columns.

    ``scores`` are those of image *j* for response *i*, and ``is_right`` says whether *j* is a right answer to *i*; every row and
    column has at least one. In nats; the loss cannot fall below the mean logarithm of the number of right answers.

    Notes
    -----
    .. math:: L = -\frac{1}{2n} \sum_i \frac{1}{|P_i|} \sum_{p \in P_i}
        \Big[ \log \frac{e^{s_{ip}}}{\sum_j e^{s_{ij}}} + \log \frac{e^{s_{pi}}}{\sum_j e^{s_{ji}}} \Big]

    This is the form with the sum outside the logarithm (their :math:`L_{out}`), here between two towers; the source
    compares views from one tower and leaves out the anchor.

    References
    ----------
    Khosla et al. (2020), https://doi.org/10.48550/arXiv.2004.11362

    Examples
    --------
    Two right answers of four, all scores equal: log 4 = 1.386.

    >>> is_right = torch.eye(2, dtype=torch.bool).repeat_interleave(2, 0).repeat_interleave(2, 1)
    >>> multi_positive_info_nce(torch.zeros(4, 4), is_right).round(decimals=3)
    tensor(1.3860)
    """
    weight = is_right.to(scores.dtype)
    found = (scores.log_softmax(1) * weight).sum(1) / weight.sum(1)
    returned = (scores.log_softmax(0) * weight).sum(0) / weight.sum(0)
    return -(found + returned).mean() / 2


class MultiPositive(Objective):
    """Every single trial that shows the same image, or a nearly identical one, is a right answer."""

    reads_maps: ClassVar[bool] = False
    repeats_apart: ClassVar[bool] = True

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats."""
        return multi_positive_info_nce(batch.scores, batch.group[:, None] == batch.group[None, :])


class CategoryContrastive(Objective):
    """Supervised contrastive: every image of the category is a right answer, so that only categories are pulled apart.

    Pairs of unknown category take no part.
    """

    reads_maps: ClassVar[bool] = False
    needs: ClassVar[Literal["pairs", "categories", "features"]] = "categories"

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats; 0 where no category is known."""
        known = torch.where(batch.category >= 0)[0]
        if not len(known):
            return 0.0 * batch.scores.sum()
        category = batch.category[known]
        return multi_positive_info_nce(batch.scores[known][:, known], category[:, None] == category[None, :])
