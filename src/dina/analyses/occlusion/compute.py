"""Where in the image the maps and the right answers come from: occlusion by Gaussian windows, place by place."""

from dataclasses import dataclass
from math import nextafter
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Float32, Int
from pydantic import Field
from scipy.stats import rankdata
from torch import Tensor

from dina.analyses.analysis import AnalysisSettings, PlainResult
from dina.analyses.comparable_maps import channel_names
from dina.analyses.decoded import Decoded
from dina.analyses.occlusion.occlusion_windows import GaborOcclusion, OccludedImages, Sweep, occlude_image_by_image, place_windows
from dina.analyses.separable_fields import SeparableFields
from dina.analyses.untrained import NOT_LEARNT, draw_untrained, is_image_map_learnt
from dina.analyses.untrained import NULL as UNTRAINED
from dina.checks import DataError
from dina.data.pairs import RetrievalTask, make_task
from dina.models.field_centres import estimate_centres
from dina.models.noise import LowRankNoise
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.progress import track
from dina.randomness import generator_for
from dina.recordings.large_images import length_given, position_given
from dina.recordings.recording import Recording
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
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import LikelihoodComparison
from dina.training.presets.scratch import reliability_weights

N_FOR_EXPECTED_LOSS = 24
N_FOR_CENTRES = 500
SMOOTHING = 1.0  # places, as in the estimate of centres

Losses = Float[np.ndarray, "image row column"]
Place = Float[np.ndarray, "row column"]


class _SweepLosses(NamedTuple):
    """Change of the map (squared distance to the whole image's map over that map's squared norm), loss of score and gain of log rank.

    Scores and ranks are for the response to the whole image, in nats, whole image minus occluded image (ranks: the reverse).
    """

    map_change: Losses
    score_loss: Losses
    log_rank_loss: Losses


class _Coverage(NamedTuple):
    """How much the population tells about what each window hides, how it was estimated (in words), and its unit."""

    value: Place
    words: str
    units: str


def measure_losses(
    towers: AlignedTowers,
    task: RetrievalTask,
    chosen: Int[np.ndarray, "image"],
    sweep: Sweep,
    mean_map: Float[np.ndarray, "channel map_height map_width"],
) -> _SweepLosses:
    """Measure change of the map, loss of score and gain of log rank for every image in ``chosen`` and every window.

    All other gallery images are the distractors. Norms of maps are taken about ``mean_map``, the mean over training images.
    """
    n_channels = len(channel_names(towers.image_tower))
    images = torch.from_numpy(task.gallery.images[chosen]).to(towers.device)
    neural = torch.from_numpy(towers.encode_responses(task.queries.responses[chosen])).to(towers.device)
    presentations = torch.from_numpy(np.asarray(task.queries.n_presentations[chosen], dtype=np.float32)).to(towers.device)
    found = _occlude(towers, images, neural, presentations, sweep)
    gallery = towers.encode_images(task.gallery.images)
    norm = np.square(gallery[chosen, :n_channels] - mean_map[:n_channels], dtype=np.float64).sum(axis=(1, 2, 3))[:, None, None]
    with torch.inference_mode():  # the comparison alone: what is subtracted for each response changes no loss and no rank
        compared = towers.comparison(neural, torch.from_numpy(gallery).to(towers.device), presentations)
    scores = compared.double().cpu().numpy()
    whole = scores[np.arange(len(chosen)), chosen]
    log_rank = _log_ranks(found.score, scores, chosen) - _log_ranks(whole[:, None, None], scores, chosen)
    change = np.divide(found.map_distance, norm, out=np.zeros_like(found.map_distance), where=norm > 0)
    return _SweepLosses(change, whole[:, None, None] - found.score, log_rank)


