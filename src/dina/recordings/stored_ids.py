"""Stimulus ids as a file holds them: which of them name an image, and what they are when the first image is 0."""

import numpy as np
from jaxtyping import Bool, Int

from dina.checks import DataError

_MOST_DROPPED = 3  # ids that a refusal proposes to drop: a grey screen has one, more are images that are missing


def count_from_0(
    ids: Int[np.ndarray, "trial"], keep: Bool[np.ndarray, "trial"], index_base: int, n_images: int, missing: str = ""
) -> Int[np.ndarray, "trial"]:
    """Return ids such that the first image is 0; every number in a refusal is one of the file.

    Parameters
    ----------
    ids
        As stored, of all trials.
    keep
        Which trials stay; ids of the others may be any number.
    index_base
        What the file calls the first image.
    n_images
        How many images there are.
    missing
        Which pictures seem to be missing, as `say_missing` tells it.

    Raises
    ------
    DataError
        If a trial that stays names no image. That all ids seem to count from 1 is left for `dina.Recording` to say.
    """
    first, last = index_base, n_images - 1 + index_base
    outside = keep & ((ids < first) | (ids > last))
    kept = ids[keep]
    if not outside.any() or (index_base == 0 and kept.min() >= 1 and kept.max() == n_images):
        return np.asarray(ids - index_base)
    at = int(np.argmax(outside))
    why = ", as index_base = 1 says" if index_base else ""
    raise DataError(
        f"stimulus_id must run from {first} to {last} for {n_images} images{why}; got {int(ids[at])} at trial {at}"
        f" ({int(outside.sum())} of {len(ids)} trials are outside). {f'{missing}: give what is missing. ' if missing else ''}{_advise(np.unique(kept), index_base, n_images)}"
    )


def _advise(known: np.ndarray, index_base: int, n_images: int) -> str:
    """Say what to write under [stimulus_id], in numbers of the file; ``known`` are the ids that occur."""
    from_0, from_1 = (known[(known < base) | (known > n_images - 1 + base)] for base in (0, 1))
    if index_base == 1 and not from_0.size:
        return "If ids count from 0, leave index_base out; if 0 is a grey screen, say drop = [0] under [stimulus_id]."
    if from_0.tolist() == [n_images] and from_1.tolist() == [0]:
        return (
            f"If ids count from 0 and {n_images} is a grey screen, say index_base = 0 and drop = [{n_images}] under [stimulus_id]; if they"
            " count from 1 and 0 is a grey screen, index_base = 1 and drop = [0]; else give all images."
        )
    seem_from_1 = index_base == 0 and 0 not in known
    odd = from_1 if index_base == 1 or seem_from_1 else from_0
    if odd.size > _MOST_DROPPED:
        return "Give all images. If they are all there, state their axes under [images]."
    drop = f"drop = [{', '.join(map(str, odd.tolist()))}]"
    if not seem_from_1:
        return (
            f"If images are missing, also in the middle, give them all; if that is a grey screen, say {drop} under [stimulus_id]."
        )
    return f"If ids count from 1, as they seem to, and the rest is a grey screen, say index_base = 1 and {drop} under [stimulus_id]; else give all images."
