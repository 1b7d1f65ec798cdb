"""SoftCLIP: other images count as right answers as far as they resemble the image truly shown."""

import torch
from jaxtyping import Float
from torch import Tensor

from dina.alignment.objectives.head import flatten_to_unit
from dina.alignment.objectives.objective import EncodedBatch, Objective

TEACHER_TEMPERATURE = 0.05


def soft_cross_entropy(scores: Float[Tensor, "batch batch"], teacher: Float[Tensor, "batch batch"]) -> Float[Tensor, ""]:
    """Cross-entropy of a teacher's distribution over the batch and that of the scores, over rows and over columns.

    Parameters
    ----------
    scores
        Of image *j* for response *i*.
    teacher
        How much image *j* counts as an answer to response *i*; rows sum to 1. No gradient should reach it.

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


class SoftClip(Objective):
    """Symmetric cross-entropy against the likeness of the images to each other.

    The teacher is the softmax of the cosine between centred feature maps of the images themselves, divided by 0.05.
    In the source the images' features are frozen; ours are trained, so no gradient goes through the teacher.
    """

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats."""
        with torch.no_grad():
            unit = flatten_to_unit(batch.image_maps)
            teacher = (unit @ unit.T / TEACHER_TEMPERATURE).softmax(1).to(batch.scores.dtype)
        return soft_cross_entropy(batch.scores, teacher)