def cover_windows(decoded: Decoded, sweep: Sweep) -> _Coverage:
    r"""Estimate how much the neurons tell about what each window hides, from training images alone.

    If a likelihood compares a Gabor tower with projective fields, it is the loss of score that these towers predict, mean over
    24 training images: :math:`\frac12 \Delta^\top J \Delta` with :math:`\Delta` the part of the map that the window takes away
    and :math:`J = W^\top \Sigma^{-1} W` the Fisher information of a response about the map. All channels and places that a
    window hides are taken together; a sum over single places and channels predicts losses less well. For other towers it is
    `estimate_coverage` under the squared window.
    """
    towers = decoded.towers
    neural = towers.neural_tower
    if not isinstance(towers.comparison, LikelihoodComparison) or not isinstance(neural, ProjectiveFields):
        places, words = estimate_coverage(decoded)
        return _Coverage(_under_windows(places, sweep, decoded.train.images.shape[2:]), words, "arbitrary")
    chosen = generator_for(decoded.seed, "images of coverage").permutation(decoded.train.n_stimuli)[:N_FOR_EXPECTED_LOSS]
    images = torch.from_numpy(decoded.train.images[np.sort(chosen)]).to(towers.device)
    with torch.inference_mode():
        maps = towers.image_tower(images)
        evidence = neural(neural.predict(maps))  # of the expected response: the loss is then the expected loss
        whole = towers.comparison(evidence, maps, images.new_ones(len(images))).diagonal()
    found = _occlude(towers, images, evidence, images.new_ones(len(images)), sweep)
    loss = whole.double().cpu().numpy()[:, None, None] - found.score
    return _Coverage(loss.mean(axis=0).clip(0), "loss that the receptive fields predict, mean over training images", "nats")


def _occlude(towers: AlignedTowers, images: Tensor, neural_maps: Tensor, n_presentations: Tensor, sweep: Sweep) -> OccludedImages:
    if GaborOcclusion.applies(towers):
        return GaborOcclusion(towers, images, neural_maps).occlude(sweep)
    return occlude_image_by_image(towers, images, neural_maps, n_presentations, sweep)


def _mean_training_map(decoded: Decoded, towers: AlignedTowers, n_images: int = 200) -> Float32[np.ndarray, "..."]:
    """Return the mean map of some training images; Gabor channels are deviations from it already."""
    tower = towers.image_tower
    if isinstance(tower, GaborEnergy):
        return np.zeros(tower.map_shape, dtype=np.float32)
    return np.asarray(towers.encode_images(decoded.train.images[:n_images]).mean(axis=0, dtype=np.float64), dtype=np.float32)


def _log_ranks(score: Losses, scores: Float[np.ndarray, "image gallery"], chosen: Int[np.ndarray, "image"]) -> Losses:
    """Return the logarithm of the mid-rank that each image would have with these scores among the other candidates."""
    ranks = np.empty(score.shape)
    for image, position in enumerate(chosen):
        others = np.sort(np.delete(scores[image], position))
        not_above = np.searchsorted(others, score[image], side="right")
        n_tied = not_above - np.searchsorted(others, score[image], side="left")
        ranks[image] = 1 + len(others) - not_above + n_tied / 2
    return np.asarray(np.log(ranks))


def _under_windows(coverage: Float[np.ndarray, "map_height map_width"], sweep: Sweep, size: tuple[int, int]) -> Place:
    """Return the coverage of what each window hides: squared weights, as information about what is hidden is quadratic."""
    along = []
    for centres, n_pixels, n_places in zip((sweep.rows, sweep.columns), size, coverage.shape, strict=True):
        pixel = ((np.arange(n_places) + 0.5) * n_pixels / n_places - 0.5).round().astype(int)
        along.append(np.stack([sweep.weights(centre, n_pixels)[pixel] ** 2 for centre in centres]))
    return np.asarray(along[0] @ coverage @ along[1].T)


