"""Train, validation and test images: split by image identity, never by trial, near-identical images together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from dina.checks import DataError
from dina.randomness import generator_for
from dina.recordings.recording import Recording


@dataclass(frozen=True, eq=False)
class Split:
    """Which images a model may learn from, choose by, and be tested on once.

    Parameters
    ----------
    train, validation, test
        Sorted image ids (positions on the stimulus axis), disjoint.
    group
        For every image of the set the number of its group of near-identical images, shape ``(n_stimuli,)``;
        no group crosses a boundary.
    seed
        The seed that drew the split.
    """

    train: Int[np.ndarray, "n_train"]
    validation: Int[np.ndarray, "n_validation"]
    test: Int[np.ndarray, "n_test"]
    group: Int[np.ndarray, "stimulus"]
    seed: int

    def sha256(self) -> str:
        """Return a checksum over the three lists of ids: equal splits, equal checksum."""
        digest = hashlib.sha256()
        for ids in (self.train, self.validation, self.test):
            digest.update(np.ascontiguousarray(ids, dtype=np.int64).data)
            digest.update(b"|")
        return digest.hexdigest()


def split_by_stimulus(
    recordings: Sequence[Recording],
    group: Int[np.ndarray, "stimulus"],
    seed: int,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
) -> Split:
    """Draw a split of image ids that holds jointly for all recordings of one image set.

    Only images that were shown in at least one of the recordings take part. Groups are drawn whole, in random
    order, until the test set and then the validation set have reached their number; with a few large groups a
    set may come out slightly larger than its fraction.

    Parameters
    ----------
    recordings
        Recordings under any conditions that share ``image_set``.
    group
        Group of near-identical images of each image, from `group_near_identical`.
    seed
        Same seed, same split.
    validation_fraction, test_fraction
        Fractions of the shown images, each in (0, 1), together below 1.

    Raises
    ------
    DataError
        If the recordings do not share their image set or its number of images, ``group`` has another length, the
        fractions are out of range, or a set would be empty.
    """
    names = {recording.image_set for recording in recordings}
    if len(names) != 1:
        raise DataError(f"A joint split needs recordings of one image set; got {', '.join(sorted(names)) or 'none'}.")
    if not (validation_fraction > 0 and test_fraction > 0 and validation_fraction + test_fraction < 1):
        raise DataError(
            "validation_fraction and test_fraction must be positive and together below 1;"
            f" got {validation_fraction} and {test_fraction}."
        )
    lengths = {recording.n_stimuli for recording in recordings} | {len(group)}
    if len(lengths) != 1:
        raise DataError(
            "A joint split needs one group number per image and the same images in every recording; got"
            f" {' and '.join(map(str, sorted(lengths)))} images. Give recordings of one image set and its groups."
        )
    shown = np.zeros(len(group), dtype=bool)
    for recording in recordings:
        shown[np.unique(recording.stimulus_id)] = True
    ids = np.flatnonzero(shown)
    n_test, n_validation = round(test_fraction * len(ids)), round(validation_fraction * len(ids))
    order = generator_for(seed, "split").permutation(np.unique(group[ids]))
    members = {number: ids[group[ids] == number] for number in order}
    sets: dict[str, list[int]] = {"test": [], "validation": [], "train": []}
    for number in order:
        # a group goes to the first set that still has room for all of it, else to training
        room = {"test": n_test - len(sets["test"]), "validation": n_validation - len(sets["validation"])}
        target = next((name for name, free in room.items() if len(members[number]) <= free), "train")
        sets[target].extend(int(i) for i in members[number])
    empty = [name for name, chosen in sets.items() if not chosen]
    if empty:
        raise DataError(
            f"A split needs at least one image each for training, validation and test; {', '.join(empty)} would be empty"
            f" with {len(ids)} images in {len(order)} groups. Record more images or change the fractions."
        )
    train, validation, test = (np.array(sorted(sets[name]), dtype=np.int64) for name in ("train", "validation", "test"))
    return Split(train=train, validation=validation, test=test, group=np.asarray(group, dtype=np.int64), seed=int(seed))
