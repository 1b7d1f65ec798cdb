"""Where in the image the maps, and the right answers, come from: Gaussian windows that hide it place by place."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field

from dina.alignment.aligned_towers import AlignedTowers
from dina.checks import DataError
from dina.dataset.pairs import RetrievalTask, make_task
from dina.interpretation.comparable_maps import channel_names
from dina.interpretation.decoded import Decoded
from dina.interpretation.image_side.field_coverage import estimate_coverage
from dina.interpretation.image_side.gabor_occlusion import GaborOcclusion
from dina.interpretation.image_side.occlusion_spread import OcclusionSpread
from dina.interpretation.image_side.occlusion_windows import Sweep, occlude_image_by_image, place_windows
from dina.interpretation.untrained import untrained
from dina.measures.finding import Finding
from dina.progress import track
from dina.randomness import generator_for
from dina.towers.image.gabor_energy import GaborEnergy

MAIN = "medium"
SIZES = {"small": 0.5, "medium": 1.0, "large": 2.0}


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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_images: int = Field(24, ge=2)
    deviation: float = Field(0.125, gt=0, le=0.5)
    spacing: float = Field(0.125, gt=0, le=0.5)


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
        Score of the whole image for its own response less that of the occluded one, in natural logarithms, same shape.
    log_rank_loss
        Natural logarithm of the rank of the occluded image less that of the whole one, same shape.
    coverage
        What the population can tell about the places under a medium window, shape ``(n_rows, n_columns)``.
    coverage_words
        What coverage is.
    untrained_map_change, untrained_score_loss
        Of untrained towers and the medium window, shape ``(n_images, n_rows, n_columns)``.
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
    coverage: Float[np.ndarray, "row column"]
    coverage_words: str
    untrained_map_change: Float[np.ndarray, "image row column"]
    untrained_score_loss: Float[np.ndarray, "image row column"]
    stimulus_id: Int[np.ndarray, "image"]
    deg_per_pixel: float | None
    size: tuple[int, int]
    seed: int
    n_resamples: int

    @property
    def spread(self) -> OcclusionSpread:
        """The statistics of how losses are spread over the image."""
        return OcclusionSpread(self.coverage, self.seed, self.n_resamples)

    def to_dataset(self) -> xr.Dataset:
        """Return the effect of every window on every image, coverage, and the quotient of the two."""
        every, place = ("sweep", "image", "row", "column"), ("row", "column")
        main = [sweep.name for sweep in self.sweeps].index(MAIN)
        variables: dict[str, Any] = {
            "map_change": (every, self.map_change, {"units": "1"}),
            "score_loss": (every, self.score_loss, {"units": "natural logarithm"}),
            "log_rank_loss": (every, self.log_rank_loss, {"units": "natural logarithm"}),
            "coverage": (place, self.coverage, {"units": "arbitrary", "long_name": self.coverage_words}),
            "score_loss_by_coverage": (place, self.spread.divided(self.score_loss[main].mean(axis=0)), {"units": "arbitrary"}),
            "untrained_map_change": (every[1:], self.untrained_map_change, {"units": "1"}),
            "untrained_score_loss": (every[1:], self.untrained_score_loss, {"units": "natural logarithm"}),
            "stimulus_id": (("image",), self.stimulus_id, {"units": "1"}),
            "deviation_px": (("sweep",), np.array([sweep.deviation_px for sweep in self.sweeps]), {"units": "pixel"}),
            "fill": (("sweep",), np.array([sweep.fill for sweep in self.sweeps], dtype=object), {}),
        }
        coordinates = {
            "sweep": [sweep.name for sweep in self.sweeps],
            "row": ("row", np.array(self.sweeps[0].rows), {"units": "pixel"}),
            "column": ("column", np.array(self.sweeps[0].columns), {"units": "pixel"}),
        }
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
            spread.participation("participation_score", loss, self.untrained_score_loss),
            spread.participation("participation_map", change, self.untrained_map_change),
            spread.of_coverage(len(loss)),
            spread.normalised(loss),
            spread.correlation(loss),
            spread.mean("score_loss", loss, "natural logarithm"),
            spread.mean("log_rank_loss", self.log_rank_loss[main], "natural logarithm"),
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
    mean_map = _mean_map(decoded)
    effects = [_effects(towers, task, chosen, sweep, mean_map) for sweep in track(sweeps, "Occluding images")]
    main = next(sweep for sweep in sweeps if sweep.name == MAIN)
    without = _effects(untrained(towers, decoded.seed), task, chosen, main, mean_map)
    coverage, words = estimate_coverage(decoded)
    return OcclusionResult(
        sweeps=tuple(sweeps),
        map_change=np.stack([effect[0] for effect in effects]),
        score_loss=np.stack([effect[1] for effect in effects]),
        log_rank_loss=np.stack([effect[2] for effect in effects]),
        coverage=_under_windows(coverage, main, (height, width)),
        coverage_words=words,
        untrained_map_change=without[0],
        untrained_score_loss=without[1],
        stimulus_id=test.stimulus_id[chosen],
        deg_per_pixel=decoded.recording.deg_per_pixel,
        size=(height, width),
        seed=decoded.seed,
        n_resamples=decoded.n_resamples,
    )


def _effects(
    towers: AlignedTowers, task: RetrievalTask, chosen: Int[np.ndarray, "image"], sweep: Sweep, mean_map: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return change of the map, loss of score and loss of log rank for every image and window."""
    n_channels = len(channel_names(towers.image_tower))
    images = torch.from_numpy(task.gallery.images[chosen]).to(towers.device)
    neural = torch.from_numpy(towers.encode_responses(task.queries.responses[chosen])).to(towers.device)
    presentations = torch.from_numpy(np.asarray(task.queries.n_presentations[chosen], dtype=np.float32)).to(towers.device)
    if GaborOcclusion.applies(towers):
        found = GaborOcclusion(towers, images, neural).occlude(sweep)
    else:
        found = occlude_image_by_image(towers, images, neural, presentations, sweep, n_channels)
    gallery = towers.encode_images(task.gallery.images)
    norm = np.square(gallery[chosen, :n_channels] - mean_map[:n_channels], dtype=np.float64).sum(axis=(1, 2, 3))[:, None, None]
    with torch.inference_mode():  # the comparison alone: what is subtracted for each response changes no loss and no rank
        compared = towers.comparison(neural, torch.from_numpy(gallery).to(towers.device), presentations)
    scores = compared.double().cpu().numpy()
    whole = scores[np.arange(len(chosen)), chosen]
    log_rank = _log_ranks(found.score, scores, chosen) - _log_ranks(whole[:, None, None], scores, chosen)
    change = np.divide(found.map_distance, norm, out=np.zeros_like(found.map_distance), where=norm > 0)
    return change, whole[:, None, None] - found.score, log_rank


