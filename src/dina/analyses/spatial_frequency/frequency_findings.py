"""What retrieval by spatial frequency comes down to: cut-offs, an edge, a best octave and shares, with nulls."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dina.analyses.paired_galleries import PairedResampling
from dina.analyses.resampled_finding import resampled_finding
from dina.analyses.shares import FOREIGN_EXCHANGED, NULL, ONLY_CONTRAST, share_of
from dina.analyses.spatial_frequency.frequency_statistics import frequency_reaching, upper_edge
from dina.statistics.finding import Finding

NULL_WHERE_DEFINED = NULL + ", where they find more than chance"
NOTHING_READ = "The full gallery is searched no better than chance, so that no frequency can be said to carry the decoding."
SOMETHING = 0.975
"""Quantile of the null that the full gallery must pass for a frequency to be spoken of."""


@dataclass(frozen=True, eq=False)
class FrequencyCurves:
    """What queries found in each gallery, image by image.

    Parameters
    ----------
    frequency
        Cut-offs, rising, then the corner of the frequency plane, where nothing is removed; unit as the recording allows.
    band_frequency
        Centres of the octaves, rising, same unit.
    nyquist
        Highest frequency that the pixels show along an axis, same unit.
    low_pass
        Chance of each candidate to come first at each cut-off (`first_places`), the last one unfiltered.
    bands
        The same for each octave alone.
    replaced
        The same with foreign content everywhere, above each cut-off, and nowhere: one more than there are cut-offs.
    highest
        The same with foreign content everywhere but in the highest octave, shape ``(n_images, n_images)``.
    margin
        Score of each candidate above the mean of the others in the galleries of ``replaced``; unit of the scores.
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

        0 where all content is foreign (what is left there comes from contrast, which donors share), 1 where none is.
        """
        rows = resampling.over_tables(self.margin)
        all_of_it = rows[:, -1:] - rows[:, :1]
        shares: np.ndarray = (rows[:, 1:] - rows[:, :1]) / np.where(np.abs(all_of_it) > 1e-12, all_of_it, np.nan)
        return shares

    def kept(self, resampling: PairedResampling) -> Float[np.ndarray, "row cutoff_and_highest"]:
        """Return the share of accuracy kept below each cut-off, then in the highest octave alone, with all else foreign.

        It is the share of what the full gallery finds beyond the one in which everything is foreign: donors share contrast
        with the true images, and contrast alone may find many. Rows as in `PairedResampling.over_differences`: under the
        null a gallery and the foreign one are exchanged, because where nothing is kept both find what contrast finds.
        """
        own = np.diagonal(np.concatenate([self.replaced, self.highest[None]]), axis1=1, axis2=2)
        beyond = resampling.over_differences(own[1:] - own[0])
        return share_of(beyond, beyond[:, -2])

    def profile(self, resampling: PairedResampling) -> dict[str, Float[np.ndarray, "row"]]:
        """Return shares kept and median frequency, by the names of their findings, in the rows of `PairedResampling.over_tables`."""
        full = resampling.over_tables(self.low_pass[-1:])[:, 0]
        matched = self.matched_signal(resampling)
        median = frequency_reaching(self.frequency, matched, np.full(len(matched), 0.5))
        kept = _kept_below(self.frequency, self.nyquist, self.kept(resampling)[:, :-1])
        return {**kept, "median_frequency": where_read(median, full, resampling)}


def frequency_findings(curves: FrequencyCurves, resampling: PairedResampling, units: str) -> tuple[Finding, ...]:
    """Return every finding of retrieval by spatial frequency.

    Parameters
    ----------
    curves
        From `dina.analyses.spatial_frequency.compute.measure_curves`.
    resampling
        Over the same images.
    units
        Of the frequencies.
    """
    n, frequency = curves.n_images, curves.frequency
    low_pass, bands, replaced = (resampling.over_tables(part) for part in (curves.low_pass, curves.bands, curves.replaced))
    kept = curves.kept(resampling)
    full, foreign, matched = low_pass[:, -1], replaced[:, 0], curves.matched_signal(resampling)
    spoken_of = {
        "frequency_edge": upper_edge(frequency, matched),
        "median_frequency": frequency_reaching(frequency, matched, np.full(len(matched), 0.5)),
        "best_band_frequency": curves.band_frequency[np.argmax(bands, axis=1)],
    }
    return (
        resampled_finding("top1_full", full, "1", n, NULL),
        *cutoff_findings("low_pass_cutoff", frequency, low_pass, resampling, units, np.full_like(full, 1 / n)),
        *cutoff_findings("replaced_cutoff", frequency, replaced[:, 1:], resampling, units, foreign),
        *(
            resampled_finding(name, where_read(rows, full, resampling), units, n, NULL_WHERE_DEFINED, NOTHING_READ)
            for name, rows in spoken_of.items()
        ),
        resampled_finding("best_band_top1", bands.max(axis=1), "1", n, NULL + ", best octave of each"),
        *kept_findings("", frequency, curves.nyquist, kept[:, :-1], n, FOREIGN_EXCHANGED, ONLY_CONTRAST),
        resampled_finding("kept_highest_octave", kept[:, -1], "1", n, FOREIGN_EXCHANGED, ONLY_CONTRAST),
    )


def kept_findings(
    prefix: str,
    frequency: Float[np.ndarray, "cutoff"],
    nyquist: float,
    shares: Float[np.ndarray, "row cutoff"],
    n_images: int,
    null: str,
    reason: str,
) -> list[Finding]:
    """Return which share of the accuracy is kept below half, and below a quarter, of the Nyquist limit.

    Parameters
    ----------
    prefix
        Put before each name.
    frequency
        Cut-offs, rising; at the last one nothing is changed.
    nyquist
        Of the pixels, same unit.
    shares
        Share kept, in the rows of `PairedResampling.over_tables`.
    n_images
        Number of queries, and of candidates.
    null
        What the shares are under the null, in words.
    reason
        Why there is no share, where there is none.
    """
    found = []
    for name, rows in _kept_below(frequency, nyquist, shares).items():
        found.append(resampled_finding(prefix + name, rows, "1", n_images, null, reason))
    return found


def _kept_below(
    frequency: Float[np.ndarray, "cutoff"], nyquist: float, shares: Float[np.ndarray, "row cutoff"]
) -> dict[str, Float[np.ndarray, "row"]]:
    ends = {"kept_without_highest_octave": nyquist / 2, "kept_lowest_octaves": nyquist / 4}
    return {name: shares[:, int(np.argmin(np.abs(np.log2(frequency / end))))] for name, end in ends.items()}


def cutoff_findings(
    name: str,
    frequency: Float[np.ndarray, "cutoff"],
    accuracy: Float[np.ndarray, "row cutoff"],
    resampling: PairedResampling,
    units: str,
    floor: Float[np.ndarray, "row"],
) -> list[Finding]:
    """Return from where on a curve keeps half, and 90 %, of what the full gallery's accuracy has above a floor.

    Parameters
    ----------
    name
        Gets ``_half`` and ``_ninety`` appended.
    frequency, resampling, units
        Cut-offs; what made the rows; unit of the frequencies.
    accuracy
        Rows of the curve; the last cut-off removes nothing.
    floor
        Accuracy, in the same rows, of a gallery that shows nothing: chance, or where all content is foreign.
    """
    n, full = resampling.counts.shape[1], accuracy[:, -1]
    found = []
    for ending, share in (("half", 0.5), ("ninety", 0.9)):
        level = floor + share * (full - floor)
        rows = where_read(frequency_reaching(frequency, accuracy, level), full, resampling)
        found.append(resampled_finding(f"{name}_{ending}", rows, units, n, NULL_WHERE_DEFINED, NOTHING_READ))
    return found


def where_read(
    rows: Float[np.ndarray, "row"], full: Float[np.ndarray, "row"], resampling: PairedResampling
) -> Float[np.ndarray, "row"]:
    """Return a statistic only in those rows in which the full gallery is searched better than chance, else NaN."""
    threshold = np.quantile(full[1 + resampling.n_resamples :], SOMETHING)
    chosen: np.ndarray = np.where(full > threshold, rows, np.nan)
    return chosen
