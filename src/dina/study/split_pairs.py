"""The split of images that all recordings of a study share, and the pairs of one recording in its three parts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from dina.data.pairs import Pairs, learn_standardiser, make_pairs
from dina.data.splits import Split, group_near_identical, merge_groups, split_by_stimulus
from dina.recordings.recording import Recording
from dina.study.settings import SplitSettings


@dataclass(frozen=True, eq=False)
class SplitPairs:
    """Pairs of one recording; decoders learn from the first part, choose by the second, and are tested once on the third."""

    train: Pairs
    validation: Pairs
    test: Pairs

    @classmethod
    def of(
        cls,
        recording: Recording,
        train: Int[np.ndarray, "n_train"],
        validation: Int[np.ndarray, "n_validation"],
        test: Int[np.ndarray, "n_test"],
    ) -> "SplitPairs":
        """Make the pairs of the images of each part; mean and deviation of each neuron come from training trials alone."""
        standardiser = learn_standardiser(recording, train)
        return cls(*(make_pairs(recording, ids, standardiser) for ids in (train, validation, test)))


def draw_splits(recordings: Sequence[Recording], settings: SplitSettings, seeds: Sequence[int]) -> list[Split]:
    """Draw splits of the images, jointly for all recordings; images that are near-identical in any of them stay together.

    Parameters
    ----------
    recordings
        One or several of one image set, which may have other pixels under another condition.
    settings
        Fractions of images, and what counts as near-identical.
    seeds
        One for each split.
    """
    # most recordings hold the same pixels, and grouping them takes a while
    different = {hashlib.sha256(np.ascontiguousarray(each.images).data).digest(): each.images for each in recordings}
    group = merge_groups([group_near_identical(images, settings.near_identical) for images in different.values()])
    fractions = (settings.validation_fraction, settings.test_fraction)
    return [split_by_stimulus(recordings, group, seed, *fractions) for seed in seeds]
