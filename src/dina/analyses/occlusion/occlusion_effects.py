"""What becomes of maps, scores and ranks when a window hides part of an image, and what the fields let expect of it."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from dina.analyses.comparable_maps import channel_names
from dina.analyses.decoded import Decoded
from dina.analyses.occlusion.field_coverage import estimate_coverage
from dina.analyses.occlusion.gabor_occlusion import GaborOcclusion
from dina.analyses.occlusion.occlusion_windows import Sweep, occlude_image_by_image
from dina.data.pairs import RetrievalTask
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.randomness import generator_for
from dina.training.aligned_towers import AlignedTowers

N_FOR_COVERAGE = 24

ByWindow = Float[np.ndarray, "image row column"]
Channels = Float[np.ndarray, "channel map_height map_width"]


class Effects(NamedTuple):
    """Change of the map relative to the whole map, loss of score and gain of log rank in nats, by image and window."""

    map_change: ByWindow
    score_loss: ByWindow
    log_rank_loss: ByWindow


class Coverage(NamedTuple):
    """What the population can tell about what each window hides, what that is in words, and its unit."""

    value: Float[np.ndarray, "row column"]
    words: str
    units: str


def measure_effects(
    towers: AlignedTowers, task: RetrievalTask, chosen: Int[np.ndarray, "image"], sweep: Sweep, mean_map: Channels
) -> Effects:
    """Return change of the map, loss of score and gain of log rank for every image and window.

    Parameters
    ----------
    towers
        In evaluation mode.
    task
        Its gallery holds the distractors.
    chosen
        Positions of the images that are occluded.
    sweep
        Which windows.
    mean_map
        Of the training images, from which maps are measured.
    """
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
    return Effects(change, whole[:, None, None] - found.score, log_rank)


def cover_windows(decoded: Decoded, sweep: Sweep) -> Coverage:
    r"""Return what the neurons can tell about what each window hides, from training images alone.

    Parameters
    ----------
    decoded
        Its towers and its training images; nothing else is read.
    sweep
        Which windows.

    Notes
    -----
    Where a Gabor tower meets projective fields in a likelihood, it is the loss of score that these towers expect, mean over
    24 training images: :math:`\frac12 \Delta^\top J \Delta` with :math:`\Delta` what the window takes from the map and
    :math:`J = W^\top \Sigma^{-1} W` the Fisher information of a response about the map. Channels and places that a window
    takes together count together: the sum of what each tells alone follows losses less well. For other towers it is
    `estimate_coverage` under the squared window.
    """
    towers = decoded.towers
    neural = towers.neural_tower
    size = (int(decoded.train.images.shape[2]), int(decoded.train.images.shape[3]))
    if not GaborOcclusion.applies(towers) or not isinstance(neural, ProjectiveFields):
        places, words = estimate_coverage(decoded)
        return Coverage(_under_windows(places, sweep, size), words, "arbitrary")
    chosen = generator_for(decoded.seed, "images of coverage").permutation(decoded.train.n_stimuli)[:N_FOR_COVERAGE]
    images = torch.from_numpy(decoded.train.images[np.sort(chosen)]).to(towers.device)
    with torch.inference_mode():
        maps = towers.image_tower(images)
        evidence = neural(neural.predict(maps))  # of the response that is expected: what is lost is then the expected loss
        whole = towers.comparison(evidence, maps, images.new_ones(len(images))).diagonal()
    found = GaborOcclusion(towers, images, evidence).occlude(sweep)
    loss = whole.double().cpu().numpy()[:, None, None] - found.score
    return Coverage(loss.mean(axis=0).clip(0), "loss that the fields let expect, mean over training images", "nats")


def mean_training_map(decoded: Decoded, towers: AlignedTowers, n_images: int = 200) -> Float32[np.ndarray, "..."]:
    """Return the mean map of some training images; Gabor channels are deviations from it already."""
    tower = towers.image_tower
    if isinstance(tower, GaborEnergy):
        return np.zeros(tower.map_shape, dtype=np.float32)
    return np.asarray(towers.encode_images(decoded.train.images[:n_images]).mean(axis=0, dtype=np.float64), dtype=np.float32)


def _log_ranks(own: ByWindow, scores: Float[np.ndarray, "image gallery"], chosen: Int[np.ndarray, "image"]) -> ByWindow:
    """Return the logarithm of the mid-rank that each image would have with these scores among the other candidates."""
    ranks = np.empty(own.shape)
    for image, position in enumerate(chosen):
        others = np.sort(np.delete(scores[image], position))
        not_above = np.searchsorted(others, own[image], side="right")
        n_tied = not_above - np.searchsorted(others, own[image], side="left")
        ranks[image] = 1 + len(others) - not_above + n_tied / 2
    return np.asarray(np.log(ranks))


def _under_windows(
    coverage: Float[np.ndarray, "map_height map_width"], sweep: Sweep, size: tuple[int, int]
) -> Float[np.ndarray, "row column"]:
    """Return the coverage of what each window hides: squared weights, as information about what is hidden is quadratic."""
    along = []
    for centres, n_pixels, n_places in zip((sweep.rows, sweep.columns), size, coverage.shape, strict=True):
        pixel = ((np.arange(n_places) + 0.5) * n_pixels / n_places - 0.5).round().astype(int)
        along.append(np.stack([sweep.weights(centre, n_pixels)[pixel] ** 2 for centre in centres]))
    return np.asarray(along[0] @ coverage @ along[1].T)
