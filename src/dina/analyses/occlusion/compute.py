"""Where in the image the maps and the right answers come from: occlusion by Gaussian windows, place by place."""

from dataclasses import dataclass
from math import nextafter
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from pydantic import Field
from scipy.stats import rankdata

from dina.analyses.analysis import AnalysisSettings
from dina.analyses.decoded import Decoded
from dina.analyses.occlusion.occlusion_losses import (
    Coverage,
    Losses,
    OcclusionLosses,
    Place,
    cover_windows,
    mean_training_map,
    measure_losses,
)
from dina.analyses.occlusion.occlusion_windows import GaborOcclusion, Sweep, place_windows
from dina.analyses.untrained import NOT_LEARNT, draw_untrained, is_image_map_learnt
from dina.analyses.untrained import NULL as UNTRAINED
from dina.checks import DataError
from dina.data.pairs import make_task
from dina.progress import track
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.resampling import resample_counts
from dina.statistics.sparseness import (
    LOST_IN_NOISE,
    NOT_POSITIVE,
    TOO_FEW,
    estimate_participation,
    mean_squares,
    resample_participation,
)

MAIN = "medium"
SIZES = {"small": 0.5, "medium": 1.0, "large": 2.0}
COARSER = 2  # windows of untrained towers are as many times further apart in both directions: a quarter of them
COVERED = 0.05  # of the largest coverage: below it, a quotient would be noise divided by nothing
MORE_THAN_HALF = nextafter(0.5, 1.0)

SHIFTED = "coverage shifted across the image, wrapping around"
PERMUTED = "coverage permuted over covered places"
REASONS = {
    NOT_POSITIVE: "Hiding places lowers no score on average.",
    LOST_IN_NOISE: "The loss maps vary too much between images to estimate over how many places the loss is spread.",
    TOO_FEW: "Fewer than four images were occluded: too few to separate their mean from the differences between them.",
}
NO_LOSS = (
    "No null: an untrained model predicts the responses at random, so hiding part of an image raises its score, and there is no"
    " loss to be spread."
)


class OcclusionSettings(AnalysisSettings):
    """Which windows, over how many images.

    Parameters
    ----------
    n_images
        Test images that are occluded; their distractors are all test images.
    deviation
        Standard deviation of the medium window, as a fraction of the shorter side of the image; the small window has
        half of it, the large one twice.
    spacing
        Distance between windows, likewise.
    n_untrained
        Untrained towers behind the nulls, each with its own random weights; their windows are twice as far apart.
    """

    n_images: int = Field(24, ge=2)
    deviation: float = Field(0.125, gt=0, le=0.5)
    spacing: float = Field(0.125, gt=0, le=0.5)
    n_untrained: int = Field(10, ge=1)


