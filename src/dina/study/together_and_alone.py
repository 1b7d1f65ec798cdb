"""Fit several recordings in three ways: together with one image tower; each on its own; each joining the others with few images."""

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Int

from dina.analyses.across_recordings import explain_guesses, mouse_of
from dina.artifacts import write_dataset, write_json
from dina.data.pairs import Pairs, make_task
from dina.data.response_transform import IDENTITY, ResponseTransform
from dina.data.splits import Split
from dina.models.transform_choice import choose_transform
from dina.progress import track
from dina.randomness import generator_for, seed_for
from dina.recordings.recording import Recording
from dina.retrieval.ranks import retrieve
from dina.shapes import Scores
from dina.statistics.intervals import null_range
from dina.statistics.map_similarity import gram_of
from dina.study.decoder_scores import collapse_of
from dina.study.environment import Timings
from dina.study.gains import RecordingRounds, compare_together_and_alone, count_updates
from dina.study.prepared_recordings import SplitPairs, describe_recording, draw_splits
from dina.study.run_directory import CHECKPOINTS, RESULTS, SUMMARY, Run, split_to_json
from dina.study.settings import TogetherSettings, dina_settings
from dina.study.unfinished_run import safe_name, sign_finished_parts
from dina.training.aligned_towers import AlignedTowers
from dina.training.batches import RecordingPairs, updates_per_epoch
from dina.training.dina_decoder import FittedRecordings, build_untrained, fit_recordings, join_recording
from dina.training.fit import with_updates
from dina.training.presets import PRESETS, PresetSettings
from dina.training.presets.default import DefaultSettings
from dina.training.saved import save_towers
from dina.version import __version__

N_PERMUTATIONS = 2000
log = logging.getLogger(__name__)

# Fewest images by which a recording that joins chooses.
FEWEST_VALIDATION = 6
# What is read of the files of each kind of fit, variables and attributes.
_NEEDED = {
    "joint": ("top1", "stimulus_id", "null_low", "null_high", "gram_neural", "gram_image", "n_updates", "kept_updates"),
    "alone": ("top1", "stimulus_id", "gram_neural", "gram_image", "gram_image_untrained", "n_updates", "kept_updates"),
    "joining": ("top1_shared", "top1_alone", "stimulus_id", "size"),
}


@dataclass(frozen=True, eq=False)
class Round:
    """One split of the images (a fold), the same for all recordings, and one training on it with a seed (a repeat)."""

    fold: int
    repeat: int
    split: Split
    seed: int

    def path(self, folder: Path, kind: str, recording: str) -> Path:
        """Return where results about a recording are kept; ``kind`` is "joint", "alone" or "joining"."""
        return folder / RESULTS / f"{kind}_{file_name_of(recording)}_fold{self.fold}_seed{self.repeat}.nc"


def file_name_of(recording: str) -> str:
    """Return a word for files about a recording: different names, different words, also on systems blind to case.

    Examples
    --------
    >>> file_name_of("M1 day 2"), file_name_of("m1 day 2")
    ('M1_day_2-7abead', 'm1_day_2-1d0955')
    """
    return f"{safe_name(recording)}-{hashlib.sha256(recording.encode()).hexdigest()[:6]}"


