"""Accuracy on left-out images with all of a recording and with half its images, neurons or repeats: what forecasts are made from."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil

import numpy as np
import torch
from jaxtyping import Int
from pydantic import BaseModel, Field

from dina.analyses.decoded import Arrays, Decoded
from dina.analyses.neuron_readout import readout_of
from dina.checks import DataError
from dina.data.pairs import QUERY_KINDS, Pairs, make_task
from dina.data.splits import Split, group_near_identical, split_into_folds
from dina.power.forecast import Pilot
from dina.progress import track
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.retrieval.gallery_size import accuracy_by_image
from dina.short_words import brief
from dina.statistics.repeats import count_within_group
from dina.study.decoders import MIN_TRAIN
from dina.study.prepared_recordings import SplitPairs
from dina.training.aligned_towers import AlignedTowers
from dina.training.comparison import LikelihoodComparison
from dina.training.dina_decoder import DinaDecoder

FEWEST_IMAGES = 12  # of a fold, as a gallery


class PowerSettings(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """How a recording is cut up.

    Parameters
    ----------
    n_folds
        Every image is left out of one fold. There are seven trainings for each fold, five where neurons can be taken out of
        fitted towers.
    gallery
        Candidates; fewer where a fold holds fewer images.
    n_halves
        Random halves of the neurons, where they can be taken out of fitted towers.
    """

    __repr__ = __str__ = brief

    n_folds: int = Field(4, ge=2)
    gallery: int = Field(50, ge=2)
    n_halves: int = Field(16, ge=2)


def measure_pilot(decoded: Decoded, settings: PowerSettings = PowerSettings()) -> Pilot:
    """Decode left-out images with all of a recording, and with half its images, neurons or repeats.

    The images are divided into folds. In each, towers are fitted with the settings of ``decoded``, and the images of the fold are
    sought among each other. Each fit is kept in ``decoded.parts`` as soon as it is done.

    Raises
    ------
    DataError
        If there are too few images: half of those that a fold learns from are needed by themselves.
    """
    recording = decoded.recording
    splits = split_into_folds([recording], group_near_identical(recording.images), decoded.seed, settings.n_folds)
    smallest = min(len(split.test) for split in splits)
    if smallest < FEWEST_IMAGES:
        raise DataError(
            f"A forecast needs at least {FEWEST_IMAGES} images in each of {settings.n_folds} folds; the smallest has {smallest}."
            " Record more images."
        )
    fewest = min(len(split.train) for split in splits)
    if fewest < 2 * MIN_TRAIN:
        n = sum(len(split.test) for split in splits)
        left_out = 1 - 1 / settings.n_folds  # what a fold costs; with the most folds that there can be, the least
        helps = fewest / left_out * (1 - FEWEST_IMAGES / n) >= 2 * MIN_TRAIN
        raise DataError(
            f"A forecast fits towers to half the training images, at least {MIN_TRAIN}; in {settings.n_folds} folds the half of this"
            f" recording is {fewest // 2}. Record about {10 * ceil(n * 2 * MIN_TRAIN / fewest / 10)} images in all"
            f"{', or ask for more folds' if helps else ''}."
        )
    size = min(settings.gallery, smallest - 1)
    has_repeats = bool((recording.repeats_per_stimulus()[np.unique(recording.stimulus_id)] >= 2).all())
    jobs = [(fold, cut) for fold in range(len(splits)) for cut in ("all", "images", *(("repeats",) if has_repeats else ()))]
    found: list[dict[str, Arrays]] = [{} for _ in splits]
    for fold, cut in track(jobs, "Decoding left-out images"):
        carry_out = partial(_carry_out, decoded, splits[fold], cut, size, settings.n_halves)
        found[fold][cut] = decoded.parts.get(f"fold {fold}, {cut}", carry_out)
    by_image: dict[str, dict[str, np.ndarray]] = {
        kind: _by_image(found, kind) for kind in QUERY_KINDS if all(kind in each["all"] for each in found)
    }
    counts = recording.repeats_per_stimulus()
    return Pilot(
        by_image=by_image,
        by_half=np.mean([each["all"]["by half"] for each in found], axis=0),
        gallery=size,
        n_images=round(np.mean([len(split.train) for split in splits])),
        n_neurons=recording.n_neurons,
        n_repeats=float(np.median(counts[counts > 0])),
    )


def _by_image(found: Sequence[Mapping[str, Arrays]], kind: str) -> dict[str, np.ndarray]:
    """Return what each image adds to the accuracy by what was halved, folds one after the other."""
    rows = {"all": ("all", kind), "neurons": ("all", f"{kind}, half the neurons"), "images": ("images", kind)}
    rows["repeats"] = ("repeats", kind)
    return {
        name: np.concatenate([each[cut][key] for each in found])
        for name, (cut, key) in rows.items()
        if all(key in each.get(cut, {}) for each in found)
    }


def _carry_out(decoded: Decoded, split: Split, cut: str, size: int, n_halves: int) -> Arrays:
    """Fit towers in one way or on two halves, and return what each left-out image adds to the accuracy."""
    if cut == "all":
        pairs = _pairs_of(decoded, decoded.recording, split.train, split.validation, split.test)
        towers = _fit(decoded, pairs)
        return _measure(towers, pairs.test, size) | _measure_halves(decoded, towers, pairs, size, n_halves)
    made = []
    for half in (0, 1):
        recording, train, validation = decoded.recording, split.train, split.validation
        if cut == "images":  # of those that choose, all are kept: a few of them choose badly
            train = _half_of(train, half, decoded.seed)
        else:
            is_half = count_within_group(recording.stimulus_id) % 2 == half
            recording = recording.select_trials(is_half, "Half the repeats.")
        pairs = _pairs_of(decoded, recording, train, validation, split.test)
        made.append(_measure(_fit(decoded, pairs), pairs.test, size))
    return {kind: np.mean([each[kind] for each in made], axis=0) for kind in made[0]}


def _half_of(ids: Int[np.ndarray, "image"], half: int, seed: int) -> Int[np.ndarray, "kept"]:
    order = generator_for(seed, "halves of the images").permutation(len(ids))
    return np.sort(ids[np.array_split(order, 2)[half]])


def _pairs_of(decoded: Decoded, recording: Recording, train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> SplitPairs:
    return SplitPairs.of(recording, train, validation, test, decoded.train.standardiser.transform)


def _fit(decoded: Decoded, pairs: SplitPairs) -> AlignedTowers:
    decoder = DinaDecoder(decoded.preset, decoded.settings, decoded.seed, decoded.device, image_features=decoded.image_features)
    towers = decoder.fit(pairs.train, pairs.validation).towers
    assert towers is not None
    return towers


def _measure(towers: AlignedTowers, test: Pairs, size: int) -> Arrays:
    """Return what each image adds to the accuracy, by kind of query; single trials only where all images have as many."""
    found: Arrays = {}
    for kind in QUERY_KINDS:
        try:
            task = make_task(test, kind)
        except DataError:  # averages only
            continue
        if len(set(np.bincount(task.target, minlength=test.n_stimuli))) == 1:
            found[kind] = accuracy_by_image(towers.score(task.queries, task.gallery), task.target, size)
    return found


def _measure_halves(decoded: Decoded, towers: AlignedTowers, pairs: SplitPairs, size: int, n_halves: int) -> Arrays:
    """Return the same for half the neurons, as a mean over halves, and the mean accuracy of each half."""
    test, generator = pairs.test, generator_for(decoded.seed, "halves of the neurons")  # the same halves in every fold
    is_removable = isinstance(towers.comparison, LikelihoodComparison)
    n = test.n_neurons
    orders = [generator.permutation(n) for _ in range(n_halves if is_removable else 1)]
    halves = [order[: n // 2] for order in orders] + ([] if is_removable else [orders[0][n // 2 :]])
    made: list[Arrays] = []
    for kept in halves:
        if is_removable:
            made.append(_without_others(towers, test, kept, size))
            continue
        keep = np.isin(np.arange(n), kept)
        transform = decoded.train.standardiser.transform.select_neurons(np.flatnonzero(keep))
        fewer = decoded.recording.select_neurons(keep, "Half the neurons.")
        parts = SplitPairs.of(fewer, pairs.train.stimulus_id, pairs.validation.stimulus_id, pairs.test.stimulus_id, transform)
        made.append(_measure(_fit(decoded, parts), parts.test, size))
    return {f"{kind}, half the neurons": np.mean([each[kind] for each in made], axis=0) for kind in made[0]} | {
        "by half": np.array([each["averaged"].mean() for each in made])
    }


def _without_others(towers: AlignedTowers, test: Pairs, kept: Int[np.ndarray, "kept"], size: int) -> Arrays:
    """Measure fitted towers from which all other neurons are removed."""
    readout = readout_of(towers, test.images)
    found: Arrays = {}
    for kind in QUERY_KINDS:
        try:
            task = make_task(test, kind)
        except DataError:
            continue
        responses = torch.from_numpy(np.asarray(task.queries.responses, dtype=np.float64))
        (scores,) = readout.subset_scores(responses, torch.from_numpy(kept.copy()), (len(kept),), "removed")
        if len(set(np.bincount(task.target, minlength=test.n_stimuli))) == 1:
            found[kind] = accuracy_by_image(scores.numpy(), task.target, size)
    return found
