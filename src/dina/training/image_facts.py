"""What an objective is told about images besides the pairs: their categories, and numbers to be rebuilt from maps."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.towers.tower import MapShape, initialise
from dina.randomness import seed_for
from dina.training.batches import RecordingPairs
from dina.training.objectives import Objective


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """Category and target of every image of one part of a split.

    Parameters
    ----------
    category
        Number of the semantic category among those of the training images; −1 where unknown, or in none of them.
    target
        From `Objective.describe`; without columns for objectives that rebuild nothing.
    """

    category: Int[Tensor, "stimulus"]
    target: Float[Tensor, "stimulus target"]

    def at(self, position: Int[Tensor, "batch"]) -> tuple[Int[Tensor, "batch"], Float[Tensor, "batch target"]]:
        """Return category and target (single precision) of some images."""
        return self.category.index_select(0, position), self.target.index_select(0, position).float()

    def known(self) -> dict[str, Tensor]:
        """Return what is known beside the pairs, by name; empty for most objectives."""
        known = {"category": self.category} if bool((self.category >= 0).any()) else {}
        return {**known, "target": self.target} if self.target.shape[1] else known


def prepare_objective(
    objective: Objective,
    map_shape: MapShape,
    recording: RecordingPairs,
    seed: int,
    device: torch.device,
) -> tuple[ImageFacts, ImageFacts]:
    """Gather what the objective needs, make its head from training images, and draw the head's weights.

    Parameters
    ----------
    objective
        Made ready in place, on ``device``.
    map_shape
        Of the towers.
    recording
        Training and validation pairs, and features of the images if there are any.
    seed
        Of the head's weights.
    device
        Where everything goes.

    Returns
    -------
    train_facts, validation_facts
        What `EncodedBatch` is filled from.

    Raises
    ------
    DataError
        If the objective needs categories or features and there are none.
    """
    train, validation = recording.train, recording.validation
    categories = _categories(objective, train, validation)
    targets = []
    for pairs in (train, validation):
        rows = _rows(objective, recording.image_features, pairs)
        targets.append(objective.describe(pairs.images, rows, map_shape))
    objective.start(map_shape, targets[0], categories[0])
    initialise(objective, torch.Generator().manual_seed(seed_for(seed, "objective weights")))
    objective.to(device)
    first, second = (ImageFacts(c.to(device), t.to(device)) for c, t in zip(categories, targets, strict=True))
    return first, second


def _categories(objective: Objective, train: Pairs, validation: Pairs) -> list[Tensor]:
    """Give every image the number of its category; those of the training images are numbered in alphabetical order."""
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


def _rows(
    objective: Objective, image_features: Float[np.ndarray, "image feature"] | None, pairs: Pairs
) -> Float[np.ndarray, "stimulus feature"] | None:
    """Return the user's features of the images of ``pairs``, if the objective needs them."""
    if objective.needs != "features":
        return None
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
    return rows
