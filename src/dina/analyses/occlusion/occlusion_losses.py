"""Losses of map, score and rank by occlusion, and how much the receptive fields tell about what a window hides."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from dina.analyses.comparable_maps import channel_names
from dina.analyses.decoded import Decoded
from dina.analyses.occlusion.occlusion_windows import GaborOcclusion, Sweep, occlude_image_by_image
from dina.analyses.separable_fields import SeparableFields
from dina.data.pairs import RetrievalTask
from dina.models.field_centres import estimate_centres
from dina.models.noise import LowRankNoise
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.randomness import generator_for
from dina.training.aligned_towers import AlignedTowers
from dina.training.presets.scratch import reliability_weights

N_FOR_EXPECTED_LOSS = 24
N_FOR_CENTRES = 500
SMOOTHING = 1.0  # places, as in the estimate of centres

Losses = Float[np.ndarray, "image row column"]
Place = Float[np.ndarray, "row column"]


class OcclusionLosses(NamedTuple):
    """Change of the map (squared distance to the whole image's map over that map's squared norm), loss of score and gain of log rank.

    Scores and ranks are for the response to the whole image, in nats, whole image less occluded one (ranks: the reverse).
    """

    map_change: Losses
    score_loss: Losses
    log_rank_loss: Losses


class Coverage(NamedTuple):
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
) -> OcclusionLosses:
    """Measure change of the map, loss of score and gain of log rank for every image in ``chosen`` and every window.

    All other gallery images are the distractors. Norms of maps are taken about ``mean_map``, the mean over training images.
    """
    n_channels = len(channel_names(towers.image_tower))
    images = torch.from_numpy(task.gallery.images[chosen]).to(towers.device)
    neural = torch.from_numpy(towers.encode_responses(task.queries.responses[chosen])).to(towers.device)
    presentations = torch.from_numpy(np.asarray(task.queries.n_presentations[chosen], dtype=np.float32)).to(towers.device)
    if GaborOcclusion.applies(towers):
        found = GaborOcclusion(towers, images, neural).occlude(sweep)
    else:
        found = occlude_image_by_image(towers, images, neural, presentations, sweep)
    gallery = towers.encode_images(task.gallery.images)
    norm = np.square(gallery[chosen, :n_channels] - mean_map[:n_channels], dtype=np.float64).sum(axis=(1, 2, 3))[:, None, None]
    with torch.inference_mode():  # the comparison alone: what is subtracted for each response changes no loss and no rank
        compared = towers.comparison(neural, torch.from_numpy(gallery).to(towers.device), presentations)
    scores = compared.double().cpu().numpy()
    whole = scores[np.arange(len(chosen)), chosen]
    log_rank = _log_ranks(found.score, scores, chosen) - _log_ranks(whole[:, None, None], scores, chosen)
    change = np.divide(found.map_distance, norm, out=np.zeros_like(found.map_distance), where=norm > 0)
    return OcclusionLosses(change, whole[:, None, None] - found.score, log_rank)


def cover_windows(decoded: Decoded, sweep: Sweep) -> Coverage:
    r"""Estimate how much the neurons tell about what each window hides, from training images alone.

    Where a Gabor tower meets projective fields in a likelihood, it is the loss of score that these towers predict, mean over
    24 training images: :math:`\frac12 \Delta^\top J \Delta` with :math:`\Delta` the part of the map that the window takes
    away and :math:`J = W^\top \Sigma^{-1} W` the Fisher information of a response about the map. Channels and places that a
    window takes together count together: the sum of what each tells alone follows losses less well. For other towers it is
    `estimate_coverage` under the squared window.
    """
    towers = decoded.towers
    neural = towers.neural_tower
    if not GaborOcclusion.applies(towers) or not isinstance(neural, ProjectiveFields):
        places, words = estimate_coverage(decoded)
        return Coverage(_under_windows(places, sweep, decoded.train.images.shape[2:]), words, "arbitrary")
    chosen = generator_for(decoded.seed, "images of coverage").permutation(decoded.train.n_stimuli)[:N_FOR_EXPECTED_LOSS]
    images = torch.from_numpy(decoded.train.images[np.sort(chosen)]).to(towers.device)
    with torch.inference_mode():
        maps = towers.image_tower(images)
        evidence = neural(neural.predict(maps))  # of the expected response: the loss is then the expected loss
        whole = towers.comparison(evidence, maps, images.new_ones(len(images))).diagonal()
    found = GaborOcclusion(towers, images, evidence).occlude(sweep)
    loss = whole.double().cpu().numpy()[:, None, None] - found.score
    return Coverage(loss.mean(axis=0).clip(0), "loss that the receptive fields predict, mean over training images", "nats")


def mean_training_map(decoded: Decoded, towers: AlignedTowers, n_images: int = 200) -> Float32[np.ndarray, "..."]:
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
