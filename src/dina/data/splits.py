"""Train, validation and test images: split by image identity, never by trial, near-identical images together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dina.checks import DataError, check_count
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.shapes import Images
from dina.short_words import brief

# Images are screened at this many cells a side, at most.
SCREEN_SIDE = 40

# Images compared with all others at a time, and their pixels.
CHUNK = 512
MOST_PIXELS = 2**25
MOST_DISTANCES = 2**23  # held at a time

# Of more images, fractions for validation and test count only so many: galleries of a thousand are large enough.
MOST_COUNTED = 10_000
_LEAST_ALIKE = 0.5  # correlation of the pixels of one image in two recordings, which may differ in brightness and rounding


@dataclass(frozen=True, eq=False)
class Split:
    """Images from which a model learns, by which it is chosen, and on which it is tested once.

    The three parts hold sorted image ids (positions on the stimulus axis) and are disjoint. ``group`` gives the number of the
    group of near-identical images of every image of the set; all of a group are in one part.
    """

    __repr__ = brief

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
    *,
    in_blocks: bool = False,
) -> Split:
    """Draw a split of image ids that holds jointly for all recordings of one image set.

    Only images that were shown in at least one of the recordings take part. Groups are drawn whole, in random order. Each
    group goes to the test set if the whole group fits, else to the validation set if it fits, else to the training set.

    Parameters
    ----------
    recordings
        Recordings under any conditions that share ``image_set``.
    group
        Group of near-identical images of each image, from `group_near_identical`.
    seed
        Same seed, same split.
    validation_fraction, test_fraction
        Fractions of the shown images, each in (0, 1), together below 1; where there are more than 10,000, fractions of 10,000.
    in_blocks
        Draw test and validation images as runs of images shown one after the other, from a random one on, instead of singly:
        few test images then share slow drift, or neighbouring frames of a film, with training images. This helps if images were
        shown in blocks, but not if every image was shown in every part of the recording.

    Raises
    ------
    DataError
        If the recordings do not share their image set or its number of images, ``group`` has another length, the
        fractions are out of range, or a set would be empty.
    """
    if not (validation_fraction > 0 and test_fraction > 0 and validation_fraction + test_fraction < 1):
        raise DataError(
            "validation_fraction and test_fraction must be positive and together below 1;"
            f" got {validation_fraction} and {test_fraction}."
        )
    ids = _shown(recordings, group)
    n_counted = min(len(ids), MOST_COUNTED)
    n_test, n_validation = round(test_fraction * n_counted), round(validation_fraction * n_counted)
    order = generator_for(seed, "split").permutation(np.unique(group[ids]))
    if in_blocks:
        shown_at = _shown_at(recordings[0], group)
        first = int(order[0])
        order = np.array(sorted(order.tolist(), key=lambda number: (shown_at[number], number)))
        order = np.roll(order, -int(np.flatnonzero(order == first)[0]))
    members = _members(ids, group)
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
            f" with {len(ids)} images in {len(order)} groups of near-identical ones. {_advice(group[ids])}"
        )
    train, validation, test = (np.array(sorted(sets[name]), dtype=np.int64) for name in ("train", "validation", "test"))
    return Split(train=train, validation=validation, test=test, group=np.asarray(group, dtype=np.int64), seed=int(seed))


def split_into_folds(
    recordings: Sequence[Recording],
    group: Int[np.ndarray, "stimulus"],
    seed: int,
    n_folds: int,
    validation_fraction: float = 0.1,
) -> list[Split]:
    """Draw one split for each fold, so that every image shown is a test image in exactly one of them.

    Groups are dealt out whole, the largest first and those of one size in random order, each to the fold that has fewest images
    so far. So folds differ by at most one image, unless groups are so large that this cannot be. The validation images of a fold
    are drawn as in `split_by_stimulus` from the images that it does not test; they are drawn anew in each fold.

    Parameters
    ----------
    recordings, group
        As in `split_by_stimulus`; only images that were shown take part.
    seed
        Same seed, same folds.
    n_folds
        At least 2.
    validation_fraction
        Fraction of the shown images by which each fold chooses, in (0, 1); where there are more than 10,000, of 10,000.

    Raises
    ------
    DataError
        If ``n_folds`` is below 2, the recordings and ``group`` do not fit together, or a fold would have no image to learn from, choose by or test.
    """
    check_count("n_folds", n_folds, 2)
    ids = _shown(recordings, group)
    known = _members(ids, group)
    members = {number: known[number] for number in generator_for(seed, "folds").permutation(np.unique(group[ids]))}
    tested: list[list[int]] = [[] for _ in range(n_folds)]
    for number in sorted(members, key=lambda number: -len(members[number])):  # stable: those of one size stay in random order
        min(tested, key=len).extend(members[number].tolist())
    splits = []
    for fold, test in enumerate(tested, 1):
        others = np.setdiff1d(ids, test)
        room = round(validation_fraction * min(len(ids), MOST_COUNTED))
        validation: list[int] = []
        for number in generator_for(seed, f"validation of fold {fold}").permutation(np.unique(group[others])):
            validation += members[number].tolist() if len(members[number]) <= room - len(validation) else []
        train = np.setdiff1d(others, validation)
        if not (len(test) and validation and len(train)):
            raise DataError(
                f"Each of {n_folds} folds needs at least one image each to learn from, to choose by and to test; fold {fold} would"
                f" have {len(train)}, {len(validation)} and {len(test)} of {len(ids)} images in {len(members)} groups of near-identical"
                f" ones. Ask for fewer folds. {_advice(group[ids])}"
            )
        parts = [np.array(sorted(part), dtype=np.int64) for part in (train, validation, test)]
        splits.append(Split(parts[0], parts[1], parts[2], np.asarray(group, dtype=np.int64), int(seed)))
    return splits


def _members(ids: Int[np.ndarray, "shown"], group: Int[np.ndarray, "stimulus"]) -> dict[int, Int[np.ndarray, "_"]]:
    """Return the images of each group, in ascending order."""
    order = np.argsort(group[ids], kind="stable")
    numbers, first = np.unique(group[ids][order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(ids[order], first[1:]), strict=True))


def _shown_at(recording: Recording, group: Int[np.ndarray, "stimulus"]) -> Float32[np.ndarray, "group"]:
    """Return the mean place of the trials of each group in the order of presentation; infinity for one never shown."""
    of_trial = group[recording.stimulus_id]
    counts = np.bincount(of_trial, minlength=int(group.max()) + 1)
    places = np.bincount(of_trial, np.arange(len(of_trial)), len(counts))
    return np.where(counts > 0, places / np.maximum(counts, 1), np.inf).astype(np.float32)


def _advice(group: Int[np.ndarray, "shown"]) -> str:
    """Say what helps where there is no room for a split: more images, or smaller groups."""
    largest = int(np.bincount(group).max())
    if largest < 2:
        return "Record more images or change the fractions."
    return (
        f"The largest group holds {largest}, as frames of a film do: each is like the next one. Take every tenth frame, or set"
        " split.near_identical (0.999) nearer to 1 with split.in_blocks=true, and mind that test images may have near copies among"
        " training images."
    )


def _shown(recordings: Sequence[Recording], group: Int[np.ndarray, "_"]) -> Int[np.ndarray, "shown"]:
    """List the images shown in at least one of the recordings, which must be of one image set."""
    names = {recording.image_set for recording in recordings}
    if len(names) != 1:
        raise DataError(
            f"A study of several recordings needs recordings of one image set; got {', '.join(sorted(names)) or 'none'}. Study each"
            " alone and give the runs to dina compare."
        )
    lengths = {recording.n_stimuli for recording in recordings} | {len(group)}
    if len(lengths) != 1:
        raise DataError(
            "A joint split needs one group number per image and the same images in every recording; got"
            f" {' and '.join(map(str, sorted(lengths)))} images. Give recordings of one image set and its groups."
        )
    for i, recording in enumerate(recordings[1:], 1):
        earlier = next((each for each in recordings[:i] if _condition(each) == _condition(recording)), None)
        if earlier is not None:
            _refuse_other_pictures(earlier, recording)
    shown = np.zeros(len(group), dtype=bool)
    for recording in recordings:
        shown[np.unique(recording.stimulus_id)] = True
    return np.flatnonzero(shown)


def _condition(recording: Recording) -> str:
    return recording.condition or "natural"  # where nobody said that pictures were derived from others, they count as they are


def _refuse_other_pictures(one: Recording, other: Recording) -> None:
    """Refuse recordings under one condition that call different pictures by one id: test images of one would train the other."""
    if one.images is other.images or one.images.shape != other.images.shape:
        return
    both = np.intersect1d(one.stimulus_id, other.stimulus_id)
    different: list[int] = []
    for start in range(0, len(both), 64):
        ids = both[start : start + 64]
        a, b = (recording.contrast(ids).reshape(len(ids), -1) for recording in (one, other))
        a, b = (pixels - pixels.mean(axis=1, keepdims=True) for pixels in (a, b))
        powers = (a * a).sum(axis=1), (b * b).sum(axis=1)
        differs = (a * b).sum(axis=1) < _LEAST_ALIKE * np.sqrt(powers[0] * powers[1])
        different.extend(int(i) for i in ids[differs])
    if different:
        raise DataError(
            f"{one.name} and {other.name} must show the same images under the same ids, since both have image_set {one.image_set!r};"
            f" {len(different)} of the {len(both)} that both showed differ (first: image {different[0]}, counted from 0)."
            " Put the images into one order, or give each recording an image_set of its own."
        )


def group_near_identical(images: Images, threshold: float = 0.999) -> Int[np.ndarray, "stimulus"]:
    r"""Give each image the number of its group of near-identical images.

    Two images are near-identical if the correlation of their pixels is at least ``threshold``: the same picture,
    also brighter, darker, with more or less contrast, or with a few pixels changed. Groups are closed under chains:
    if A is similar to B and B to C, all three are one group. All blank images are one group.

    Parameters
    ----------
    images
        Stored pixels, any unit, finite.
    threshold
        Correlation in (0, 1].

    Returns
    -------
    group
        0-based, in order of first appearance.

    Raises
    ------
    DataError
        If ``threshold`` is not in (0, 1].

    Notes
    -----
    Let :math:`x` be an image with its mean subtracted and unit norm, and :math:`P` the block averages, scaled so that
    the rows of :math:`P` are orthonormal. Correlation at least :math:`c` means
    :math:`|x - y|^2 \le 2 (1 - c)`, hence :math:`|Px - Py|^2 \le 2 (1 - c)`: screening small images by this distance
    misses no pair. What passes is verified at full resolution. Nothing larger than ``CHUNK`` × images is held.

    Examples
    --------
    >>> image = np.arange(12.0, dtype=np.float32).reshape(1, 1, 3, 4)
    >>> group_near_identical(np.concatenate([image, -image, 2 * image + 7]))
    array([0, 1, 0])
    """
    if not 0 < threshold <= 1:
        raise DataError(f"threshold must lie above 0 and be at most 1; got {threshold}.")
    n = len(images)
    blank = np.zeros(n, dtype=bool)
    screens = []
    for start in range(0, n, CHUNK):
        unit = _normalise(images[start : start + CHUNK])
        blank[start : start + CHUNK] = ~unit.any(axis=(1, 2, 3))
        screens.append(_screen(unit))
    screen = np.concatenate(screens)
    # blank images are normalised to 0: joined here, kept out of the comparison below
    first_blank = np.flatnonzero(blank)[:1]
    links = [np.stack([np.broadcast_to(first_blank, blank.sum()), np.flatnonzero(blank)], axis=1)]
    # rounding in float32 is about 1e-6; the same image twice must pass at threshold 1
    limit = threshold - 1e-5
    step = max(1, min(CHUNK, MOST_DISTANCES // n))
    for start in range(0, n, step):
        links.append(_find_pairs(images, screen, blank, slice(start, start + step), limit))
    pairs = np.concatenate(links)
    return _number_components(pairs, n)


def likeness_to_nearest(
    images: Images, test: Int[np.ndarray, "test"], train: Int[np.ndarray, "train"]
) -> Float32[np.ndarray, "test"]:
    """Return the correlation of the pixels of each test image with the training image most like it.

    Examples
    --------
    >>> image = np.arange(12.0, dtype=np.float32).reshape(1, 1, 3, 4)
    >>> likeness_to_nearest(np.concatenate([image, -image, 2 * image + 7]), np.array([0]), np.array([1, 2]))
    array([1.], dtype=float32)
    """
    nearest = np.full(len(test), -1, dtype=np.float32)
    n = max(1, min(CHUNK, MOST_PIXELS // int(np.prod(images.shape[1:]))))
    for start in range(0, len(train), n):
        others = _normalise(images[train[start : start + n]]).reshape(-1, int(np.prod(images.shape[1:])))
        for begin in range(0, len(test), n):
            rows = slice(begin, begin + n)
            own = _normalise(images[test[rows]]).reshape(-1, others.shape[1])
            nearest[rows] = np.maximum(nearest[rows], (own @ others.T).max(axis=1))
    return np.round(nearest, 6)  # rounding in float32 is about 1e-6


def merge_groups(groups: Sequence[Int[np.ndarray, "stimulus"]]) -> Int[np.ndarray, "stimulus"]:
    """Join images that are in one group in any of several groupings, as when one image set has other pixels in each.

    The order of the groupings does not matter; groups are closed under chains and numbered as by `group_near_identical`.

    Raises
    ------
    DataError
        If the groupings differ in their number of images.

    Examples
    --------
    >>> merge_groups([np.array([0, 1, 0, 2, 3]), np.array([0, 1, 2, 3, 2])])
    array([0, 1, 0, 2, 0])
    """
    lengths = sorted({len(group) for group in groups})
    if len(lengths) != 1:
        raise DataError(
            f"Groups are merged image by image; got groups of {' and '.join(map(str, lengths)) or 'no'} images. Give recordings"
            " of one image set."
        )
    links = []
    for group in groups:
        _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
        links.append(np.stack([first[inverse], np.arange(lengths[0])], axis=1))
    return _number_components(np.concatenate(links), lengths[0])


def _number_components(links: Int[np.ndarray, "link 2"], n: int) -> Int[np.ndarray, "stimulus"]:
    """Return the number of each image's group of images joined by links, in order of first appearance."""
    graph = coo_array((np.ones(len(links), dtype=bool), (links[:, 0], links[:, 1])), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _normalise(images: Images) -> Float32[np.ndarray, "stimulus channel height width"]:
    """Subtract each image's mean and scale to unit norm; a blank image becomes exactly 0."""
    values = images.astype(np.float32)
    blank = np.ptp(values, axis=(1, 2, 3)) <= 1e-6 * np.abs(values).max(axis=(1, 2, 3))
    values -= values.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
    norm = np.sqrt(np.einsum("ichw,ichw->i", values, values))
    norm[blank] = np.inf
    values /= norm[:, None, None, None]
    return values


def _screen(unit: Float32[np.ndarray, "stimulus channel height width"]) -> Float32[np.ndarray, "stimulus cell"]:
    """Project on orthonormal block averages: sums over blocks, divided by the root of the block's size."""
    for axis in (2, 3):
        step = -(-unit.shape[axis] // SCREEN_SIDE)
        edges = np.arange(0, unit.shape[axis], step)
        size = np.diff(np.append(edges, unit.shape[axis])).astype(np.float32)
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        unit = np.add.reduceat(unit, edges, axis=axis) / np.sqrt(size).reshape(shape)
    return unit.reshape(len(unit), -1)


def _find_pairs(
    images: Images, screen: Float32[np.ndarray, "stimulus cell"], blank: np.ndarray, rows: slice, limit: float
) -> Int[np.ndarray, "pair 2"]:
    """List the near-identical pairs whose first image is in one chunk and whose second comes later."""
    start = rows.start
    energy = np.einsum("ic,ic->i", screen, screen)
    distance = energy[rows, None] + energy[None, start:] - 2 * (screen[rows] @ screen[start:].T)
    close = np.triu(distance <= 2 * (1 - limit), k=1)
    close &= ~blank[rows, None] & ~blank[None, start:]
    found = [np.empty((0, 2), dtype=np.int64)]
    first = np.flatnonzero(close.any(axis=1))
    other = np.flatnonzero(close.any(axis=0))
    if not len(first):
        return found[0]
    one = _normalise(images[start + first]).reshape(len(first), -1)
    for begin in range(0, len(other), CHUNK):
        part = other[begin : begin + CHUNK]
        two = _normalise(images[start + part]).reshape(len(part), -1)
        is_pair = (one @ two.T >= limit) & close[np.ix_(first, part)]
        row, column = np.nonzero(is_pair)
        found.append(start + np.stack([first[row], part[column]], axis=1))
    return np.concatenate(found)
