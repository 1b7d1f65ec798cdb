"""A closed-form start for several recordings with one image tower, and for a new recording that finds one there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.data.pairs import Pairs
from dina.models.encoding import EncodingModel, Windows, choose_typical, shift_by_contrast
from dina.models.encoding_weights import LocalWeights, learn_prior
from dina.models.towers.image.contrast_gain import ContrastGain
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.shapes import ContrastImages
from dina.training.encoding_candidates import (
    EncodingCandidate,
    JudgedCandidate,
    contrast_candidate,
    judge_candidate,
    steady_candidate,
)
from dina.training.shared_towers import RecordingPairs


@dataclass(frozen=True, eq=False)
class SharedFields:
    """What neurons of several recordings teach about neurons in general.

    Parameters
    ----------
    width
        Of the receptive-field window, in places of the map.
    prior
        Square root of the covariance of weights over patterns and channels, from the neurons of all recordings.
    """

    width: float
    prior: Float[Tensor, "feature feature"]


@dataclass(frozen=True, eq=False)
class _Data:
    """Averaged training responses of one recording, and where its images stand among those of all."""

    rows: Tensor
    responses: Tensor
    windows: Windows


@torch.no_grad()
def start_sharing_images(
    image_tower: GaborEnergy,
    neural_towers: Sequence[ProjectiveFields],
    recordings: Sequence[RecordingPairs],
    widths: tuple[float, ...],
) -> tuple[SharedFields, dict[str, str | float]]:
    """Set one image tower and a neural tower for each recording to encoding models, in place.

    Shared are the statistics of the maps over all training images, the width of the receptive-field window (the middle one
    of those that recordings would choose), the prior of the weights (learnt from all neurons), whether anything follows
    contrast, and how predictions are scaled at each contrast. Everything else is each recording's own. With one recording
    it is `dina.training.closed_form_start.start_at_encoding_model`.

    Parameters
    ----------
    image_tower, neural_towers
        Set in place.
    recordings
        In the order of the neural towers.
    widths
        To choose from, in places of the map.

    Returns
    -------
    shared
        What a further recording can be started with.
    chosen
        What was chosen, by name.
    """
    contrast = _contrast_of(image_tower)
    images, rows = _union([each.train for each in recordings])
    maps = image_tower.learn_statistics(torch.from_numpy(images))
    knots = contrast.knot_weights(torch.from_numpy(images).to(maps.device))
    expected = contrast.expected.clone()
    contrast.expected.zero_()
    shift_by_contrast(maps, knots, expected)
    data = []
    for own, recording in zip(rows, recordings, strict=True):
        responses = torch.from_numpy(recording.train.averaged()).to(maps.device)
        data.append(_Data(own, responses, Windows.find(_at(maps, own), responses, widths, neural_towers[0].order)))
    width = sorted(one.windows.width for one in data)[(len(data) - 1) // 2]
    data = [replace(one, windows=replace(one.windows, width=width)) for one in data]
    flat = [EncodingModel.fit(_at(maps, one.rows), one.responses, one.windows).weights for one in data]
    shared = SharedFields(width, learn_prior(_pooled(flat)))
    candidates: list[list[EncodingCandidate]] = []
    for one, weights in zip(data, flat, strict=True):
        learnt = EncodingModel.fit(_at(maps, one.rows), one.responses, one.windows, shared.prior).weights
        both = (("ignorant", weights), ("learnt", learnt))
        candidates.append([steady_candidate(each, one.responses, knots.shape[1], name) for name, each in both])
    shift_by_contrast(maps, knots, -expected)
    for one, models in zip(data, candidates, strict=True):
        found = contrast_candidate(_at(maps, one.rows), one.responses, knots[one.rows], one.windows, shared.prior)
        models.append(found)
    winners = _choose_together(image_tower, neural_towers, recordings, candidates, expected)
    for tower, winner, recording in zip(neural_towers, winners, recordings, strict=True):
        _install(tower, winner, recording.train)
    follows = "no" if winners[0].candidate.is_contrast_free else "yes"
    return shared, {"window_width": width, "follows_contrast": follows}


@torch.no_grad()
def start_new_recording(
    image_tower: GaborEnergy, neural_tower: ProjectiveFields, shared: SharedFields, train: Pairs, validation: Pairs
) -> dict[str, str | float]:
    """Set the neural tower of a new recording to an encoding model, with an image tower and a prior that others have learnt.

    Parameters
    ----------
    image_tower
        Left as it is.
    neural_tower
        Set in place.
    shared
        From `start_sharing_images`.
    train, validation
        Pairs of the new recording; they may be few. Validation chooses the prior (learnt or ignorant), whether mean responses
        follow contrast, and the noise model.

    Returns
    -------
    chosen
        What was chosen, by name.
    """
    contrast = _contrast_of(image_tower)
    images = torch.from_numpy(train.images).to(contrast.knot.device)
    knots = contrast.knot_weights(images)
    maps = _standard_maps(image_tower, images)
    responses = torch.from_numpy(train.averaged()).to(maps.device)
    is_free = not bool(contrast.expected.any())
    windows = Windows.find(maps, responses, (shared.width,), neural_tower.order)
    candidates = []
    for name, prior in (("ignorant", None), ("learnt", shared.prior)):
        weights = EncodingModel.fit(maps, responses, windows, prior).weights
        candidates.append(steady_candidate(weights, responses, knots.shape[1], name, is_contrast_free=is_free))
    if not is_free:
        candidates.append(contrast_candidate(maps, responses, knots, windows, shared.prior))
    judged = [judge_candidate(image_tower, neural_tower, candidate, validation) for candidate in candidates]
    best = min(judged, key=lambda each: each.loss)  # the first of equals
    _install(neural_tower, best, train)
    steady = best.candidate.at_knot.std(0, correction=0).max() == 0
    return {**best.chosen, "prior": best.candidate.prior, "mean_follows_contrast": "no" if bool(steady) else "yes"}


def _contrast_of(image_tower: GaborEnergy) -> ContrastGain:
    if image_tower.contrast is None:
        raise ValueError("The closed-form start needs an image tower with n_contrasts of at least 2.")
    return image_tower.contrast


def _union(parts: Sequence[Pairs]) -> tuple[ContrastImages, list[Tensor]]:
    """Return every image that is a training image of any recording once, and the rows of each recording's own."""
    position: dict[tuple[int, bytes], int] = {}
    images: list[np.ndarray] = []
    rows = []
    for part in parts:
        own = []
        for identity, image in zip(part.stimulus_id, part.images, strict=True):
            # under another condition the same identity has other pixels
            key = (int(identity), image[:, ::4, ::4].tobytes())
            if key not in position:
                position[key] = len(images)
                images.append(image)
            own.append(position[key])
        rows.append(torch.tensor(own))
    return np.stack(images), rows


