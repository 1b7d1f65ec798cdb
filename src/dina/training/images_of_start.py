"""The training images that a closed-form start reads: those of all recordings, each once, as many as there is room for."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dina.data.pairs import Pairs
from dina.shapes import ContrastImages
from dina.training.batches import RecordingPairs

MANY_IMAGES = 4096  # of more training images, as many as there is room for their maps
MAP_BYTES = 2**28


def with_enough_images(recordings: Sequence[RecordingPairs], map_size: int) -> tuple[Sequence[RecordingPairs], dict[str, str]]:
    """Return recordings with as many training images as have maps of a quarter of a gigabyte, at least 4,096, and what was left out in words.

    ``map_size`` is the number of values in a map, which is held in half precision.
    """
    most = max(MANY_IMAGES, MAP_BYTES // (2 * map_size))
    largest = max(each.train.n_stimuli for each in recordings)
    if largest <= most:
        return recordings, {}
    limited = [replace(each, train=each.train.at_most(most)) for each in recordings]
    return limited, {"training_images_read": f"{most:,} of {largest:,}"}


def union_of(parts: Sequence[Pairs]) -> tuple[ContrastImages, list[Tensor]]:
    """Return the training images of all recordings, each once, and the rows of each recording's images among them."""
    position: dict[tuple[int, bytes], int] = {}
    images: list[np.ndarray] = []
    rows = []
    for part in parts:
        of_part = []
        for identity, image in zip(part.stimulus_id, part.images, strict=True):
            # under another condition the same identity has other pixels
            key = (int(identity), image[:, ::4, ::4].tobytes())
            if key not in position:
                position[key] = len(images)
                images.append(image)
            of_part.append(position[key])
        rows.append(torch.tensor(of_part))
    return np.stack(images), rows


def maps_at(maps: Tensor, rows: Tensor) -> Tensor:
    """Return some maps; no copy is made of all in order, which take hundreds of megabytes."""
    if len(rows) == len(maps) and bool((rows == torch.arange(len(maps))).all()):
        return maps
    return maps[rows.to(maps.device)]
