"""Objectives with privileged information: maps must predict features of the images, given by the user."""

import math
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.models.towers.tower import MapShape
from dina.training.objectives.contrastive import symmetric_info_nce
from dina.training.objectives.heads import FLOOR, MapHead, TargetObjective
from dina.training.objectives.objective import EncodedBatch

FIRST_TEMPERATURE = 0.07


class _Privileged(TargetObjective):
    """Read the user's features of every image from both towers' maps by one linear head."""

    needs: ClassVar[Literal["pairs", "categories", "features"]] = "features"

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Learn mean and deviation of the features from the training images and make the head."""
        self.learn_scale(target)
        self.head = MapHead(map_shape, target.shape[1])


class PrivilegedRegression(_Privileged):
    """Regression of z-scored features, for example of a frozen CLIP vision model, on the maps of both towers.

    References
    ----------
    Horikawa & Kamitani (2017), Nat. Commun. 8:15037. https://doi.org/10.1038/ncomms15037. They regress features on
    voxels one by one; here the maps of two towers lie between.
    """


class PrivilegedContrastive(_Privileged):
    """Symmetric InfoNCE between what the head reads and the features themselves, for either tower.

    Features are z-scored by training images; scores are cosines divided by a learnt temperature.

    References
    ----------
    Liu et al. (2023, BrainCLIP), https://doi.org/10.48550/arXiv.2302.12971. They read a brain encoder alone; here
    the image tower is trained towards the same features, so that both meet.
    """

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Learn mean and deviation of the features from the training images; make head and temperature."""
        super().start(map_shape, target, category)
        self.log_temperature = nn.Parameter(torch.zeros(()))

    def draw_parameters(self, generator: torch.Generator) -> None:
        """Set the temperature to its start."""
        self.log_temperature.fill_(math.log(FIRST_TEMPERATURE))

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the loss in nats, averaged over both towers."""
        target = _unit(self.scaled_target(batch))
        temperature = self.log_temperature.clamp(math.log(0.001), math.log(100.0)).exp()
        losses = [
            symmetric_info_nce(_unit(self.head(maps)) @ target.T / temperature, batch.group)
            for maps in (batch.neural_maps, batch.image_maps)
        ]
        return (losses[0] + losses[1]) / 2


def _unit(rows: Tensor) -> Tensor:
    return rows / (rows.square().sum(1, keepdim=True) + FLOOR).sqrt()