def _log_ranks(
    own: Float[np.ndarray, "image row column"], scores: Float[np.ndarray, "image gallery"], chosen: Int[np.ndarray, "image"]
) -> Float[np.ndarray, "image row column"]:
    """Return the logarithm of the mid-rank that each image would have with these scores among the other candidates."""
    ranks = np.empty(own.shape)
    for image, position in enumerate(chosen):
        others = np.sort(np.delete(scores[image], position))
        not_above = np.searchsorted(others, own[image], side="right")
        n_tied = not_above - np.searchsorted(others, own[image], side="left")
        ranks[image] = 1 + len(others) - not_above + n_tied / 2
    return np.asarray(np.log(ranks))


def _mean_map(decoded: Decoded, n_images: int = 200) -> Float[np.ndarray, "channel map_height map_width"]:
    """Return the mean map of some training images; Gabor channels are deviations from it already."""
    tower = decoded.towers.image_tower
    if isinstance(tower, GaborEnergy):
        return np.zeros(tower.map_shape)
    return np.asarray(decoded.towers.encode_images(decoded.train.images[:n_images]).mean(axis=0, dtype=np.float64))


def _under_windows(
    coverage: Float[np.ndarray, "map_height map_width"], sweep: Sweep, size: tuple[int, int]
) -> Float[np.ndarray, "row column"]:
    """Return the coverage of what each window hides: squared weights, as information about what is hidden is quadratic."""
    along = []
    for centres, n_pixels, n_places in zip((sweep.rows, sweep.columns), size, coverage.shape, strict=True):
        pixel = ((np.arange(n_places) + 0.5) * n_pixels / n_places - 0.5).round().astype(int)
        along.append(np.stack([sweep.weights(centre, n_pixels)[pixel] ** 2 for centre in centres]))
    return np.asarray(along[0] @ coverage @ along[1].T)
