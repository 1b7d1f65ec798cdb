"""Which spatial frequencies carry the decoding: galleries of filtered images, for the fitted towers and for towers fitted anew."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field

from dina.analyses.altered_gallery import (
    FEWEST_IMAGES,
    Alter,
    EncodedQueries,
    choose_test_images,
    first_places,
    first_places_unaltered,
    refit_altered,
    score_altered,
)
from dina.analyses.analysis import AnalysisSettings, TabledResult
from dina.analyses.decoded import Decoded
from dina.analyses.image_filters import NYQUIST, Equaliser, FrequencyGrid, draw_donors, make_hybrids
from dina.analyses.paired_resampling import NOTHING_READ, NULL, PairedResampling, curve_variables, kept, score_margins
from dina.analyses.spatial_frequency.frequency_curves import (
    FrequencyCurves,
    frequency_reaching,
    kept_below,
    upper_edge,
    where_read,
)
from dina.randomness import generator_for
from dina.recordings.large_images import length_given
from dina.recordings.recording import Recording
from dina.shapes import ContrastImages
from dina.short_words import brief
from dina.statistics.finding import Finding

NULL_WHERE_DEFINED = NULL + ", where they find more than chance"
FOREIGN_EXCHANGED = "the gallery and one of foreign images alone exchanged at random, image by image"
NO_FREQUENCY = "The full gallery is searched no better than chance, so that no frequency can be said to carry the decoding."
ONLY_CONTRAST = (
    "Retrieval from the unaltered gallery is no better than from other images of the same contrast, so that no share of its"
    " accuracy can be given."
)


class SpatialFrequencySettings(AnalysisSettings):
    """At which frequencies, and on how many images.

    Parameters
    ----------
    n_images
        Most test images used, as queries and as gallery; each costs an encoding at every cut-off.
    cutoffs_per_octave
        Density of cut-off frequencies.
    n_donors
        Training images lent to each test image, one after the other, to replace its content above a cut-off.
    """

    n_images: int = Field(96, ge=FEWEST_IMAGES)
    cutoffs_per_octave: int = Field(3, ge=1)
    n_donors: int = Field(1, ge=1)


class SpatialFrequencyRefitSettings(AnalysisSettings):
    """At which frequencies: ``cutoffs_per_octave`` cut-offs, each of which costs a fit."""

    cutoffs_per_octave: int = Field(1, ge=1)


DEFAULTS = SpatialFrequencySettings()
REFIT_DEFAULTS = SpatialFrequencyRefitSettings()


@dataclass(frozen=True, eq=False)
class SpatialFrequencyResult(TabledResult):
    """Retrieval against spatial frequency, image by image; ``units`` are those of `frequency_units`."""

    __repr__ = brief

    curves: FrequencyCurves
    resampling: PairedResampling
    units: str

    def to_dataset(self) -> xr.Dataset:
        """Return the curves with intervals and nulls over ``cutoff`` and ``band``, and what they need to be drawn."""
        curves, over = self.curves, self.resampling.over_tables
        replaced = over(curves.replaced)
        shown = (
            ("low_pass_top1", "cutoff", over(curves.low_pass), "top-1 accuracy from images below the cut-off"),
            ("replaced_top1", "cutoff", replaced[:, 1:], "top-1 accuracy with content of other images above"),
            ("matched_signal", "cutoff", curves.matched_signal(self.resampling), "share of the matched signal below"),
            ("band_top1", "band", over(curves.bands), "top-1 accuracy from one octave alone"),
        )
        band = ("band", curves.band_frequency, {"units": self.units, "long_name": "centre of the octave"})
        return xr.Dataset(
            {name: variable for curve in shown for name, variable in curve_variables(*curve).items()},
            coords={"cutoff": _cutoff_axis(curves.frequency, self.units), "band": band},
            attrs={"nyquist": curves.nyquist, "n_images": curves.n_images, "foreign_top1": float(replaced[0, 0]), "null": NULL},
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return cut-offs, edge, best band and kept shares; see `docs/image-side.md`."""
        curves, draw, units = self.curves, self.resampling, self.units
        n, frequency = curves.n_images, curves.frequency
        low_pass, bands, replaced = (draw.over_tables(part) for part in (curves.low_pass, curves.bands, curves.replaced))
        shares, full = curves.kept(draw), low_pass[:, -1]
        kept_shares = kept_below(frequency, curves.nyquist, shares[:, :-1]) | {"kept_highest_octave": shares[:, -1]}
        named = {
            "frequency_edge": upper_edge(frequency, curves.matched_signal(draw)),
            "median_frequency": curves.median_frequency(draw),
            "best_band_frequency": curves.band_frequency[np.argmax(bands, axis=1)],
        }
        return (
            Finding.from_rows("top1_full", full, "1", n, NULL),
            *_cutoff_findings("low_pass_cutoff", frequency, low_pass, draw, units, np.full_like(full, 1 / n)),
            *_cutoff_findings("replaced_cutoff", frequency, replaced[:, 1:], draw, units, replaced[:, 0]),
            *(
                Finding.from_rows(name, where_read(rows, full, draw), units, n, NULL_WHERE_DEFINED, NO_FREQUENCY)
                for name, rows in named.items()
            ),
            Finding.from_rows("best_band_top1", bands.max(axis=1), "1", n, NULL + ", best octave of each"),
            *(Finding.from_rows(name, rows, "1", n, FOREIGN_EXCHANGED, ONLY_CONTRAST) for name, rows in kept_shares.items()),
        )


