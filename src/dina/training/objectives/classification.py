"""The classification objective: both towers must predict the semantic category of the image, and nothing else."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.models.towers.tower import MapShape
from dina.training.objectives.heads import MapHead
from dina.training.objectives.objective import EncodedBatch, Objective

FLOOR = 1e-12


class Classification(Objective):
    r"""Cross-entropy of the category, read by one linear head from either tower's map, categories weighing alike.

    A control for contrastive training: maps trained in this way never compare one image with another.

    Notes
    -----
    With weight :math:`w_c = n / (K n_c)` of a category with :math:`n_c` of :math:`n` training images

    .. math:: L = -\sum_i w_{c_i} \big[\log p(c_i \mid f(x_i)) + \log p(c_i \mid h(r_i))\big] \big/ 2 \sum_i w_{c_i}

    Images of unknown category, or of one that no training image has, take no part.
    """

    needs: ClassVar[Literal["pairs", "categories", "features"]] = "categories"
    weight: Tensor

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Count the categories of the training images and make the head."""
        counts = torch.bincount(category[category >= 0]).clamp_min(1)
        self.register_buffer("weight", (counts.sum() / (len(counts) * counts)).float())
        self.head = MapHead(map_shape, len(counts))

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats; the logarithm of the number of categories is chance."""
        is_known = batch.category >= 0
        category = batch.category.clamp_min(0)
        weight = self.weight[category] * is_known
        rows = torch.arange(len(category), device=category.device)
        both = [-self.head(maps).log_softmax(1)[rows, category] for maps in (batch.neural_maps, batch.image_maps)]
        return (weight * (both[0] + both[1])).sum() / (2 * weight.sum()).clamp_min(FLOOR)
