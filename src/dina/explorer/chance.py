"""What the explorer shows as chance: of correlations of maps, of what single images lose, and of fits to single neurons."""

import math

import numpy as np
import xarray as xr
from jaxtyping import Float, Float32, Int8

from dina.statistics.correlation import correlate_rows

FEWEST_PAIRS, MOST_PAIRS = 500, 2000  # of a response and another image, whose maps say what chance is
USUAL = 0.95  # at least, of the images where there are enough of them
FEWEST_IMAGES = 3  # that say what is usual
Z = 1.96  # of the central 95 % of a normal distribution
VALUES_AT_ONCE = 4_000_000  # of maps


def chance_of_maps(kept: xr.Dataset) -> Float32[np.ndarray, "channel_and_all 2"]:
    """Return between which correlations 95 of 100 maps of responses lie with maps of other images: of each channel, and last of all.

    As many pairs as there are images are compared, more of few images, at most 2,000. NaN where no correlation is known.
    """
    image, neural = kept["image_maps"].to_numpy(), kept["neural_maps"].to_numpy()
    n, n_channels = image.shape[:2]
    if n < 2:
        return np.full((n_channels + 1, 2), np.nan, dtype=np.float32)
    rows = np.linspace(0, n - 1, min(n, MOST_PAIRS)).round().astype(int)
    shifts = np.unique(np.linspace(1, n - 1, min(n - 1, -(-FEWEST_PAIRS // len(rows)))).round().astype(int))
    row, other = np.tile(rows, len(shifts)), np.concatenate([(rows + shift) % n for shift in shifts])
    found = []
    for channel in (*range(n_channels), slice(None)):
        of_response, of_image = (maps[:, channel].reshape(n, -1) for maps in (neural, image))
        found.append(_range_of_correlations(of_response, of_image, row, other))
    return np.array(found, dtype=np.float32)


def usual_range(values: Float[np.ndarray, "image *_"]) -> tuple[Float32[np.ndarray, "2 *_"], float]:
    """Return the range in which most images lie, for each place or neuron, and the share of images that lie on each side outside it.

    The ends are those of the k-th image from below and from above without k images on each side, k / n up to 2.5 % but at least one
    image. An image that is like the others therefore lies above the range with exactly the probability that is returned (apart from
    ties). Both are NaN of fewer than three images.

    Examples
    --------
    >>> usual_range(np.array([4.0, 1.0, 2.0, 5.0, 3.0]))
    (array([2., 4.], dtype=float32), 0.2)
    """
    n = len(values)
    if n < FEWEST_IMAGES:
        return np.full((2, *values.shape[1:]), np.nan, dtype=np.float32), math.nan
    k = max(1, math.floor((1 - USUAL) / 2 * n + 1e-9))
    ordered = np.sort(values, axis=0)
    return ordered[[k, n - 1 - k]].astype(np.float32), k / n


def chance_of_fit(n_images: int) -> float:
    """Return the correlation that 2.5 of 100 useless fits exceed over so many images, by Fisher's transformation; NaN of too few.

    Examples
    --------
    >>> round(chance_of_fit(50), 3)
    0.278
    """
    return math.tanh(Z / math.sqrt(n_images - 3)) if n_images > 3 else math.nan


def _range_of_correlations(
    neural: Int8[np.ndarray, "image place"], image: Int8[np.ndarray, "image place"], row: np.ndarray, other: np.ndarray
) -> tuple[float, float]:
    """Return the central 95 % of the correlations over places of one map with another, some pairs at a time."""
    parts = np.array_split(np.arange(len(row)), max(1, len(row) * neural.shape[1] // VALUES_AT_ONCE))
    found = np.concatenate([correlate_rows(neural[row[part]].astype(float), image[other[part]].astype(float)) for part in parts])
    known = found[np.isfinite(found)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)