@dataclass(frozen=True, eq=False)
class SpatialFrequencyRefitResult(TabledResult):
    """Retrieval by towers fitted on filtered images; tables are those of `first_places`.

    ``low_pass`` holds one for towers fitted below each cut-off (at the last nothing is removed), ``highest`` that for towers
    fitted on the content above half the Nyquist limit. ``frequency`` and ``nyquist`` are in ``units``.
    """

    __repr__ = brief

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
            coords={"cutoff": _cutoff_axis(self.frequency, self.units)},
            attrs={"nyquist": self.nyquist, "n_images": len(self.highest), "null": NULL},
        )

    def findings(self) -> tuple[Finding, ...]:
        """Return cut-offs and kept shares; see `docs/image-side.md`."""
        n, rows = len(self.highest), self.resampling.over_tables(self.low_pass)
        full = self.resampling.of_whole.over_tables(self.low_pass[-1:])[:, 0]
        shares = {
            **kept_below(self.frequency, self.nyquist, kept(rows, full, n)),
            "kept_highest_octave": kept(self.resampling.over_tables(self.highest[None]), full, n)[:, 0],
        }
        chance = np.full_like(full, 1 / n)
        return (
            Finding.from_rows("refit_top1_full", full, "1", n, NULL),
            *_cutoff_findings("refit_low_pass_cutoff", self.frequency, rows, self.resampling, self.units, chance),
            *(Finding.from_rows(f"refit_{name}", share, "1", n, NULL, NOTHING_READ) for name, share in shares.items()),
        )


def analyse_spatial_frequency(decoded: Decoded, settings: SpatialFrequencySettings = DEFAULTS) -> SpatialFrequencyResult:
    """Search galleries that hold only some spatial frequencies with the test responses.

    The towers are not fitted again, so that the result is about the frequencies that *they* read. Filtered images are unlike
    those that the towers learnt from. Galleries in which only the content above a cut-off comes from other images are like
    them, and give the edge.

    Raises
    ------
    DataError
        If there are fewer than ten test images.
    """
    chosen = choose_test_images(decoded, settings.n_images, "frequency images")
    curves = measure_curves(decoded, chosen, settings)
    resampling = PairedResampling.draw(len(chosen), decoded.n_resamples, decoded.seed)
    return SpatialFrequencyResult(curves, resampling, frequency_units(decoded.recording))


def analyse_spatial_frequency_refit(
    decoded: Decoded, settings: SpatialFrequencyRefitSettings = REFIT_DEFAULTS
) -> SpatialFrequencyRefitResult:
    """Fit towers on low-passed images, once for each cut-off, and once on the highest octave alone.

    These towers are fitted on filtered images, so that the accuracy lost shows how much the responses carry about the
    missing frequencies. It takes as many fits as there are cut-offs, and one more.

    Raises
    ------
    DataError
        If there are no towers, or none can be fitted on filtered images.
    """
    height, width = decoded.test.images.shape[2:]
    grid = FrequencyGrid.of(height, width, settings.cutoffs_per_octave)
    equaliser = Equaliser.learn(decoded.train.images)
    highest = {"highest": equaliser.alteration(1 - grid.low_pass(NYQUIST / 2))}
    full = first_places_unaltered(decoded)
    tables = refit_altered(decoded, equaliser.low_passes(grid) | highest, "Fitting on filtered images")
    return SpatialFrequencyRefitResult(
        frequency=_scale(decoded.recording) * grid.ends,
        low_pass=np.stack([*tables[:-1], full]),
        highest=tables[-1],
        nyquist=NYQUIST * _scale(decoded.recording),
        units=frequency_units(decoded.recording),
        resampling=PairedResampling.draw(len(full), decoded.n_resamples, decoded.seed),
    )


