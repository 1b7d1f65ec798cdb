"""Which spatial frequencies carry the decoding: retrieval from filtered galleries by towers that stay as they are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Int
from pydantic import BaseModel, ConfigDict, Field

from dina.analyses.decoded import Decoded
from dina.analyses.image_filters import NYQUIST, make_hybrids
from dina.analyses.paired_galleries import (
    PairedResampling,
    TestQueries,
    choose_test_images,
    first_places,
    margins,
)
from dina.analyses.resampled_finding import curve_variables
from dina.analyses.shares import NULL
from dina.analyses.spatial_frequency.frequency_findings import FrequencyCurves, frequency_findings
from dina.analyses.spatial_frequency.frequency_galleries import (
    Equaliser,
    draw_donors,
    low_passed,
    octave_bands,
    replaced_above,
)
from dina.analyses.spatial_frequency.frequency_grid import FrequencyGrid
from dina.checks import DataError
from dina.progress import track
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.shapes import ContrastImages, Scores
from dina.statistics.finding import Finding

FEWEST_IMAGES = 10


class SpatialFrequencySettings(BaseModel):
    """At which frequencies, and on how many images.

    Parameters
    ----------
    n_images
        Most test images used, as queries and as gallery; each costs an encoding at every cut-off.
    cutoffs_per_octave
        Density of cut-off frequencies.
    n_donors
        Training images lent to each test image, one after the other, for what is replaced above a cut-off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_images: int = Field(96, ge=FEWEST_IMAGES)
    cutoffs_per_octave: int = Field(3, ge=1)
    n_donors: int = Field(1, ge=1)


DEFAULTS = SpatialFrequencySettings()


@dataclass(frozen=True, eq=False)
class SpatialFrequencyResult:
    """Retrieval against spatial frequency.

    Parameters
    ----------
    curves
        What was found at each frequency, image by image.
    resampling
        Bootstrap and permutations of the images.
    units
        "cycles/degree", or "cycles/pixel" where the recording does not know its scale.
    """

    curves: FrequencyCurves
    resampling: PairedResampling
    units: str

    def to_dataset(self) -> xr.Dataset:
        """Return the curves with intervals and nulls over ``cutoff`` and ``band``, and what they need to be drawn."""
        curves, over = self.curves, self.resampling.over_tables
        replaced = over(curves.replaced)
        return xr.Dataset(
            {
                **curve_variables(
                    "low_pass_top1", "cutoff", over(curves.low_pass), "top-1 accuracy from images below the cut-off"
                ),
                **curve_variables("replaced_top1", "cutoff", replaced[:, 1:], "top-1 accuracy with foreign content above"),
                **curve_variables(
                    "matched_signal", "cutoff", curves.matched_signal(self.resampling), "share of the matched signal below"
                ),
                **curve_variables("band_top1", "band", over(curves.bands), "top-1 accuracy from one octave alone"),
            },
            coords={
                "cutoff": ("cutoff", curves.frequency, {"units": self.units, "long_name": "cut-off frequency"}),
                "band": ("band", curves.band_frequency, {"units": self.units, "long_name": "centre of the octave"}),
            },
            attrs={
                "nyquist": curves.nyquist,
                "n_images": curves.n_images,
                "foreign_top1": float(replaced[0, 0]),
                "null": NULL,
            },
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return cut-offs, edge, best band and kept shares; see `docs/image-side.md`."""
        return frequency_findings(self.curves, self.resampling, self.units)


def analyse_spatial_frequency(decoded: Decoded, settings: SpatialFrequencySettings = DEFAULTS) -> SpatialFrequencyResult:
    """Ask the test queries of galleries that hold only some spatial frequencies.

    The towers stay as they are, so that what is found is what *they* read. Filtered images are unlike those the towers
    learnt from; galleries in which only the content above a cut-off is foreign are not, and the edge is read from them.

    Parameters
    ----------
    decoded
        Towers and test images.
    settings
        How many images and frequencies.

    Raises
    ------
    DataError
        If there are fewer than ten test images.
    """
    chosen = choose_test_images(decoded, settings.n_images, "frequency images")
    if len(chosen) < FEWEST_IMAGES:
        raise DataError(
            f"Retrieval by spatial frequency needs at least {FEWEST_IMAGES} test images; there are {len(chosen)}. Keep more"
            " images for testing."
        )
    curves = measure_curves(decoded, chosen, settings)
    resampling = PairedResampling.draw(len(chosen), decoded.n_resamples, decoded.seed)
    return SpatialFrequencyResult(curves, resampling, frequency_units(decoded.recording))


def measure_curves(decoded: Decoded, chosen: Int[np.ndarray, "image"], settings: SpatialFrequencySettings) -> FrequencyCurves:
    """Score every filtered gallery with the fitted towers.

    Parameters
    ----------
    decoded
        Towers, test images and the training images that contrast and donors are taken from.
    chosen
        Positions of the test images to use.
    settings
        As in `analyse_spatial_frequency`.
    """
    queries = TestQueries(decoded.towers, decoded.test, chosen)
    images, train = queries.images, decoded.train.images
    grid = FrequencyGrid.of(images.shape[2], images.shape[3], settings.cutoffs_per_octave)
    equaliser = Equaliser.learn(train)
    full = queries.score(images)
    n_cutoffs, n_bands = len(grid.cutoffs), len(grid.edges) + 1
    generator = generator_for(decoded.seed, "frequency donors")
    donors = [draw_donors(images, train, generator) for _ in range(settings.n_donors)]

    def score_all(galleries: Iterator[ContrastImages], what: str, n: int) -> list[Scores]:
        return [queries.score(gallery) for gallery in track(galleries, what, total=n)]

    low = score_all(low_passed(images, grid, equaliser), "Low-passed galleries", n_cutoffs)
    bands = score_all(octave_bands(images, grid, equaliser), "Octave bands", n_bands)
    lent = [score_all(replaced_above(images, other, grid), "Hybrid galleries", n_cutoffs + 1) for other in donors]
    scale = 1.0 if decoded.recording.deg_per_pixel is None else 1 / decoded.recording.deg_per_pixel
    return FrequencyCurves(
        frequency=scale * grid.ends,
        band_frequency=scale * grid.band_centres,
        nyquist=NYQUIST * scale,
        low_pass=np.stack([first_places(scores) for scores in [*low, full]]),
        bands=np.stack([first_places(scores) for scores in bands]),
        highest=np.mean([first_places(queries.score(make_hybrids(other, images, NYQUIST / 2))) for other in donors], axis=0),
        replaced=np.mean([[first_places(scores) for scores in [*each, full]] for each in lent], axis=0),
        margin=np.mean([[margins(scores) for scores in [*each, full]] for each in lent], axis=0),
    )


def frequency_units(recording: Recording) -> str:
    """Return the unit of spatial frequency that a recording allows."""
    return "cycles/pixel" if recording.deg_per_pixel is None else "cycles/degree"
