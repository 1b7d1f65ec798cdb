"""Retrieval against spatial frequency, image by image, and single frequencies that summarise a curve."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dina.analyses.paired_resampling import PairedResampling, share_of

# Quantile of the null that the full gallery must pass for a frequency to be given.
SOMETHING = 0.975


@dataclass(frozen=True, eq=False)
class FrequencyCurves:
    """Retrieval from each gallery, image by image; all frequencies are in cycles/degree or cycles/pixel.

    ``frequency`` holds the cut-offs, rising, then the corner of the frequency plane, where nothing is removed. Tables are those
    of `first_places`: ``low_pass`` at each cut-off, ``bands`` for each octave alone (centres ``band_frequency``, rising),
    ``replaced`` with content of other images everywhere, above each cut-off, and nowhere; ``highest`` with it everywhere but
    in the highest octave. ``margin`` is the score of each candidate above the mean of the others in the galleries of ``replaced``.
    """

    frequency: Float[np.ndarray, "cutoff"]
    band_frequency: Float[np.ndarray, "band"]
    nyquist: float
    low_pass: Float[np.ndarray, "cutoff image candidate"]
    bands: Float[np.ndarray, "band image candidate"]
    replaced: Float[np.ndarray, "condition image candidate"]
    highest: Float[np.ndarray, "image candidate"]
    margin: Float[np.ndarray, "condition image candidate"]

    @property
    def n_images(self) -> int:
        """Number of queries, and of candidates."""
        return int(self.low_pass.shape[1])

    def matched_signal(self, resampling: PairedResampling) -> Float[np.ndarray, "row cutoff"]:
        """Return the share of the matched signal below each cut-off, in the rows of `PairedResampling.over_tables`.

        It is 0 if all content comes from other images (donors share only contrast) and 1 if none does.
        """
        rows = resampling.over_tables(self.margin, None)
        whole = rows[:, -1:] - rows[:, :1]
        shares: np.ndarray = (rows[:, 1:] - rows[:, :1]) / np.where(np.abs(whole) > 1e-12, whole, np.nan)
        return shares

    def kept(self, resampling: PairedResampling) -> Float[np.ndarray, "row cutoff_and_highest"]:
        """Return the share of accuracy kept below each cut-off, then in the highest octave alone, with everything else from other images.

        It is the share of what the full gallery finds beyond the gallery of donors alone: donors share
        contrast with the true images, and contrast alone may find many images. Rows as in `PairedResampling.over_differences`:
        under the null a gallery and the one of donors are exchanged, because both then find images by contrast alone.
        """
        correct = np.diagonal(np.concatenate([self.replaced, self.highest[None]]), axis1=1, axis2=2)
        beyond = correct[1:] - correct[0]
        # an imagined image that a gallery finds, or misses, is missed, or found, by the full one and by that of donors alike
        whole = resampling.over_differences(beyond[-2:-1], (0.0, 0.0))[:, 0]
        return share_of(resampling.over_differences(beyond), whole)

    def median_frequency(self, resampling: PairedResampling) -> Float[np.ndarray, "row"]:
        """Return the frequency below which half of the matched signal lies; rows as in `matched_signal`."""
        matched = self.matched_signal(resampling)
        return frequency_reaching(self.frequency, matched, np.full(len(matched), 0.5))

    def profile(self, resampling: PairedResampling) -> dict[str, Float[np.ndarray, "row"]]:
        """Return shares kept and median frequency, by the names of their findings, in the rows of `PairedResampling.over_tables`."""
        full = resampling.over_tables(self.low_pass[-1:])[:, 0]
        shares = kept_below(self.frequency, self.nyquist, self.kept(resampling)[:, :-1])
        return {**shares, "median_frequency": where_read(self.median_frequency(resampling), full, resampling)}


def kept_below(
    frequency: Float[np.ndarray, "cutoff"], nyquist: float, shares: Float[np.ndarray, "row cutoff"]
) -> dict[str, Float[np.ndarray, "row"]]:
    """Return the share kept below half and below a quarter of the Nyquist limit, by the names of their findings."""
    ends = {"kept_without_highest_octave": nyquist / 2, "kept_lowest_octaves": nyquist / 4}
    return {name: shares[:, int(np.argmin(np.abs(np.log2(frequency / end))))] for name, end in ends.items()}


def where_read(
    rows: Float[np.ndarray, "row"], full: Float[np.ndarray, "row"], resampling: PairedResampling
) -> Float[np.ndarray, "row"]:
    """Return a statistic only in those rows in which the full gallery is searched better than chance, else NaN."""
    threshold = np.quantile(full[1 + resampling.n_resamples :], SOMETHING)
    chosen: np.ndarray = np.where(full > threshold, rows, np.nan)
    return chosen


def frequency_reaching(
    frequency: Float[np.ndarray, "cutoff"], curve: Float[np.ndarray, "*resample cutoff"], level: Float[np.ndarray, "*resample"]
) -> Float[np.ndarray, "*resample"]:
    """Return the lowest frequency from which on a curve stays at its level or above, interpolated on a logarithmic axis.

    It is the lowest frequency given where the curve never lies below the level, and NaN where it ends below.
    """
    below = curve < level[..., None]
    n = len(frequency)
    last = n - 1 - np.argmax(below[..., ::-1], axis=-1)  # the last point below the level
    before = np.minimum(last, n - 2)
    low, high = (np.take_along_axis(curve, place[..., None], axis=-1)[..., 0] for place in (before, before + 1))
    step = np.where(high > low, (level - low) / np.where(high > low, high - low, 1.0), 1.0)
    step = step.clip(0, 1)  # beyond, a curve that never crosses its level would overflow before it is set aside
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
    """Return the frequency above which a curve rises with frequency at less than half its highest rate.

    It is the upper flank, at half height, of `density_per_octave`. Where the tuning of neurons ends at a sharp limit the
    flank lies at that limit, however much the curve rose below it. NaN where the rate never falls to half, or the curve never rises.
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