def measure_curves(decoded: Decoded, chosen: Int[np.ndarray, "image"], settings: SpatialFrequencySettings) -> FrequencyCurves:
    """Score every filtered gallery of the chosen test images; contrast and donors are taken from training images."""
    queries = EncodedQueries(decoded.towers, decoded.test, chosen)
    images, train = queries.images, decoded.train.images
    grid = FrequencyGrid.of(images.shape[2], images.shape[3], settings.cutoffs_per_octave)
    equaliser = Equaliser.learn(train)
    full = queries.score(images)
    generator = generator_for(decoded.seed, "frequency donors")
    donors = [draw_donors(images, train, generator) for _ in range(settings.n_donors)]
    low = score_altered(queries, equaliser.low_passes(grid), "Low-passed galleries").values()
    bands = score_altered(queries, equaliser.octave_bands(grid), "Octave bands").values()
    replaced = [[*score_altered(queries, _foreign_above(grid, foreign), "Hybrid galleries").values(), full] for foreign in donors]
    scale = _scale(decoded.recording)
    return FrequencyCurves(
        frequency=scale * grid.ends,
        band_frequency=scale * grid.band_centres,
        nyquist=NYQUIST * scale,
        low_pass=np.stack([first_places(scores) for scores in [*low, full]]),
        bands=np.stack([first_places(scores) for scores in bands]),
        highest=np.mean([first_places(queries.score(make_hybrids(foreign, images, NYQUIST / 2))) for foreign in donors], axis=0),
        replaced=np.mean([[first_places(scores) for scores in each] for each in replaced], axis=0),
        margin=np.mean([[score_margins(scores) for scores in each] for each in replaced], axis=0),
    )


def frequency_units(recording: Recording) -> str:
    """Return "cycles/degree", or "cycles/pixel" where the scale of the images is unknown."""
    return "cycles/pixel" if recording.deg_per_pixel is None else "cycles/degree"


def _scale(recording: Recording) -> float:
    return 1 / length_given(recording, 1.0) if recording.deg_per_pixel is None else 1 / recording.deg_per_pixel


def _foreign_above(grid: FrequencyGrid, donors: ContrastImages) -> dict[str, Alter]:
    """Return alterations that put donors in place of everything, then of everything above each cut-off."""

    def above(cutoff: float) -> Alter:
        return lambda images: make_hybrids(images, donors, cutoff)

    all_foreign: dict[str, Alter] = {"everything": lambda _: donors}
    return all_foreign | {f"above {cutoff:.6f}": above(float(cutoff)) for cutoff in grid.cutoffs}


def _cutoff_axis(frequency: Float[np.ndarray, "cutoff"], units: str) -> tuple[str, np.ndarray, dict[str, str]]:
    return "cutoff", frequency, {"units": units, "long_name": "cut-off frequency"}


def _cutoff_findings(
    name: str,
    frequency: Float[np.ndarray, "cutoff"],
    accuracy: Float[np.ndarray, "row cutoff"],
    resampling: PairedResampling,
    units: str,
    floor: Float[np.ndarray, "row"],
) -> list[Finding]:
    """Return the frequencies from which a curve keeps half, and 90 %, of the full gallery's accuracy above a floor.

    The last cut-off removes nothing; the floor is the accuracy, in the same rows, of a gallery that shows nothing.
    """
    n, full = resampling.counts.shape[1], accuracy[:, -1]
    found = []
    for ending, share in (("half", 0.5), ("ninety", 0.9)):
        level = floor + share * (full - floor)
        rows = where_read(frequency_reaching(frequency, accuracy, level), full, resampling)
        found.append(Finding.from_rows(f"{name}_{ending}", rows, units, n, NULL_WHERE_DEFINED, NO_FREQUENCY))
    return found
