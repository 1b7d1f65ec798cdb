"""What training may ask of a batch of pairs: the contract of objectives, and all that they are told."""

from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.models.towers.tower import MapShape
from dina.shapes import ContrastImages


class EncodedBatch(NamedTuple):
    """Pairs of one batch after both towers; row *i* of everything belongs to response *i* and its own image.

    Parameters
    ----------
    neural_maps, image_maps
        Feature maps of the responses and of their images.
    scores
        Of image *j* for response *i*; true pairs on the diagonal.
    group
        Number of the group of near-identical images to which the image belongs.
    category
        Number of the image's semantic category; −1 where unknown.
    target
        What `Objective.describe` made of the image; no columns if it makes nothing.
    partner, share
        Response *i* is ``share[i]`` times the response to its own image plus the rest times the response to the image of
        row ``partner[i]`` (see `Objective.mix`); without mixing the row itself, and 1.
    """

    neural_maps: Float[Tensor, "batch map_channel map_height map_width"]
    image_maps: Float[Tensor, "batch map_channel map_height map_width"]
    scores: Float[Tensor, "batch batch"]
    group: Int[Tensor, "batch"]
    category: Int[Tensor, "batch"]
    target: Float[Tensor, "batch target"]
    partner: Int[Tensor, "batch"]
    share: Float[Tensor, "batch"]


class Objective(nn.Module):
    """From a batch of pairs to a loss; may hold weights of its own (a head), which are trained along.

    An objective of one's own derives from this class and writes `forward`; it needs no entry in a table to be given
    to `dina.training.fit.fit_towers`. The loss is a mean over pairs and must not depend on their order.

    Attributes
    ----------
    needs
        What it must be told besides the pairs: "pairs" (nothing), "categories" or "features" (a fixed row of numbers
        for each image, from the user).
    repeats_apart
        Whether a batch holds single trials, up to two for each image, rather than one mixture of its trials.
    temperature
        Whether the temperature (or scale) of the comparison is "fixed", "learnt", or as the "preset" prescribes.
    """

    needs: ClassVar[Literal["pairs", "categories", "features"]] = "pairs"
    repeats_apart: ClassVar[bool] = False

    def __init__(self, temperature: Literal["preset", "fixed", "learnt"] = "preset") -> None:
        super().__init__()
        self.temperature = temperature

    def describe(
        self, images: ContrastImages, features: Float[np.ndarray, "stimulus feature"] | None, map_shape: MapShape
    ) -> Float[Tensor, "stimulus target"]:
        """Return the fixed numbers of each image that training is to rebuild; none by default.

        Parameters
        ----------
        images
            In units of contrast.
        features
            The user's, where there are any.
        map_shape
            Of the towers.
        """
        return torch.zeros(len(images), 0)

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Learn scales from the training images and make the head; its weights are drawn afterwards."""

    def mix(
        self, responses: Float[Tensor, "batch neuron"], n_presentations: Float[Tensor, "batch"], generator: np.random.Generator
    ) -> tuple[Float[Tensor, "batch neuron"], Float[Tensor, "batch"], Int[Tensor, "batch"], Float[Tensor, "batch"]]:
        """Return responses, presentations, partner and share of a training batch; nothing is mixed by default."""
        itself = torch.arange(len(responses), device=responses.device)
        return responses, n_presentations, itself, torch.ones_like(n_presentations)

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the mean loss of a batch."""
        raise NotImplementedError