def estimate_coverage(decoded: Decoded) -> tuple[Float[np.ndarray, "map_height map_width"], str]:
    r"""Estimate how much the neurons tell about each place of the map, from training images alone; say in words how.

    For projective fields it is the Fisher information that a response has about the channels at a place,
    :math:`\sum_c w_c^\top \Sigma^{-1} w_c`, with :math:`w_c` how much channel :math:`c` there drives each neuron: strong
    and reliable neurons count more, and neurons that share their noise count less. For other towers it is the density
    of the centres estimated from training images, each neuron weighted by its signal-to-noise ratio.
    """
    neural, image = decoded.towers.neural_tower, decoded.towers.image_tower
    if isinstance(neural, ProjectiveFields):
        gain = image.gain if isinstance(image, GaborEnergy) else torch.ones(len(channel_names(image)))
        return _information(neural, gain), "Fisher information of the response about the channels at each place"
    order = generator_for(decoded.seed, "images of coverage").permutation(decoded.train.n_stimuli)
    chosen = np.sort(order[:N_FOR_CENTRES])
    maps = torch.from_numpy(decoded.towers.encode_images(decoded.train.images[chosen]))
    centre = estimate_centres(maps, torch.from_numpy(decoded.train.averaged()[chosen])).numpy()
    weight = reliability_weights(decoded.train).astype(np.float64) ** 2
    down, across = (
        np.exp(-0.5 * ((np.arange(extent)[:, None] - centre[:, axis]) / SMOOTHING) ** 2)
        for axis, extent in enumerate(maps.shape[2:])
    )
    return (down * weight) @ across.T, "density of estimated field centres, weighted by signal-to-noise ratio"


@torch.no_grad()
def _information(tower: ProjectiveFields, channel_gain: Tensor) -> Float[np.ndarray, "map_height map_width"]:
    """Return the Fisher information at each place, summed over the channels of structure, each in its own unit."""
    fields = SeparableFields(tower)
    n_channels, height, width = len(channel_gain), *tower.map_shape[1:]
    noise = LowRankNoise(tower.private, tower.loadings)
    neuron_gain = tower.log_gain.exp()
    single = torch.diag(channel_gain)[:, :, None, None]  # as many maps as channels, each with one channel at one place
    result = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            drive = fields.predict(single, slice(0, n_channels), (row, column))
            reached = torch.where(drive.abs().amax(0) > 0)[0]
            if not len(reached):
                continue
            drive = drive[:, reached]
            result[row, column] = float(noise.total_product(drive * neuron_gain[reached], drive, reached))
    return result.clip(0)


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


