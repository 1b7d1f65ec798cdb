"""Which spatial frequencies suffice for towers that were fitted on nothing else."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field

from dina.analyses.decoded import Decoded
from dina.analyses.image_filters import NYQUIST, low_pass_gain
from dina.analyses.paired_galleries import PairedResampling
from dina.analyses.refitted_towers import refit_first_places, unchanged_first_places
from dina.analyses.resampled_finding import curve_variables, resampled_finding
from dina.analyses.shares import NOTHING_READ, NULL, kept
from dina.analyses.spatial_frequency.compute import frequency_units
from dina.analyses.spatial_frequency.frequency_findings import cutoff_findings, kept_findings
from dina.analyses.spatial_frequency.frequency_galleries import Equaliser
from dina.analyses.spatial_frequency.frequency_grid import FrequencyGrid
from dina.progress import track
from dina.statistics.finding import Finding


class SpatialFrequencyRefitSettings(BaseModel):
    """At which frequencies.

    Parameters
    ----------
    cutoffs_per_octave
        Density of cut-off frequencies; each costs a fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cutoffs_per_octave: int = Field(1, ge=1)


DEFAULTS = SpatialFrequencyRefitSettings()


@dataclass(frozen=True, eq=False)
class SpatialFrequencyRefitResult:
    """Retrieval by towers fitted on filtered images.

    Parameters
    ----------
    frequency
        Cut-offs, rising; nothing is removed at the last.
    low_pass
        Chance of each candidate to come first, for towers fitted below each cut-off.
    highest
        The same for towers fitted on what lies above half the Nyquist limit.
    nyquist, units
        Highest frequency along an axis; "cycles/degree" or "cycles/pixel".
    resampling
        Bootstrap and permutations of the test images.
    """

    frequency: Float[np.ndarray, "cutoff"]
    low_pass: Float[np.ndarray, "cutoff image candidate"]
    highest: Float[np.ndarray, "image candidate"]
    nyquist: float
    units: str
    resampling: PairedResampling

    def to_dataset(self) -> xr.Dataset:
        """Return accuracy against cut-off with interval and null."""
        rows = self.resampling.over_tables(self.low_pass)
        return xr.Dataset(
            curve_variables("refit_top1", "cutoff", rows, "top-1 accuracy of towers fitted below the cut-off"),
            coords={"cutoff": ("cutoff", self.frequency, {"units": self.units, "long_name": "cut-off frequency"})},
            attrs={"nyquist": self.nyquist, "n_images": len(self.highest), "null": NULL},
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return cut-offs and kept shares; see `docs/image-side.md`."""
        n, rows = len(self.highest), self.resampling.over_tables(self.low_pass)
        full = rows[:, -1]
        alone = kept(self.resampling.over_tables(self.highest[None]), full, n)[:, 0]
        return (
            resampled_finding("refit_top1_full", full, "1", n, NULL),
            *cutoff_findings(
                "refit_low_pass_cutoff", self.frequency, rows, self.resampling, self.units, np.full_like(full, 1 / n)
            ),
            *kept_findings("refit_", self.frequency, self.nyquist, kept(rows, full, n), n, NULL, NOTHING_READ),
            resampled_finding("refit_kept_highest_octave", alone, "1", n, NULL, NOTHING_READ),
        )


def analyse_spatial_frequency_refit(
    decoded: Decoded, settings: SpatialFrequencyRefitSettings = DEFAULTS
) -> SpatialFrequencyRefitResult:
    """Fit towers on low-passed images, once for each cut-off, and once on the highest octave alone.

    Nothing is unlike what the towers know, and no tower is asked to look away from what it was taught: what is lost is what
    the responses tell about the frequencies that are missing. It takes as many fits as there are cut-offs, and one more.

    Parameters
    ----------
    decoded
        What to fit again.
    settings
        How many cut-offs.

    Raises
    ------
    DataError
        If there are no towers, or none can be fitted on filtered images.
    """
    images = decoded.test.images
    height, width = images.shape[2:]
    grid = FrequencyGrid.of(height, width, settings.cutoffs_per_octave)
    equaliser = Equaliser.learn(decoded.train.images)
    highest = 1 - low_pass_gain(height, width, NYQUIST / 2)
    gains = {f"below {cutoff:.6f}": low_pass_gain(height, width, float(cutoff)) for cutoff in grid.cutoffs} | {"highest": highest}
    full = unchanged_first_places(decoded)
    tables = [
        refit_first_places(decoded, name, partial(equaliser.filter, gain=gain))
        for name, gain in track(gains.items(), "Fitting on filtered images", total=len(gains))
    ]
    scale = 1.0 if decoded.recording.deg_per_pixel is None else 1 / decoded.recording.deg_per_pixel
    return SpatialFrequencyRefitResult(
        frequency=scale * grid.ends,
        low_pass=np.stack([*tables[:-1], full]),
        highest=tables[-1],
        nyquist=NYQUIST * scale,
        units=frequency_units(decoded.recording),
        resampling=PairedResampling.draw(len(full), decoded.n_resamples, decoded.seed),
    )
