"""Which correlations of maps are chance: those of maps of responses with maps of other images."""

import numpy as np
import xarray as xr
from jaxtyping import Float32, Int8

from dina.statistics.correlation import correlate_rows

FEWEST_PAIRS, MOST_PAIRS = 500, 2000  # of a response and another image, whose maps say what chance is
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


def _range_of_correlations(
    neural: Int8[np.ndarray, "image place"], image: Int8[np.ndarray, "image place"], row: np.ndarray, other: np.ndarray
) -> tuple[float, float]:
    """Return the central 95 % of the correlations over places of one map with another, some pairs at a time."""
    parts = np.array_split(np.arange(len(row)), max(1, len(row) * neural.shape[1] // VALUES_AT_ONCE))
    found = np.concatenate([correlate_rows(neural[row[part]].astype(float), image[other[part]].astype(float)) for part in parts])
    known = found[np.isfinite(found)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)
