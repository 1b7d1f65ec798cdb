"""Where in the image the maps, and the right answers, come from: Gaussian windows that hide it place by place."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field

from dina.analyses.decoded import Decoded
from dina.analyses.occlusion.gabor_occlusion import GaborOcclusion
from dina.analyses.occlusion.occlusion_effects import Coverage, cover_windows, mean_training_map, measure_effects
from dina.analyses.occlusion.occlusion_spread import OcclusionSpread
from dina.analyses.occlusion.occlusion_windows import Sweep, place_windows
from dina.analyses.untrained_draws import NOT_LEARNT, draw_untrained, is_image_map_learnt
from dina.checks import DataError
from dina.data.pairs import make_task
from dina.progress import track
from dina.randomness import generator_for
from dina.statistics.finding import Finding

MAIN = "medium"
SIZES = {"small": 0.5, "medium": 1.0, "large": 2.0}
NO_LOSS = (
    "No null: an untrained model of the responses expects them at random, so that hiding part of an image raises its score, and"
    " no loss is there to be spread."
)
COARSER = 2  # windows of untrained towers are as many times further apart in both directions: a quarter of them


class OcclusionSettings(BaseModel):
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
        Untrained towers behind the nulls, each with weights of its own; their windows are twice as far apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_images: int = Field(24, ge=2)
    deviation: float = Field(0.125, gt=0, le=0.5)
    spacing: float = Field(0.125, gt=0, le=0.5)
    n_untrained: int = Field(10, ge=1)


DEFAULTS = OcclusionSettings()


@dataclass(frozen=True, eq=False)
class OcclusionResult:
    """What hiding each place does to maps and scores, for several windows.

    Parameters
    ----------
    sweeps
        The windows; that named "medium" is the one that findings speak of unless they say otherwise.
    map_change
        Squared distance of the occluded image's map, over the squared norm of the whole image's map, shape
        ``(n_sweeps, n_images, n_rows, n_columns)``.
    score_loss
        Score of the whole image for its own response less that of the occluded one, in nats, same shape.
    log_rank_loss
        Logarithm of the rank of the occluded image less that of the whole one, in nats, same shape.
    coverage
        What the population can tell about the places under a medium window, of shape ``(n_rows, n_columns)``, and what that is.
    untrained_map_change, untrained_score_loss
        Of untrained towers and a coarser sweep of the medium window, shape ``(n_draws, n_images, n_places)``; no draw where
        they would be no control.
    untrained_sweep
        That coarser sweep.
    no_null
        By finding, why it has no null.
    stimulus_id
        Of the occluded images.
    deg_per_pixel
        None if unknown.
    size
        Height and width of the image, in pixels.
    seed, n_resamples
        Of bootstrap and permutations.
    """

    sweeps: tuple[Sweep, ...]
    map_change: Float[np.ndarray, "sweep image row column"]
    score_loss: Float[np.ndarray, "sweep image row column"]
    log_rank_loss: Float[np.ndarray, "sweep image row column"]
    coverage: Coverage
    untrained_map_change: Float[np.ndarray, "draw image coarse_row coarse_column"]
    untrained_score_loss: Float[np.ndarray, "draw image coarse_row coarse_column"]
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

    def to_dataset(self) -> xr.Dataset:
        """Return the effect of every window on every image, coverage, and the quotient of the two."""
        every, place = ("sweep", "image", "row", "column"), ("row", "column")
        coarse = ("draw", "image", "coarse_row", "coarse_column")
        main = [sweep.name for sweep in self.sweeps].index(MAIN)
        variables: dict[str, Any] = {
            "map_change": (every, self.map_change, {"units": "1"}),
            "score_loss": (every, self.score_loss, {"units": "nats"}),
            "log_rank_loss": (every, self.log_rank_loss, {"units": "nats"}),
            "coverage": (place, self.coverage.value, {"units": self.coverage.units, "long_name": self.coverage.words}),
            "score_loss_by_coverage": (
                place,
                self.spread.divided(self.score_loss[main].mean(axis=0)),
                {"units": "1" if self.coverage.units == "nats" else "arbitrary"},
            ),
            "stimulus_id": (("image",), self.stimulus_id, {"units": "1"}),
            "deviation_px": (("sweep",), np.array([sweep.deviation_px for sweep in self.sweeps]), {"units": "pixel"}),
            "fill": (("sweep",), np.array([sweep.fill for sweep in self.sweeps], dtype=object), {}),
        }
        coordinates: dict[str, Any] = {
            "sweep": [sweep.name for sweep in self.sweeps],
            "row": ("row", np.array(self.sweeps[0].rows), {"units": "pixel"}),
            "column": ("column", np.array(self.sweeps[0].columns), {"units": "pixel"}),
        }
        if len(self.untrained_score_loss):
            variables["untrained_map_change"] = (coarse, self.untrained_map_change, {"units": "1"})
            variables["untrained_score_loss"] = (coarse, self.untrained_score_loss, {"units": "nats"})
            for name, centres in (("coarse_row", self.untrained_sweep.rows), ("coarse_column", self.untrained_sweep.columns)):
                coordinates[name] = (name, np.array(centres), {"units": "pixel"})
        attributes: dict[str, Any] = {"height": self.size[0], "width": self.size[1]}
        if self.deg_per_pixel is not None:
            attributes["deg_per_pixel"] = self.deg_per_pixel
        return xr.Dataset(variables, coordinates, attributes)

    def findings(self) -> tuple[Finding, ...]:
        """Return how widely losses are spread, with and without coverage, beside untrained towers."""
        main = [sweep.name for sweep in self.sweeps].index(MAIN)
        loss, change, spread = self.score_loss[main], self.map_change[main], self.spread
        others = [
            spread.participation(f"participation_score_{sweep.name}", self.score_loss[number])
            for number, sweep in enumerate(self.sweeps)
            if number != main
        ]
        return (
            spread.participation(
                "participation_score", loss, self.untrained_score_loss, self.no_null.get("participation_score", "")
            ),
            spread.participation(
                "participation_map", change, self.untrained_map_change, self.no_null.get("participation_map", "")
            ),
            spread.of_coverage(len(loss)),
            spread.covered_alone(loss),
            spread.normalised(loss),
            spread.correlation(loss),
            spread.mean("score_loss", loss, "nats"),
            spread.mean("log_rank_loss", self.log_rank_loss[main], "nats"),
            *others,
        )


def analyse_occlusion(decoded: Decoded, settings: OcclusionSettings = DEFAULTS) -> OcclusionResult:
    """Hide a sample of the test images place by place, and see what becomes of their maps and scores.

    The query stays the response to the whole image, and so do the distractors; only the right image in the gallery is
    occluded. A window also lowers the contrast of the whole image, and a tower whose gain follows that contrast notices it
    everywhere: so the gain is held at that of the whole image, but for one sweep, "contrast", that shows the difference.

    Parameters
    ----------
    decoded
        Coverage is learnt from its towers and training images alone.
    settings
        Which windows, over how many images.

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
    height, width = test.images.shape[2:]
    shorter = min(height, width)
    rows, columns = place_windows((height, width), max(1.0, settings.spacing * shorter))
    deviation = max(1.0, settings.deviation * shorter)
    sweeps = [Sweep(name, factor * deviation, "mean", rows, columns) for name, factor in SIZES.items()]
    sweeps.append(Sweep("blur", deviation, "blur", rows, columns))
    if GaborOcclusion.applies(towers):
        sweeps.append(Sweep("contrast", deviation, "mean", rows, columns, is_contrast_held=False))
    mean_map = mean_training_map(decoded, towers)
    effects = [measure_effects(towers, task, chosen, sweep, mean_map) for sweep in track(sweeps, "Occluding images")]
    main = next(sweep for sweep in sweeps if sweep.name == MAIN)
    no_null = {} if is_image_map_learnt(towers) else {"participation_map": NOT_LEARNT}
    if GaborOcclusion.applies(towers):
        no_null["participation_score"] = NO_LOSS
    coarse = place_windows((height, width), COARSER * max(1.0, settings.spacing * shorter))
    wide = Sweep(MAIN, deviation, "mean", *coarse)
    without = []
    for bare in draw_untrained(towers, decoded.seed, 0 if len(no_null) == 2 else settings.n_untrained):
        without.append(measure_effects(bare, task, chosen, wide, mean_training_map(decoded, bare)))
    none = np.zeros((0, len(chosen), len(coarse[0]), len(coarse[1])))
    return OcclusionResult(
        sweeps=tuple(sweeps),
        map_change=np.stack([effect.map_change for effect in effects]),
        score_loss=np.stack([effect.score_loss for effect in effects]),
        log_rank_loss=np.stack([effect.log_rank_loss for effect in effects]),
        coverage=cover_windows(decoded, main),
        untrained_map_change=np.stack([effect.map_change for effect in without]) if without else none,
        untrained_score_loss=np.stack([effect.score_loss for effect in without]) if without else none,
        untrained_sweep=wide,
        no_null=no_null,
        stimulus_id=test.stimulus_id[chosen],
        deg_per_pixel=decoded.recording.deg_per_pixel,
        size=(height, width),
        seed=decoded.seed,
        n_resamples=decoded.n_resamples,
    )