@dataclass(frozen=True, eq=False)
class OcclusionSpread:
    """Estimates how widely losses are spread over the image, and how much of that is where the fields lie.

    ``coverage`` says how much the population tells about the places under each window.
    """

    coverage: Place
    seed: int
    n_resamples: int

    @property
    def covered(self) -> np.ndarray:
        """Which places have enough coverage to divide by."""
        return self.coverage > COVERED * self.coverage.max()

    def divided(self, loss: Place) -> Place:
        """Return loss over coverage, NaN where coverage is too small to divide by."""
        return np.divide(loss, self.coverage, out=np.full(loss.shape, np.nan), where=self.covered)

    def participation(
        self,
        name: str,
        losses: Losses,
        untrained: Float[np.ndarray, "draw image coarse_row coarse_column"] | None = None,
        no_null: str = "",
    ) -> Finding:
        """Estimate the fraction of places over which the mean loss is spread, beside that of ``untrained`` towers."""
        found = estimate_participation(losses.reshape(len(losses), -1), np.ones(losses[0].size))
        null = None if untrained is None or no_null else self._resample_participations(untrained)
        return Finding.from_draws(
            name,
            found.value,
            "1",
            len(losses),
            None,
            null,
            "" if null is None else UNTRAINED,
            REASONS.get(found.reason, ""),
            interval=(found.low, found.high),
            least_null_defined=MORE_THAN_HALF,  # where half of the untrained towers lose nothing, the others are no control
            no_null=no_null,
        )

    def of_coverage(self, n_images: int) -> Finding:
        """Return the participation of coverage itself; it rests on training images alone and has no interval."""
        places = self.coverage.ravel()
        square = float(np.square(places).sum()) * len(places)
        value = float(places.sum()) ** 2 / square if square > 0 else np.nan
        return Finding("participation_coverage", value, "1", n_images, reason="" if square > 0 else "No field was found.")

    def over_covered_places(self, losses: Losses) -> tuple[Finding, Finding]:
        """Estimate the fraction of the covered places over which the loss is spread, undivided and divided by coverage.

        After division, places are weighted by their coverage; the null permutes the coverage over the covered places.
        """
        names, n = ("participation_covered", "participation_normalised"), len(losses)
        coverage, of_covered = self.coverage[self.covered], losses[:, self.covered]
        if len(coverage) < 3:
            reason = "Fewer than three places are covered by fields."
            covered, normalised = (Finding(name, np.nan, "1", n, reason=reason) for name in names)
            return covered, normalised
        alone, divided = (estimate_participation(of_covered, weight) for weight in (np.ones(len(coverage)), coverage))
        covered = Finding(names[0], alone.value, "1", n, alone.low, alone.high, reason=REASONS.get(alone.reason, ""))
        total, square = mean_squares(of_covered)
        permuted = generator_for(self.seed, "coverage of places").permuted(np.tile(coverage, (self.n_resamples, 1)), axis=1)
        below = coverage.sum() * (square / permuted).sum(axis=1)
        null = np.minimum(1.0, np.divide(total, below, out=np.full(len(below), np.nan), where=below > 0))
        reason, interval = REASONS.get(divided.reason, ""), (divided.low, divided.high)
        known = None if reason else null
        return covered, Finding.from_draws(names[1], divided.value, "1", n, None, known, PERMUTED, reason, interval=interval)

    def correlation(self, losses: Losses) -> Finding:
        """Return the rank correlation over places of mean loss and coverage, beside shifted coverage."""
        ranks = _standard_ranks(self.coverage.reshape(1, -1))[0]
        mean = _standard_ranks(losses.mean(axis=0).reshape(1, -1))[0]
        n_rows, n_columns = self.coverage.shape
        shifts = [(row, column) for row in range(n_rows) for column in range(n_columns) if row or column]
        null = np.array([mean @ np.roll(ranks.reshape(self.coverage.shape), shift, axis=(0, 1)).ravel() for shift in shifts])
        resamples, value = _standard_ranks(self._resample_means(losses)) @ ranks, float(mean @ ranks)
        # these are all the shifts that there are
        return Finding.from_draws("coverage_correlation", value, "1", len(losses), resamples, null, SHIFTED, fewest_null=1)

    def mean(self, name: str, losses: Losses, units: str) -> Finding:
        """Return the loss averaged over places and images."""
        return Finding.from_draws(name, float(losses.mean()), units, len(losses), self._resample_means(losses).mean(axis=1))

    def _resample_means(self, losses: Losses) -> Float[np.ndarray, "resample place"]:
        counts = resample_counts(len(losses), self.n_resamples, generator_for(self.seed, "bootstrap of occlusion"))
        return np.asarray(counts @ losses.reshape(len(losses), -1) / len(losses))

    def _resample_participations(self, draws: Float[np.ndarray, "draw image row column"]) -> Float[np.ndarray, "resample"]:
        """Return the participation in resamples of the images, as many of each draw."""
        n = draws.shape[1]
        counts = resample_counts(n, -(-self.n_resamples // len(draws)), generator_for(self.seed, "bootstrap of occlusion"))
        rows = draws.reshape(len(draws), n, -1)
        return np.concatenate([resample_participation(row, np.ones(row.shape[1]), counts.astype(float)) for row in rows])


@dataclass(frozen=True, eq=False)
class OcclusionResult:
    """What hiding each place does to maps and scores, for several windows; findings are of the window "medium" unless named otherwise.

    ``coverage`` is that under a medium window. ``untrained`` holds the losses of untrained towers under ``untrained_sweep``, a
    coarser sweep of the medium window; it is empty where they would be no control. ``no_null`` says, by finding, why it has no null.
    ``size`` is the height and width of the image in pixels.
    """

    sweeps: tuple[Sweep, ...]
    losses: tuple[OcclusionLosses, ...]
    coverage: Coverage
    untrained: tuple[OcclusionLosses, ...]
    untrained_sweep: Sweep
    no_null: dict[str, str]
    stimulus_id: Int[np.ndarray, "image"]
    deg_per_pixel: float | None
    size: tuple[int, int]
    seed: int
    n_resamples: int

    @property
    def spread(self) -> OcclusionSpread:
        """The statistics of how losses are spread over the image."""
        return OcclusionSpread(self.coverage.value, self.seed, self.n_resamples)

    @property
    def main(self) -> OcclusionLosses:
        """The losses under the medium window."""
        return self.losses[[sweep.name for sweep in self.sweeps].index(MAIN)]

    def to_dataset(self) -> xr.Dataset:
        """Return the losses of every image under every window, the coverage, and the loss divided by coverage."""
        units = dict(zip(OcclusionLosses._fields, ("1", "nats", "nats"), strict=True))
        variables: dict[str, Any] = {
            name: (("sweep", "image", "row", "column"), np.stack([getattr(one, name) for one in self.losses]), {"units": unit})
            for name, unit in units.items()
        }
        covered = {"units": self.coverage.units, "long_name": self.coverage.words}
        divided = self.spread.divided(self.main.score_loss.mean(axis=0))
        variables |= {
            "coverage": (("row", "column"), self.coverage.value, covered),
            "score_loss_by_coverage": (("row", "column"), divided, {"units": "1" if covered["units"] == "nats" else "arbitrary"}),
            "stimulus_id": (("image",), self.stimulus_id, {"units": "1"}),
            "deviation_px": (("sweep",), np.array([sweep.deviation_px for sweep in self.sweeps]), {"units": "pixel"}),
            "fill": (("sweep",), np.array([sweep.fill for sweep in self.sweeps], dtype=object), {}),
        }
        places = {"row": self.sweeps[0].rows, "column": self.sweeps[0].columns}
        if self.untrained:
            for name in ("map_change", "score_loss"):
                values = np.stack([getattr(one, name) for one in self.untrained])
                variables[f"untrained_{name}"] = (
                    ("draw", "image", "coarse_row", "coarse_column"),
                    values,
                    {"units": units[name]},
                )
            places |= {"coarse_row": self.untrained_sweep.rows, "coarse_column": self.untrained_sweep.columns}
        coordinates: dict[str, Any] = {"sweep": [sweep.name for sweep in self.sweeps]}
        coordinates |= {name: (name, np.array(centres), {"units": "pixel"}) for name, centres in places.items()}
        scale = {} if self.deg_per_pixel is None else {"deg_per_pixel": self.deg_per_pixel}
        return xr.Dataset(variables, coordinates, {"height": self.size[0], "width": self.size[1], **scale})

    def findings(self) -> tuple[Finding, ...]:
        """Return how widely losses are spread, with and without coverage, beside untrained towers."""
        spread, main = self.spread, self.main
        score, change = (
            np.stack([getattr(one, name) for one in self.untrained]) if self.untrained else None
            for name in ("score_loss", "map_change")
        )
        return (
            spread.participation("participation_score", main.score_loss, score, self.no_null.get("participation_score", "")),
            spread.participation("participation_map", main.map_change, change, self.no_null.get("participation_map", "")),
            spread.of_coverage(len(main.score_loss)),
            *spread.over_covered_places(main.score_loss),
            spread.correlation(main.score_loss),
            spread.mean("score_loss", main.score_loss, "nats"),
            spread.mean("log_rank_loss", main.log_rank_loss, "nats"),
            *(
                spread.participation(f"participation_score_{sweep.name}", one.score_loss)
                for sweep, one in zip(self.sweeps, self.losses, strict=True)
                if sweep.name != MAIN
            ),
        )


def analyse_occlusion(decoded: Decoded, settings: OcclusionSettings = OcclusionSettings()) -> OcclusionResult:
    """Hide a sample of the test images place by place, and measure what becomes of their maps and scores.

    The query stays the response to the whole image, and so do the distractors; only the right image in the gallery is
    occluded. A window also lowers the contrast of the whole image, and a tower whose gain follows that contrast then changes
    everywhere. The gain is therefore held at that of the whole image, except in one sweep, "contrast", which shows the
    difference. Coverage is estimated from the towers and training images alone.

    Raises
    ------
    DataError
        If there are fewer than two test images or no fitted towers.
    """
    test, towers = decoded.test, decoded.towers
    if test.n_stimuli < 2:
        raise DataError(f"Occlusion needs at least two test images; there are {test.n_stimuli}. Record more images.")
    task = make_task(test, "averaged")
    chosen = np.sort(generator_for(decoded.seed, "occluded images").permutation(test.n_stimuli)[: settings.n_images])
    size: tuple[int, int] = test.images.shape[2:]
    spacing, deviation = (max(1.0, share * min(size)) for share in (settings.spacing, settings.deviation))
    centres = place_windows(size, spacing)
    sweeps = [Sweep(name, factor * deviation, "mean", *centres) for name, factor in SIZES.items()]
    sweeps.append(Sweep("blur", deviation, "blur", *centres))
    no_null = {} if is_image_map_learnt(towers) else {"participation_map": NOT_LEARNT}
    if GaborOcclusion.applies(towers):
        sweeps.append(Sweep("contrast", deviation, "mean", *centres, is_contrast_held=False))
        no_null["participation_score"] = NO_LOSS
    mean_map = mean_training_map(decoded, towers)
    losses = [measure_losses(towers, task, chosen, sweep, mean_map) for sweep in track(sweeps, "Occluding images")]
    wide = Sweep(MAIN, deviation, "mean", *place_windows(size, COARSER * spacing))
    bare = draw_untrained(towers, decoded.seed, 0 if len(no_null) == 2 else settings.n_untrained)
    return OcclusionResult(
        sweeps=tuple(sweeps),
        losses=tuple(losses),
        coverage=cover_windows(decoded, next(sweep for sweep in sweeps if sweep.name == MAIN)),
        untrained=tuple(measure_losses(one, task, chosen, wide, mean_training_map(decoded, one)) for one in bare),
        untrained_sweep=wide,
        no_null=no_null,
        stimulus_id=test.stimulus_id[chosen],
        deg_per_pixel=decoded.recording.deg_per_pixel,
        size=size,
        seed=decoded.seed,
        n_resamples=decoded.n_resamples,
    )


def _standard_ranks(rows: Float[np.ndarray, "row place"]) -> Float[np.ndarray, "row place"]:
    """Return ranks of unit length about 0: their products are rank correlations."""
    ranks = rankdata(rows, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)
