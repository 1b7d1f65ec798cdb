"""Contrastive objectives with several right answers: repeats and near-identical images, or all images of a category."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dina.training.objectives.objective import EncodedBatch, Objective


def multi_positive_info_nce(scores: Float[Tensor, "batch batch"], is_right: Bool[Tensor, "batch batch"]) -> Float[Tensor, ""]:
    r"""Mean cross-entropy of finding each of several partners, over rows and over columns.

    Parameters
    ----------
    scores
        Of image *j* for response *i*.
    is_right
        Whether image *j* is a right answer to response *i*; at least one in every row and column.

    Returns
    -------
    loss
        In nats. It cannot fall below the mean logarithm of the number of right answers.

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
    """Single trials, of which all that show the same image, or a nearly identical one, are right answers."""

    repeats_apart: ClassVar[bool] = True

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats."""
        return multi_positive_info_nce(batch.scores, batch.group[:, None] == batch.group[None, :])


class CategoryContrastive(Objective):
    """Supervised contrastive: every image of the category is a right answer, so that only categories are pulled apart.

    Pairs of unknown category take no part.
    """

    needs: ClassVar[Literal["pairs", "categories", "features"]] = "categories"

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats; 0 where no category is known."""
        known = torch.where(batch.category >= 0)[0]
        if not len(known):
            return 0.0 * batch.scores.sum()
        category = batch.category[known]
        return multi_positive_info_nce(batch.scores[known][:, known], category[:, None] == category[None, :])
