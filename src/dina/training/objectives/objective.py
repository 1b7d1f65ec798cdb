"""The contract of objectives: from a batch of pairs to a loss; and the categories or targets that some of them need."""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.towers.tower import FeatureMaps, MapShape, ResponseBatch, initialise
from dina.randomness import seed_for
from dina.shapes import ContrastImages
from dina.training.batches import RecordingPairs


class EncodedBatch(NamedTuple):
    """Pairs of one batch after both towers; row *i* belongs to response *i* and its image.

    Response *i* is ``share[i]`` times the response to its image plus the rest times the response to the image of row
    ``partner[i]`` (see `Objective.mix`); without mixing these are 1 and the row itself. Maps are empty for an objective that does
    not read them.
    """

    neural_maps: FeatureMaps
    image_maps: FeatureMaps
    scores: Float[Tensor, "batch batch"]  # of image j for response i; true pairs on the diagonal
    group: Int[Tensor, "batch"]  # of near-identical images
    category: Int[Tensor, "batch"]  # of the image; −1 where unknown
    target: Float[Tensor, "batch target"]  # fixed numbers that a head must read, see `Objective.describe`; no columns for most
    partner: Int[Tensor, "batch"]
    share: Float[Tensor, "batch"]


class Objective(nn.Module):
    """From a batch of pairs to a loss; may hold weights of its own (a head), which are trained along.

    An objective of your own derives from this class and writes `forward`. Every preset takes it, ``Scratch(objective=Mine)``;
    a row of `OBJECTIVES` gives it a name. The loss is a mean over pairs and must not depend on their order.

    ``temperature`` says whether that of the comparison (or its scale) is "fixed", "learnt", or as the "preset" prescribes.
    """

    # pairs alone, categories too, or the user's fixed features of each image, which are then its targets
    needs: ClassVar[Literal["pairs", "categories", "features"]] = "pairs"
    repeats_apart: ClassVar[bool] = (
        False  # whether a batch holds single trials, up to two for each image, not one mixture of them
    )

    reads_maps: ClassVar[bool] = True  # whether the loss depends on maps, not on scores alone

    def __init__(self, temperature: Literal["preset", "fixed", "learnt"] = "preset") -> None:
        super().__init__()
        self.temperature = temperature

    def describe(self, images: ContrastImages, map_shape: MapShape) -> Float[Tensor, "stimulus target"]:
        """Return fixed numbers of each image that a head must read; none by default."""
        return torch.zeros(len(images), 0)

    def start(self, map_shape: MapShape, target: Float[Tensor, "stimulus target"], category: Int[Tensor, "stimulus"]) -> None:
        """Learn scales from the training images and make the head, whose weights are drawn afterwards."""

    def mix(
        self, responses: ResponseBatch, n_presentations: Float[Tensor, "batch"], generator: np.random.Generator
    ) -> tuple[ResponseBatch, Float[Tensor, "batch"], Int[Tensor, "batch"], Float[Tensor, "batch"]]:
        """Return responses, presentations, partner and share of a training batch; nothing is mixed by default."""
        itself = torch.arange(len(responses), device=responses.device)
        return responses, n_presentations, itself, torch.ones_like(n_presentations)

    def forward(self, batch: EncodedBatch) -> Float[Tensor, ""]:
        """Return the mean loss of a batch."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """Category and target (see `EncodedBatch`) of every image of one part of a split."""

    category: Int[Tensor, "stimulus"]  # −1 where unknown, or where no training image has it
    target: Float[Tensor, "stimulus target"]

    def at(self, position: Int[Tensor, "batch"]) -> tuple[Int[Tensor, "batch"], Float[Tensor, "batch target"]]:
        """Return category and target (single precision) of some images."""
        return self.category.index_select(0, position), self.target.index_select(0, position).float()

    def known(self) -> dict[str, Tensor]:
        """Return by name all that is known besides the pairs; empty for most objectives."""
        known = {"category": self.category} if bool((self.category >= 0).any()) else {}
        return {**known, "target": self.target} if self.target.shape[1] else known


def prepare_objective(
    objective: Objective, map_shape: MapShape, recording: RecordingPairs, seed: int, device: torch.device
) -> tuple[ImageFacts, ImageFacts]:
    """Make the head of an objective in place and draw its weights; return the facts of training and validation images.

    Raises
    ------
    DataError
        If the objective needs categories or features and there are none.
    """
    parts = (recording.train, recording.validation)
    categories = _categories(objective, *parts)
    if objective.needs == "features":
        targets = [_features(recording.image_features, pairs) for pairs in parts]
    else:
        targets = [objective.describe(pairs.images, map_shape) for pairs in parts]
    objective.start(map_shape, targets[0], categories[0])
    initialise(objective, torch.Generator().manual_seed(seed_for(seed, "objective weights")))
    objective.to(device)
    first, second = (ImageFacts(c.to(device), t.to(device)) for c, t in zip(categories, targets, strict=True))
    return first, second


def _categories(objective: Objective, train: Pairs, validation: Pairs) -> list[Tensor]:
    """Give every image the number of its category, in the alphabetical order of those of the training images."""
    if objective.needs != "categories":
        return [torch.full((pairs.n_stimuli,), -1) for pairs in (train, validation)]
    known = [] if train.labels is None else sorted(set(train.labels.tolist()) - {""})
    if len(known) < 2:
        raise DataError(
            f"This objective needs at least 2 semantic categories among the training images; this recording has {len(known)}."
            " Give the recording labels, or choose an objective that needs none, such as 'contrastive'."
        )
    number = {label: position for position, label in enumerate(known)}
    labels = ([] if pairs.labels is None else pairs.labels.tolist() for pairs in (train, validation))
    return [torch.tensor([number.get(label, -1) for label in each], dtype=torch.int64) for each in labels]


def _features(image_features: Float[np.ndarray, "image feature"] | None, pairs: Pairs) -> Float[Tensor, "stimulus feature"]:
    if image_features is None:
        raise DataError(
            "This objective needs features of the images, one row for each; none were given. Give them, for example"
            " from a frozen vision model, with --features FILE.npy or image_features=, or choose an objective that needs none,"
            " such as 'contrastive'."
        )
    highest = int(pairs.stimulus_id.max())
    if len(image_features) <= highest:
        raise DataError(
            f"image_features must have a row for every image of the recording; got {len(image_features)} rows, and image"
            f" {highest} was shown. Compute the features of all images, in the order of the recording."
        )
    rows = image_features[pairs.stimulus_id]
    if not np.isfinite(rows).all():
        raise DataError(
            f"image_features must be finite; {int((~np.isfinite(rows)).sum())} values are not. Leave such images out, or"
            " compute their features again."
        )
    return torch.from_numpy(np.asarray(rows, dtype=np.float32))