def _at(maps: Tensor, rows: Tensor) -> Tensor:
    """Return some maps, without a copy where all are wanted in order: maps of a whole recording take hundreds of megabytes."""
    if len(rows) == len(maps) and bool((rows == torch.arange(len(maps))).all()):
        return maps
    return maps[rows.to(maps.device)]


def _pooled(found: Sequence[LocalWeights]) -> LocalWeights:
    """Return the weights of all recordings as if they were of one, for `learn_prior`, which reads weights and fit alone."""
    names = ("centre", "weights", "intercept", "explained", "penalty")
    together: dict[str, Any] = {name: torch.cat([getattr(each, name) for each in found]) for name in names}
    # recordings may have seen different images: their predictions cannot stand side by side
    return replace(found[0], predicted=torch.cat([each.predicted[:0] for each in found], dim=1), **together)


def _choose_together(
    image_tower: GaborEnergy,
    neural_towers: Sequence[ProjectiveFields],
    recordings: Sequence[RecordingPairs],
    candidates: Sequence[Sequence[EncodingCandidate]],
    expected: Tensor,
) -> list[JudgedCandidate]:
    """Choose for all recordings together whether contrast is followed, and for each what else there is to choose."""
    contrast = _contrast_of(image_tower)
    sizes = torch.tensor([float(tower.n_neurons) for tower in neural_towers], device=expected.device)
    following = torch.stack([own[-1].gain for own in candidates])
    gain = (following * (sizes / sizes.sum())[:, None]).sum(0)
    best: dict[bool, list[JudgedCandidate]] = {}
    for is_free in (True, False):
        contrast.expected.copy_(expected * (0.0 if is_free else 1.0))
        contrast.gain.copy_(torch.ones_like(gain) if is_free else gain)
        best[is_free] = [
            min(
                (judge_candidate(image_tower, tower, c, r.validation) for c in own if c.is_contrast_free == is_free),
                key=lambda each: each.loss,
            )
            for tower, r, own in zip(neural_towers, recordings, candidates, strict=True)
        ]
    is_free = sum(each.loss for each in best[True]) <= sum(each.loss for each in best[False])
    contrast.expected.copy_(expected * (0.0 if is_free else 1.0))
    contrast.gain.copy_(torch.ones_like(gain) if is_free else gain)
    return best[is_free]


def _install(tower: ProjectiveFields, judged: JudgedCandidate, train: Pairs) -> None:
    judged.install(tower)
    tower.keep_typical(choose_typical(judged.candidate.predicted), float(train.total_presentations().mean()))


def _standard_maps(image_tower: GaborEnergy, images: Tensor, chunk: int = 64) -> Tensor:
    """Return maps with the tower's statistics, less what it expects of their contrast, before any gain; half precision."""
    contrast = _contrast_of(image_tower)
    maps = []
    for first in range(0, len(images), chunk):
        part = images[first : first + chunk]
        standard = (image_tower.raw_maps(part) - image_tower.mean) / image_tower.deviation
        maps.append((standard - torch.einsum("bk,kchw->bchw", contrast.knot_weights(part), contrast.expected)).half())
    return torch.cat(maps)