def analyse_occlusion(decoded: Decoded, settings: OcclusionSettings = OcclusionSettings()) -> PlainResult:
    """Hide a sample of the test images place by place, and measure what becomes of their maps and scores.

    The query stays the response to the whole image, and so do the distractors; only the right image in the gallery is
    occluded. A window also lowers the contrast of the whole image, and a tower whose gain follows that contrast then changes
    everywhere. The gain is therefore held at that of the whole image, except in one sweep, "contrast", which shows the
    difference. Coverage is estimated from the towers and training images alone.

    The dataset holds the losses of every image under every window, the coverage under a medium window, and the loss divided by
    it; losses of untrained towers, under a coarser sweep, are left out where they would be no control. Findings say how widely losses
    are spread, with and without coverage, beside untrained towers; they are of the medium window unless named otherwise.

    Raises
    ------
    DataError
        If there are fewer than two test images or no fitted towers.
    """
    test, towers, recording = decoded.test, decoded.towers, decoded.recording
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
    if isinstance(towers.image_tower, GaborEnergy):
        sweeps.append(Sweep("contrast", deviation, "mean", *centres, is_contrast_held=False))
        no_null["participation_score"] = NO_LOSS
    mean_map = _mean_training_map(decoded, towers)
    losses = {sweep.name: measure_losses(towers, task, chosen, sweep, mean_map) for sweep in track(sweeps, "Occluding images")}
    coverage = cover_windows(decoded, sweeps[list(losses).index(MAIN)])
    wide = Sweep(MAIN, deviation, "mean", *place_windows(size, COARSER * spacing))
    bare = draw_untrained(towers, decoded.seed, 0 if len(no_null) == 2 else settings.n_untrained)
    untrained = [measure_losses(one, task, chosen, wide, _mean_training_map(decoded, one)) for one in bare]
    controls = {name: np.stack([getattr(one, name) for one in untrained]) for name in ("map_change", "score_loss") if untrained}
    spread = OcclusionSpread(coverage.value, decoded.seed, decoded.n_resamples)
    findings = _describe(spread, losses, controls, no_null)
    where, units = ("sweep", "image", "row", "column"), {"map_change": "1", "score_loss": "nats", "log_rank_loss": "nats"}
    variables: dict[str, Any] = {
        name: (where, np.stack([getattr(one, name) for one in losses.values()]), {"units": unit}) for name, unit in units.items()
    }
    of_quotient = {"units": "1" if coverage.units == "nats" else "arbitrary"}
    variables |= {
        "coverage": (("row", "column"), coverage.value, {"units": coverage.units, "long_name": coverage.words}),
        "score_loss_by_coverage": (("row", "column"), spread.divided(losses[MAIN].score_loss.mean(axis=0)), of_quotient),
        "stimulus_id": (("image",), test.stimulus_id[chosen], {"units": "1"}),
        "deviation_px": (
            ("sweep",),
            length_given(recording, np.array([each.deviation_px for each in sweeps])),
            {"units": "pixel"},
        ),
        "fill": (("sweep",), np.array([sweep.fill for sweep in sweeps], dtype=object), {}),
    }
    places = {"row": centres[0], "column": centres[1]}
    if controls:
        where = ("draw", "image", "coarse_row", "coarse_column")
        variables |= {f"untrained_{name}": (where, values, {"units": units[name]}) for name, values in controls.items()}
        places |= {"coarse_row": wide.rows, "coarse_column": wide.columns}
    return PlainResult(xr.Dataset(variables, *_in_pixels_given(recording, list(losses), places, size)), findings)


def _in_pixels_given(
    recording: Recording, sweeps: list[str], places: dict[str, tuple[float, ...]], size: tuple[int, int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return coordinates and attributes of the dataset, in pixels of the images given."""
    coordinates: dict[str, Any] = {"sweep": sweeps}
    coordinates |= {
        name: (name, position_given(recording, np.array(along)), {"units": "pixel"}) for name, along in places.items()
    }
    height, width = (length_given(recording, float(extent)) for extent in size)
    degrees = recording.deg_per_pixel
    scale = {} if degrees is None else {"deg_per_pixel": degrees / length_given(recording, 1.0)}
    return coordinates, {"height": int(height), "width": int(width), **scale}


def _describe(
    spread: OcclusionSpread, losses: dict[str, _SweepLosses], controls: dict[str, np.ndarray], no_null: dict[str, str]
) -> tuple[Finding, ...]:
    main, found = losses[MAIN], []
    for name, measure in (("participation_score", "score_loss"), ("participation_map", "map_change")):
        found.append(spread.participation(name, getattr(main, measure), controls.get(measure), no_null.get(name, "")))
    return (
        *found,
        spread.of_coverage(len(main.score_loss)),
        *spread.over_covered_places(main.score_loss),
        spread.correlation(main.score_loss),
        spread.mean("score_loss", main.score_loss, "nats"),
        spread.mean("log_rank_loss", main.log_rank_loss, "nats"),
        *(spread.participation(f"participation_score_{name}", one.score_loss) for name, one in losses.items() if name != MAIN),
    )


def _standard_ranks(rows: Float[np.ndarray, "row place"]) -> Float[np.ndarray, "row place"]:
    """Return ranks of unit length about 0: their products are rank correlations."""
    ranks = rankdata(rows, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)
