"""The semantic category of each image, for the three parts of a split; images without one stay out."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.data.pairs import Pairs

FEWEST_IMAGES = 5
"""Training images that a category needs to be learnt from."""

FEWEST_TEST_IMAGES = 20


@dataclass(frozen=True, eq=False)
class CategorisedPairs:
    """The pairs of a decoding whose images have a category, and which one.

    Parameters
    ----------
    names
        Of the categories, sorted.
    train, validation, test
        Pairs of labelled images only.
    train_category, validation_category, test_category
        Position in ``names`` for each image of the part.
    """

    names: tuple[str, ...]
    train: Pairs
    validation: Pairs
    test: Pairs
    train_category: Int[np.ndarray, "train_image"]
    validation_category: Int[np.ndarray, "validation_image"]
    test_category: Int[np.ndarray, "test_image"]


def categorise(decoded: Decoded) -> CategorisedPairs:
    """Keep the images whose category is known and has enough training images.

    Raises
    ------
    DataError
        If the recording has no labels, or too few categories or labelled test images are left.
    """
    labels = decoded.recording.labels
    if labels is None:
        raise DataError(
            "Semantic analyses need the category of each image; this recording has no labels. Add them as labels (one word"
            " per image) when the recording is made."
        )
    parts = (decoded.train, decoded.validation, decoded.test)
    words, counts = np.unique(labels[decoded.train.stimulus_id], return_counts=True)
    names = words[(words != "") & (counts >= FEWEST_IMAGES)]
    is_labelled = [np.isin(labels[part.stimulus_id], names) for part in parts]
    if len(names) < 2 or is_labelled[2].sum() < FEWEST_TEST_IMAGES or not is_labelled[1].any():
        raise DataError(
            f"Semantic analyses need at least two categories with {FEWEST_IMAGES} training images each, and"
            f" {FEWEST_TEST_IMAGES} labelled test images; got {len(names)} and {int(is_labelled[2].sum())}. Label more images,"
            " or merge rare categories."
        )
    kept = [_keep(part, mask) for part, mask in zip(parts, is_labelled, strict=True)]
    codes = [np.searchsorted(names, labels[part.stimulus_id]) for part in kept]
    return CategorisedPairs(tuple(map(str, names)), kept[0], kept[1], kept[2], codes[0], codes[1], codes[2])


def _keep(pairs: Pairs, is_kept: Bool[np.ndarray, "stimulus"]) -> Pairs:
    if is_kept.all():  # spares a copy of all images
        return pairs
    position = np.cumsum(is_kept) - 1
    trials = is_kept[pairs.stimulus_index]
    return replace(
        pairs,
        images=pairs.images[is_kept],
        stimulus_id=pairs.stimulus_id[is_kept],
        responses=pairs.responses[trials],
        stimulus_index=position[pairs.stimulus_index[trials]],
        n_presentations=pairs.n_presentations[trials],
        labels=None if pairs.labels is None else pairs.labels[is_kept],
    )
