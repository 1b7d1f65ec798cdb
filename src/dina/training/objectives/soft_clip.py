"""SoftCLIP: other images count as right answers as far as they resemble the image truly shown."""

from jaxtyping import Float, Int
from torch import Tensor

from dina.models.towers.tower import MapShape
from dina.shapes import ContrastImages
from dina.training.objectives.heads import FLOOR, TargetObjective, describe_by_gabors
from dina.training.objectives.objective import EncodedBatch

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

    >>> import torch
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

    def describe(self, images: ContrastImages, map_shape: MapShape) -> Float[Tensor, "stimulus target"]:
        """Return the energies, ordered as (channel, row of places, column of places)."""
        return describe_by_gabors(images, map_shape)

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Learn mean and deviation of the descriptions from the training images."""
        self.learn_scale(target, map_shape[1] * map_shape[2])

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats."""
        described = self.scaled_target(batch)
        unit = described / described.norm(dim=1, keepdim=True).clamp_min(FLOOR)
        teacher = (unit @ unit.T / TEACHER_TEMPERATURE).softmax(1).to(batch.scores.dtype)
        return soft_cross_entropy(batch.scores, teacher)
