"""Single frequencies that stand for a curve: where it reaches a level, and where what it gathers ends."""

import numpy as np
from jaxtyping import Float


def frequency_reaching(
    frequency: Float[np.ndarray, "cutoff"], curve: Float[np.ndarray, "*resample cutoff"], level: Float[np.ndarray, "*resample"]
) -> Float[np.ndarray, "*resample"]:
    """Return the lowest frequency from which on a curve stays at its level or above, interpolated on a logarithmic axis.

    Parameters
    ----------
    frequency
        Rising, any unit.
    curve
        Along its last axis; the other axes are resamples.
    level
        One for each resample.

    Returns
    -------
    frequency
        Unit as given; the lowest one where the curve never lies below the level; NaN where it ends below.

    Examples
    --------
    >>> float(frequency_reaching(np.array([1.0, 4.0, 16.0]), np.array([0.0, 1.0, 1.0]), np.array(0.5)).round(3))
    2.0
    """
    below = curve < level[..., None]
    n = len(frequency)
    last = n - 1 - np.argmax(below[..., ::-1], axis=-1)  # the last point below the level
    before = np.minimum(last, n - 2)
    low, high = (np.take_along_axis(curve, place[..., None], axis=-1)[..., 0] for place in (before, before + 1))
    step = np.where(high > low, (level - low) / np.where(high > low, high - low, 1.0), 1.0)
    octave = np.log(frequency)
    found = np.exp(octave[before] + step * (octave[before + 1] - octave[before]))
    found = np.where(below.any(axis=-1), found, frequency[0])
    result: np.ndarray = np.where(below[..., -1], np.nan, found)
    return result


def density_per_octave(
    frequency: Float[np.ndarray, "cutoff"], gathered: Float[np.ndarray, "*resample cutoff"]
) -> Float[np.ndarray, "*resample cutoff"]:
    """Return how fast a curve rises per octave, smoothed with its neighbours (¼, ½, ¼).

    Examples
    --------
    >>> density_per_octave(np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.0, 0.25, 0.5, 0.75])).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    slope = np.gradient(gathered, np.log2(frequency), axis=-1)
    padded = np.concatenate([slope[..., :1], slope, slope[..., -1:]], axis=-1)
    smooth: np.ndarray = 0.25 * padded[..., :-2] + 0.5 * padded[..., 1:-1] + 0.25 * padded[..., 2:]
    return smooth


def upper_edge(
    frequency: Float[np.ndarray, "cutoff"], gathered: Float[np.ndarray, "*resample cutoff"]
) -> Float[np.ndarray, "*resample"]:
    """Return the frequency above which a curve that gathers something with frequency gathers at less than half its best rate.

    It is the upper flank, at half height, of `density_per_octave`. Where the tuning of neurons ends at a sharp limit
    the flank lies at that limit, however much was gathered below it.

    Returns
    -------
    frequency
        Unit as given; NaN where the rate never falls to half, or nothing is gathered.

    Examples
    --------
    >>> frequency = 2.0 ** np.arange(8)
    >>> float(upper_edge(frequency, np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0])).round(3))
    16.0
    """
    rate = density_per_octave(frequency, gathered)
    peak = np.argmax(rate, axis=-1)
    half = 0.5 * np.take_along_axis(rate, peak[..., None], axis=-1)[..., 0]
    place = np.arange(len(frequency))
    has_fallen = (rate < half[..., None]) & (place > peak[..., None])
    after = np.argmax(has_fallen, axis=-1)
    before = np.maximum(after - 1, 0)
    high, low = (np.take_along_axis(rate, at[..., None], axis=-1)[..., 0] for at in (before, after))
    step = (high - half) / np.where(high > low, high - low, 1.0)
    octave = np.log(frequency)
    found = np.exp(octave[before] + step * (octave[after] - octave[before]))
    result: np.ndarray = np.where(has_fallen.any(axis=-1) & (half > 0), found, np.nan)
    return result
