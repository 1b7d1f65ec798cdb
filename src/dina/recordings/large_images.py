"""Images larger than any tower can use, reduced by averaging square blocks of pixels; positions stay in pixels of the images given."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from dina.recordings.recording import Recording

MOST_PIXELS = 2**17  # of an image that is used as it is, for example 256 x 512

Positions = TypeVar("Positions", float, Float[np.ndarray, "..."])


def reduce_images(recording: Recording) -> Recording:
    """Average the images of a recording over blocks of pixels if they have more than 131,072; else return the recording itself.

    Blocks are the smallest squares that are enough; those at the right and lower border may hold fewer pixels. 8-bit images stay
    8-bit. A note says what was done, and ``block_px`` keeps the side of the blocks.

    Examples
    --------
    >>> block_side(200, 400), block_side(1080, 1920)
    (1, 4)
    """
    n, n_channels, height, width = recording.images.shape
    side = block_side(height, width)
    if side == 1:
        return recording
    size = -(-height // side), -(-width // side)
    images = np.empty((n, n_channels, *size), dtype=recording.images.dtype)
    for number, image in enumerate(recording.images):
        blocks = _average(image, side)
        images[number] = np.round(blocks) if images.dtype == np.uint8 else blocks
    note = (
        f"Images of {height} x {width} pixels are larger than towers can use: blocks of {side} x {side} pixels were averaged, which"
        f" gives {size[0]} x {size[1]}. Positions and sizes are in pixels of the images given."
    )
    degrees = recording.deg_per_pixel
    return replace(
        recording,
        images=images,
        block_px=side * (recording.block_px or 1),
        deg_per_pixel=None if degrees is None else degrees * side,
        notes=(*recording.notes, note),
    )


def block_side(height: int, width: int) -> int:
    """Return the side, in pixels, of the blocks over which images of this size are averaged; 1 for none."""
    side = 1
    while -(-height // side) * -(-width // side) > MOST_PIXELS:
        side += 1
    return side


def length_given(recording: Recording, length: Positions) -> Positions:
    """Return a length in pixels of the images that are used in pixels of the images given; also "pixels per cycle"."""
    return length if recording.block_px is None else length * recording.block_px


def position_given(recording: Recording, position: Positions) -> Positions:
    """Return a row or column of the images that are used, counted from 0, as one of the images given.

    Examples
    --------
    The middle of a block of four pixels lies between its second and its third:

    >>> images = np.arange(128, dtype=np.uint8).reshape(2, 1, 8, 8)
    >>> responses = np.arange(4, dtype=np.float32).reshape(2, 2)
    >>> position_given(Recording("blocks", images, np.arange(2), responses, block_px=4), 0.0)
    1.5
    """
    return position if recording.block_px is None else (position + 0.5) * recording.block_px - 0.5


def _average(image: np.ndarray, side: int) -> np.ndarray:
    for axis in (1, 2):
        edges = np.arange(0, image.shape[axis], side)
        sizes = np.diff(np.append(edges, image.shape[axis])).astype(np.float32)
        image = np.add.reduceat(image, edges, axis=axis, dtype=np.float32)
        image /= sizes[:, None] if axis == 1 else sizes
    return image