@dataclass(frozen=True, eq=False)
class TogetherFits:
    """All fits of a study of several recordings in the run directory ``folder``, each kept in a file as soon as it is done.

    A fit whose file is there is left alone; one that was stopped goes on from its checkpoint.
    """

    recordings: Sequence[Recording]
    settings: TogetherSettings
    device: str
    folder: Path
    _chosen: dict[tuple[str, bytes], ResponseTransform] = field(default_factory=dict, repr=False)

    def carry_out(self, rounds: Sequence[Round]) -> None:
        """Do every fit that is not there yet: together first, then recording by recording."""
        detail: dict[str, str] = {}
        for of in track(rounds, "Folds and seeds"):
            self.fit_together(of)
            sign_finished_parts(self.folder)
            for recording in track(self.recordings, "Recordings alone and joining", detail=detail):
                detail["recording"] = recording.name
                # recordings of one animal may hold the same neurons: none of them may teach about a new one
                mouse = mouse_of(recording.name, recording.animal)
                others = [other for other in self.recordings if mouse_of(other.name, other.animal) != mouse]
                self.fit_alone(recording, of)
                self.fit_joining(recording, others, of)
                sign_finished_parts(self.folder)

    def fit_together(self, of: Round) -> None:
        """Fit all recordings together, and write how each decodes; it is done when the files of all are there."""
        paths = [of.path(self.folder, "joint", recording.name) for recording in self.recordings]
        if all(path.is_file() for path in paths):
            return
        name = f"together_fold{of.fold}_seed{of.repeat}"
        pairs = [self._pairs_of(recording, of.split) for recording in self.recordings]
        sizes = self._sizes(of)
        found = self._fit([each for each, _ in pairs], self.preset_settings(sizes, sizes), of.seed, name)
        for recording, (_, test), path in zip(self.recordings, pairs, paths, strict=True):
            towers = found.towers[recording.name]
            if of.fold == of.repeat == 0:
                save_towers(towers, self.folder / "models" / f"{file_name_of(recording.name)}.safetensors")
            attributes = {**found.chosen, "best_epoch": found.history.best_epoch, **found.history.updates()}
            write_dataset(path, _judge(towers, test, of.seed).assign_attrs(attributes))
        self._forget(name)

    def fit_alone(self, recording: Recording, of: Round) -> None:
        """Fit the same towers on one recording alone, and write how it decodes and how similar maps are before training.

        Every recording begins with other random weights: towers that begin the same would end the same.
        """
        path = of.path(self.folder, "alone", recording.name)
        if path.is_file():
            return
        pairs, test = self._pairs_of(recording, of.split)
        preset = self.preset_settings([pairs.train.n_stimuli], self._sizes(of))
        seed = _seed_alone(recording, of)
        alone = self._fit([pairs], preset, seed, path.stem)
        untrained = _grams(build_untrained(self.settings.preset, preset, pairs, seed, self.device), test, "_untrained")
        found = _judge(alone.towers[recording.name], test, of.seed)
        write_dataset(path, found.assign(untrained).assign_attrs(alone.history.updates()))
        self._forget(path.stem)

    def fit_joining(self, recording: Recording, others: Sequence[Recording], of: Round) -> None:
        """Let a recording join what the others have learnt together, with few images, beside the same images alone.

        Images for training (four of five) and for validation both count. Larger sets contain the smaller ones; sizes that the
        recording does not have are left out. Mean and deviation of the neurons come from the few training images, too.
        """
        path = of.path(self.folder, "joining", recording.name)
        orders = _orders(recording, of)
        sizes = [size for size in sorted(set(self.settings.sizes)) if sum(map(len, _few(orders, size))) == size]
        if path.is_file() or not sizes or not others:
            return
        theirs = [_n_train(other, of.split) for other in others]
        pairs = [self._pairs_of(other, of.split)[0] for other in others]
        shared = self._fit(pairs, self.preset_settings(theirs, theirs), of.seed, path.stem)
        found = []
        for size in sizes:
            few, test = self._pairs_of(recording, of.split, _few(orders, size))
            preset = self.preset_settings([few.train.n_stimuli], theirs)
            alone = self._fit([few], preset, _seed_alone(recording, of), f"{path.stem}_{size}")
            both = {
                "shared": join_recording(shared, few, of.seed, self.device, preset.fit),
                "alone": (alone.towers[recording.name], alone.history),
            }
            values = {f"top1_{name}": _judge(towers, test, of.seed)["top1"] for name, (towers, _) in both.items()}
            counts = {f"{part}_{name}": n for name, (_, history) in both.items() for part, n in history.updates().items()}
            found.append(xr.Dataset({**values, **counts}))
        write_dataset(path, xr.concat(found, dim="size").assign_coords(size=np.array(sizes)))
        for name in (path.stem, *(f"{path.stem}_{size}" for size in sizes)):
            self._forget(name)

    def read(self, rounds: Sequence[Round]) -> list[RecordingRounds]:
        """Read what was written about every recording, by fold and seed; what is not there is left out."""
        kept = []
        for each in self.recordings:
            joint, alone, joining = (_read(rounds, self.folder, kind, each.name) for kind in ("joint", "alone", "joining"))
            kept.append(RecordingRounds(each.name, joint, alone, joining, each.animal))
        return kept

    def _sizes(self, of: Round) -> list[int]:
        return [_n_train(recording, of.split) for recording in self.recordings]

    def preset_settings(self, n_images: Sequence[int], together: Sequence[int]) -> PresetSettings:
        """Return the settings of a fit on so many training images, with as many updates as a fit on ``together``."""
        preset = dina_settings(self.settings.preset, self.settings.dina)
        if isinstance(preset, DefaultSettings):  # fits together have the local channels alone, and are compared with fits alone
            preset = preset.model_copy(update={"spaces": ()})
        if PRESETS[self.settings.preset].has_closed_form_start:
            return preset
        n_updates = preset.fit.n_epochs * updates_per_epoch(together, preset.fit.batch_size)
        return preset.model_copy(update={"fit": with_updates(preset.fit, n_images, max(n_updates, self.settings.fewest_updates))})

    def _pairs_of(
        self, recording: Recording, split: Split, few: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[RecordingPairs, Pairs]:
        """Return training and validation pairs, all or of few images, and the test pairs made in the same way.

        The transform of the responses is chosen by the training images at hand, once for each set of them.
        """
        train, validation = (split.train, split.validation) if few is None else few
        key = recording.name, np.sort(train).tobytes()
        if PRESETS[self.settings.preset].units == "chosen" and key not in self._chosen:
            self._chosen[key] = choose_transform(recording, train, self.settings.response_transform).transform
        pairs = SplitPairs.of(recording, train, validation, split.test, self._chosen.get(key, IDENTITY))
        return RecordingPairs(pairs.train, pairs.validation, recording.name), pairs.test

    def _fit(self, pairs: Sequence[RecordingPairs], preset: PresetSettings, seed: int, name: str) -> FittedRecordings:
        return fit_recordings(self.settings.preset, preset, pairs, seed, self.device, self.folder / CHECKPOINTS / name)

    def _forget(self, name: str) -> None:
        shutil.rmtree(self.folder / CHECKPOINTS / name, ignore_errors=True)


def study_together(
    recordings: Sequence[Recording], settings: TogetherSettings, device: str, folder: Path, timings: Timings
) -> None:
    """Do the whole study of several recordings in the run directory ``folder``, from the splits to ``summary.json``."""
    with timings.of("split"):
        rounds = draw_rounds(recordings, settings)
        for each in rounds:
            write_json(folder / f"split_fold{each.fold}.json", split_to_json(each.split))
    with timings.of("fits"):
        fits = TogetherFits(recordings, settings, device, folder)
        fits.carry_out(rounds)
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    with timings.of("analysis"):
        kept = fits.read(rounds)
        found = compare_together_and_alone(kept, settings.seed, settings.evaluation.n_resamples)
        for name, dataset in found.datasets().items():
            write_dataset(folder / RESULTS / f"{name}.nc", dataset)
        folds = [each for each in rounds if each.repeat == 0]
        findings = {name: [finding.to_json() for finding in some] for name, some in found.by_recording.items()}
        of_each = [{"mouse": found.mice[each.name], "findings": findings[each.name]} for each in recordings]
        summary = {
            "dina_version": __version__,
            "preset": settings.preset,
            "recordings": [describe_recording(one) | more for one, more in zip(recordings, of_each, strict=True)],
            "animals_from_names": explain_guesses({each.name: each.animal for each in recordings}),
            "warnings": _collapsed(kept),
            "splits": [{"fold": one.fold, "sha256": one.split.sha256(), "n_test": len(one.split.test)} for one in folds],
        }
        write_json(folder / SUMMARY, summary | found.to_json() | {"updates": count_updates(kept)})


def _collapsed(kept: Sequence[RecordingRounds]) -> list[str]:
    """Say for which recordings towers tell nothing of images and responses, once for each and kind of fit."""
    found: dict[str, str] = {}
    for each in kept:
        for kind, fits in (("together", each.joint), ("alone", each.alone)):
            words = next((word for one in fits.values() if (word := str(one.attrs.get("collapsed", "")))), "")
            if words:
                found[f"{each.name} {kind}"] = f"{each.name}, {kind}: {words}"
    return list(found.values())


def draw_rounds(recordings: Sequence[Recording], settings: TogetherSettings) -> list[Round]:
    """Draw the split of every fold, jointly for all recordings, and list what is to be fitted."""
    seeds = [settings.seed, *(seed_for(settings.seed, f"fold {fold}") for fold in range(1, settings.n_folds))]
    trainings = [settings.seed, *(seed_for(settings.seed, f"training {repeat}") for repeat in range(1, settings.n_seeds))]
    return [
        Round(fold, repeat, split, seed)
        for fold, split in enumerate(draw_splits(recordings, settings.split, seeds))
        for repeat, seed in enumerate(trainings)
    ]


def _read(rounds: Sequence[Round], folder: Path, kind: str, recording: str) -> Mapping[tuple[int, int], xr.Dataset]:
    run = Run(folder)
    paths = {(each.fold, each.repeat): each.path(folder, kind, recording).relative_to(folder) for each in rounds}
    found = {place: run.read_dataset(path.as_posix(), _NEEDED[kind]) for place, path in paths.items()}
    return {place: one for place, one in found.items() if one is not None}


def _n_train(recording: Recording, split: Split) -> int:
    return len(np.intersect1d(recording.stimulus_id, split.train))


def _seed_alone(recording: Recording, of: Round) -> int:
    return seed_for(of.seed, f"alone {recording.name}")


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
    """Return per test image whether it is found, the null of that, and how similar the maps of all test images are."""
    task = make_task(test, "averaged")
    scores = towers.score(task.queries, task.gallery)
    collapsed = collapse_of("towers", scores)
    if collapsed:
        log.warning("%s", collapsed)
    found = retrieve(scores, task.target, "image_from_response")
    low, high = _null(scores, seed)
    places = {"top1": (("query",), found.top(1)), "rank": (("query",), found.rank())}
    variables = {**places, "null_low": ((), low), "null_high": ((), high), **_grams(towers, test)}
    return xr.Dataset(
        variables,
        coords={"stimulus_id": (("query",), test.stimulus_id)},
        attrs={"n_gallery": found.n_gallery, "collapsed": collapsed},
    )


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
    return null_range((permuted == best).mean(axis=1))
