"""Find images that are the same or nearly so, so that no split puts one into training and its twin into the test."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dina.checks import DataError
from dina.shapes import Images

SCREEN_SIDE = 40
"""Images are screened at this many cells a side, at most."""

CHUNK = 512
"""Images compared with all others at a time."""


def group_near_identical(images: Images, threshold: float = 0.999) -> Int[np.ndarray, "stimulus"]:
    r"""Give each image the number of its group of near-identical images.

    Two images are near-identical if the correlation of their pixels is at least ``threshold``: the same picture,
    also brighter, darker, with more or less contrast, or with a few pixels changed. Groups are closed under chains:
    if A is similar to B and B to C, all three are one group. All blank images are one group.

    Parameters
    ----------
    images
        Pixels as stored, any unit, shape ``(n_stimuli, n_channels, height, width)``, finite.
    threshold
        Correlation in (0, 1].

    Returns
    -------
    group
        Group number of each image, 0-based in order of first appearance, shape ``(n_stimuli,)``.

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
    for start in range(0, n, CHUNK):
        links.append(_find_pairs(images, screen, blank, start, limit))
    pairs = np.concatenate(links)
    return _number_components(pairs, n)


def merge_groups(groups: Sequence[Int[np.ndarray, "stimulus"]]) -> Int[np.ndarray, "stimulus"]:
    """Join images that are one group in any of several groupings, as when one image set has other pixels in each.

    Parameters
    ----------
    groups
        At least one, each from `group_near_identical`, of the same images; their order does not matter.

    Returns
    -------
    group
        Group number of each image, numbered as by `group_near_identical`; closed under chains through all groupings.

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
    """Give each image the number of the group that links join it to, in order of first appearance."""
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
    images: Images, screen: Float32[np.ndarray, "stimulus cell"], blank: np.ndarray, start: int, limit: float
) -> Int[np.ndarray, "pair 2"]:
    """List the near-identical pairs whose first image is in one chunk and whose second comes later."""
    rows = slice(start, start + CHUNK)
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
