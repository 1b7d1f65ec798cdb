"""The single fits of a joint study: all recordings together, each alone, and each joining the others with few images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Int

from dina.artifacts import write_dataset
from dina.data.pairs import Pairs, learn_standardiser, make_pairs, make_task
from dina.data.splits import Split
from dina.randomness import generator_for, seed_for
from dina.recordings.recording import Recording
from dina.retrieval.ranks import retrieve
from dina.shapes import Scores
from dina.statistics.map_similarity import gram_of
from dina.statistics.resampling import percentile_interval
from dina.study.joint_rounds import Round, file_name_of
from dina.study.joint_settings import JointSettings, joint_preset_settings
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs, updates_per_epoch
from dina.training.dina_decoder import build_untrained, fit_recordings, join_recording
from dina.training.fit import with_updates
from dina.training.presets import PRESETS, PresetSettings
from dina.training.saved import save_towers

N_PERMUTATIONS = 2000
FEWEST_VALIDATION = 6
"""Fewest images by which a recording that joins chooses."""


def fit_together(recordings: Sequence[Recording], settings: JointSettings, of: Round, device: str, folder: Path) -> None:
    """Fit all recordings together, and write what each decodes; it is done when the files of all are there."""
    paths = [of.path(folder, "joint", recording.name) for recording in recordings]
    if all(path.is_file() for path in paths):
        return
    pairs = [_pairs_of(recording, of.split) for recording in recordings]
    sizes = [_n_train(recording, of.split) for recording in recordings]
    joint = fit_recordings(settings.preset, _trained(settings, sizes, sizes), [each for each, _ in pairs], of.seed, device)
    for recording, (_, test), path in zip(recordings, pairs, paths, strict=True):
        towers = joint.towers[recording.name]
        if of.fold == of.repeat == 0:
            save_towers(towers, folder / "models" / f"{file_name_of(recording.name)}.safetensors")
        told = {**joint.chosen, "best_epoch": joint.history.best_epoch, **joint.history.updates()}
        write_dataset(path, _judge(towers, test, of.seed).assign_attrs(told))


def fit_alone(
    recording: Recording, together: Sequence[Recording], settings: JointSettings, of: Round, device: str, folder: Path
) -> None:
    """Fit the same towers on one recording alone, and write what it decodes; beside it, how alike maps are before training.

    Every recording begins with random weights of its own: towers that began alike would end alike.

    Parameters
    ----------
    recording
        The one left alone.
    together
        All that are trained together: alone it gets as many updates.
    settings, device
        As in `dina.study.joint.run_joint_study`.
    of
        Fold and seed.
    folder
        The run directory.
    """
    path = of.path(folder, "alone", recording.name)
    if path.is_file():
        return
    pairs, test = _pairs_of(recording, of.split)
    preset = _trained(settings, [pairs.train.n_stimuli], [_n_train(each, of.split) for each in together])
    seed = _own_seed(recording, of)
    alone = fit_recordings(settings.preset, preset, [pairs], seed, device)
    untrained = _grams(build_untrained(settings.preset, preset, pairs, seed, device), test, "_untrained")
    found = _judge(alone.towers[recording.name], test, of.seed)
    write_dataset(path, found.assign(untrained).assign_attrs(alone.history.updates()))


def fit_joining(
    recording: Recording, others: Sequence[Recording], settings: JointSettings, of: Round, device: str, folder: Path
) -> None:
    """Let a recording join what the others have learnt together, with few images, beside the same images alone.

    An image counts as one of the few whether it is used for training (four of five) or for validation. Larger sets contain the
    smaller ones. Mean and deviation of the neurons come from the few training images, too. Sizes that the recording does not
    have are left out.

    Parameters
    ----------
    recording, others
        The one that joins, and those that it joins.
    settings, device
        As in `dina.study.joint.run_joint_study`.
    of
        Fold and seed.
    folder
        The run directory.
    """
    path = of.path(folder, "joining", recording.name)
    if path.is_file():
        return
    orders = _orders(recording, of)
    sizes = [size for size in sorted(set(settings.sizes)) if sum(map(len, _few(orders, size))) == size]
    if not sizes or not others:
        return
    theirs = [_n_train(other, of.split) for other in others]
    taught = [_pairs_of(other, of.split)[0] for other in others]
    shared = fit_recordings(settings.preset, _trained(settings, theirs, theirs), taught, of.seed, device)
    found = []
    for size in sizes:
        few = _pairs_of(recording, of.split, _few(orders, size))
        preset = _trained(settings, [few[0].train.n_stimuli], theirs)
        alone = fit_recordings(settings.preset, preset, [few[0]], _own_seed(recording, of), device)
        both = {
            "shared": join_recording(shared, few[0], of.seed, device, preset.fit),
            "alone": (alone.towers[recording.name], alone.history),
        }
        values = {f"top1_{name}": _judge(towers, few[1], of.seed)["top1"] for name, (towers, _) in both.items()}
        counts = {f"{part}_{name}": n for name, (_, history) in both.items() for part, n in history.updates().items()}
        found.append(xr.Dataset({**values, **counts}))
    write_dataset(path, xr.concat(found, dim="size").assign_coords(size=np.array(sizes)))


def _n_train(recording: Recording, split: Split) -> int:
    return len(np.intersect1d(recording.stimulus_id, split.train))


def _trained(settings: JointSettings, own: Sequence[int], together: Sequence[int]) -> PresetSettings:
    """Return the settings of a fit whose recordings have ``own`` training images, beside one of ``together``.

    Fits that are compared may make as many updates, see `with_updates`.
    """
    preset = joint_preset_settings(settings)
    if PRESETS[settings.preset].has_closed_form_start:
        return preset
    n_updates = preset.fit.n_epochs * updates_per_epoch(together, preset.fit.batch_size)
    return preset.model_copy(update={"fit": with_updates(preset.fit, own, max(n_updates, settings.fewest_updates))})


def _own_seed(recording: Recording, of: Round) -> int:
    """Return the seed of a recording that is fitted alone, independent of those of others."""
    return seed_for(of.seed, f"alone {recording.name}")


def _pairs_of(
    recording: Recording, split: Split, few: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[RecordingPairs, Pairs]:
    """Return training and validation pairs, all or of few images, and the test pairs standardised in the same way."""
    train, validation = (split.train, split.validation) if few is None else few
    standardiser = learn_standardiser(recording, train)
    parts = [make_pairs(recording, ids, standardiser) for ids in (train, validation, split.test)]
    return RecordingPairs(parts[0], parts[1], recording.name), parts[2]


def _orders(recording: Recording, of: Round) -> tuple[Int[np.ndarray, "train"], Int[np.ndarray, "validation"]]:
    """Return the training and the validation images of a recording in random order."""
    generator = generator_for(of.seed, f"few images of {recording.name}")
    shown = np.unique(recording.stimulus_id)
    train, validation = (generator.permutation(np.intersect1d(ids, shown)) for ids in (of.split.train, of.split.validation))
    return train, validation


def _few(orders: tuple[np.ndarray, np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    n_validation = max(FEWEST_VALIDATION, size // 5)
    return np.sort(orders[0][: size - n_validation]), np.sort(orders[1][:n_validation])


def _judge(towers: AlignedTowers, test: Pairs, seed: int) -> xr.Dataset:
    """Return per test image whether it is found, the null of that, and how alike the maps of all test images are."""
    task = make_task(test, "averaged")
    scores = towers.score(task.queries, task.gallery)
    found = retrieve(scores, task.target, "image_from_response")
    low, high = _null(scores, seed)
    variables = {
        "top1": (("query",), found.top(1)),
        "rank": (("query",), found.rank()),
        "null_low": ((), low),
        "null_high": ((), high),
        **_grams(towers, test),
    }
    return xr.Dataset(variables, coords={"stimulus_id": (("query",), test.stimulus_id)}, attrs={"n_gallery": found.n_gallery})


def _grams(towers: AlignedTowers, test: Pairs, suffix: str = "") -> dict[str, tuple[tuple[str, str], np.ndarray]]:
    """Return the products of the maps of all pairs of test images, for either tower."""
    responses = make_task(test, "averaged").queries.responses
    maps = {"neural": towers.encode_responses(responses), "image": towers.encode_images(test.images)}
    return {f"gram_{name}{suffix}": (("query", "other"), gram_of(one.reshape(len(one), -1))) for name, one in maps.items()}


def _null(scores: Scores, seed: int) -> tuple[float, float]:
    """Return the central 95 % of top-1 accuracy when queries are assigned to other images at random."""
    generator = generator_for(seed, "assignments")
    best = scores.argmax(axis=1)
    permuted = generator.permuted(np.broadcast_to(np.arange(len(best)), (N_PERMUTATIONS, len(best))), axis=1)
    return percentile_interval((permuted == best).mean(axis=1))
