"""A study of one or several recordings, from the recordings to a run directory, as the Methods of a paper would tell it."""

import hashlib
import logging
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from dina.artifacts import sha256_of, write_dataset, write_json, write_text
from dina.checks import DataError
from dina.data.covariates import CovariateEffect, regress_out
from dina.data.response_transform import IDENTITY, transform_in
from dina.data.splits import Split
from dina.memory import give_back_memory
from dina.models.transform_choice import TransformChoice, choose_transform
from dina.progress import track
from dina.recordings.given_numbers import check_recording
from dina.recordings.large_images import reduce_images
from dina.recordings.recording import KIND_FACTS, Recording
from dina.retrieval.evaluate import TRAINING, DecodingRow
from dina.study.decoder_scores import DecoderScores, collapse_of
from dina.study.decoders import carry_out_decoder, decoders_of, read_image_features, read_scores, units_of
from dina.study.environment import Timings, describe_environment, fixed_threads, kept_log
from dina.study.judged_decoders import JudgedDecoders, judge_folds
from dina.study.likeness import judge_twins
from dina.study.needs import refuse_shortage
from dina.study.own_parts import OwnParts
from dina.study.prepared_recordings import (
    Quality,
    SplitPairs,
    assess_quality,
    describe_recording,
    draw_splits,
    gallery_dataset,
)
from dina.study.run_directory import ENVIRONMENT, RESULTS, SETTINGS, SPLIT, SUMMARY, Run, split_to_json
from dina.study.settings import StudySettings, TogetherSettings, resolve, settings_to_toml
from dina.study.studied_recording import identify, identify_together
from dina.study.study_result import StudyResult
from dina.study.together_and_alone import study_together
from dina.study.unfinished_run import is_finished, open_run, safe_name, sign_finished_parts
from dina.training.presets import AnyPreset
from dina.version import __version__

log = logging.getLogger(__name__)

# p-value below which a decoder is taken to beat chance, in warnings.
NOT_CHANCE = 0.01


def run_study(
    recordings: Recording | Sequence[Recording],
    settings: StudySettings | TogetherSettings | None = None,
    out: Path | str | None = None,
    device: str = "cpu",
    n_threads: int | None = None,
    *,
    preset: AnyPreset | None = None,
    decoders: Mapping[str, Any] = MappingProxyType({}),
    force: bool = False,
    finish: Callable[[Path], object] | None = None,
    max_memory_gb: float | None = None,
) -> StudyResult:
    """Decode one recording, or several together, with dina and all rivals; each is tested once on the same held-out images.

    Several recordings are fitted in three ways: all together with one image tower; each on its own; and each joining the others
    with few images. See `dina.study.together_and_alone`.

    If the run directory holds this study, finished, it is read and nothing is computed. If the study is unfinished, it continues
    from the last finished step.

    Parameters
    ----------
    recordings
        One from `dina.read` or `dina.simulate`; or at least two, with different names, of one image set and images of one
        size. Weights are drawn for the recordings in the order given, so another order is another study.
    settings
        `StudySettings` for one recording, `TogetherSettings` for several; None for the defaults.
    out
        The run directory to write; None to keep nothing.
    device
        "cpu" or "cuda".
    n_threads
        Threads of numpy and torch during the study; None for as many as torch has. Part of the record: sums over another
        number of threads differ in their last bit.
    preset
        Which towers dina trains, in place of the preset that the settings name: a name, or an object such as
        ``Scratch(image_tower=MyTower)``; of several recordings a name only.
    decoders
        Decoders of your own by name, fitted beside those that the settings name: classes, functions without arguments, or
        objects, with ``fit(train, validation)`` and ``score(queries, gallery)``; see `dina.retrieval.decoder.Decoder`. What
        they are made of belongs to what identifies a run, see `dina.study.code_identity.describe_code`.
    force
        Whether another study at ``out`` may be replaced.
    finish
        Called with the folder when all is computed and before it appears at ``out``: what it writes there, such as the page of
        `dina.report.write_report`, belongs to the run.
    max_memory_gb
        A study of one recording with the preset default that needs more memory is refused before anything is fitted; None for
        as much as is free.

    Returns
    -------
    result
        The table, and the ranks behind it; of a study in folds the table of all queries together.

    Raises
    ------
    DataError
        If the settings are not for this number of recordings, the recordings cannot be split, features of images do not fit,
        ``out`` is taken, or a file in it was changed or lost; if a decoder or preset of your own cannot be one; if there is not
        enough memory.
    """
    several = recordings if isinstance(recordings, list | tuple) else [recordings]
    members = [check_recording(each) for each in several]
    own = OwnParts(decoders, preset)
    checked = _check(members, settings, own)
    members = [reduce_images(each) for each in members]
    out = None if out is None else Path(out)
    n_threads = torch.get_num_threads() if n_threads is None else n_threads
    if out is not None and not out.name:
        raise DataError(f"A run needs a folder of its own; got {out}. Give a name that does not exist yet with --out.")
    if out is None:
        with tempfile.TemporaryDirectory(prefix="dina-") as temporary:
            place = Path(temporary) / "run"
            result = run_study(
                members, checked, place, device, n_threads, preset=preset, decoders=decoders, max_memory_gb=max_memory_gb
            )
        return replace(result, path=None)
    identity = _identify(members, checked, device, n_threads, own, None if force else out)
    rows: tuple[DecodingRow, ...] = ()
    if not force and is_finished(out, identity):
        Run(out).check_whole()
        log.info("%s holds this very study, finished; nothing is computed again.", out)
        if isinstance(checked, StudySettings):
            _note_facts(out, members[0])
            with fixed_threads(n_threads):
                rows = _judge(_read_folds(out, checked), checked).rows
    else:
        if isinstance(checked, StudySettings) and checked.preset == "default":
            refuse_shortage(members[0], max_memory_gb)
        with open_run(out, identity, force=force) as folder, kept_log(folder), fixed_threads(n_threads):
            write_text(folder / SETTINGS, settings_to_toml(checked))
            write_json(folder / ENVIRONMENT, identity["environment"])
            timings = Timings(folder)
            if isinstance(checked, TogetherSettings):
                study_together(members, checked, device, folder, timings)
            elif _has_folds(checked):
                rows = _study_folds(members[0], checked, device, folder, timings, own)
            else:
                rows = _study_one(members[0], checked, device, folder, timings, own)
            if finish is not None:
                finish(folder)
    run = Run(out)
    judged = tuple(row for row in rows if row.retrieval is not None)
    return StudyResult(out, run.summary, judged, run.comparisons, own.own_preset)


def default_run_name(recordings: Sequence[Recording], settings: StudySettings | TogetherSettings) -> str:
    """Return the name of a run directory, safe on every system: recording, or "joint" for several, preset, seed and folds."""
    name = safe_name(recordings[0].name) if len(recordings) == 1 else "joint"
    folds = "" if isinstance(settings, TogetherSettings) or settings.folds == 1 else f"-{settings.folds}folds"
    fold = "" if isinstance(settings, TogetherSettings) or settings.fold is None else f"-fold{settings.fold}"
    return f"{name}-{safe_name(settings.preset)}-seed{settings.seed}{folds}{fold}"


def _check(
    members: Sequence[Recording], settings: StudySettings | TogetherSettings | None, own: OwnParts
) -> StudySettings | TogetherSettings:
    """Return resolved settings; refuse recordings that cannot be studied together, and settings of another kind of study."""
    names = [recording.name for recording in members]
    if isinstance(settings, TogetherSettings) or len(names) != 1:
        if len(names) < 2 or len(set(names)) < len(names):
            raise DataError(
                "A study of several recordings together needs at least two recordings with different names; got"
                f" {', '.join(names) or 'none'}. Give further recordings that show the same images."
            )
        if isinstance(settings, StudySettings):
            raise DataError(
                f"{len(names)} recordings are studied with TogetherSettings; got StudySettings. Read them with read_together_settings."
            )
        if own.describe():
            raise DataError(
                f"Decoders and presets of your own are for a study of one recording; {len(names)} were given. Study each by itself."
            )
        return resolve(TogetherSettings() if settings is None else settings, own.preset)
    return resolve(StudySettings() if settings is None else settings, own.preset)


def _identify(
    members: Sequence[Recording],
    settings: StudySettings | TogetherSettings,
    device: str,
    n_threads: int,
    own: OwnParts,
    out: Path | None,
) -> dict[str, Any]:
    """Return what decides the results; features of images count by what their file holds, not by where it lies.

    Recordings are identified in the way of the run that is at ``out`` already.
    """
    unsaid = {"image_features"}
    if not getattr(settings, "regress_out", ()):  # a study of several recordings has no such setting
        unsaid.add("regress_out")  # as in runs made before there was one
    identity: dict[str, Any] = {
        "settings": settings.model_dump(mode="json", exclude=unsaid),
        "environment": describe_environment(device, n_threads),
    }
    if parts := own.describe():
        identity["own"] = parts
    if isinstance(settings, TogetherSettings):
        return {"recordings": identify_together(members, out), **identity}
    if settings.image_features is not None:
        read_image_features(settings.image_features, members[0])  # refused now, not after an hour of rivals
        identity["image_features"] = sha256_of(settings.image_features)
    return {"recording": identify(members[0], out), **identity}


def _study_one(
    recording: Recording, settings: StudySettings, device: str, folder: Path, timings: Timings, own: OwnParts
) -> tuple[DecodingRow, ...]:
    """Do the whole study of one recording in ``folder``; each step reads top to bottom as the Methods of a paper."""
    results = folder / RESULTS

    # How good are the data? Repeats, reliability, signal variance, spectrum; no decoder sees these numbers.
    with timings.of("quality"):
        quality = assess_quality(recording, settings.seed)

    # Near-identical images stay together; 80 % to learn from, 10 % to choose by, 10 % to test once.
    with timings.of("split"):
        split = _draw_split(recording, settings)
        write_json(folder / SPLIT, split_to_json(split))
        quality = quality.with_drift(recording, split.train, settings.seed, in_blocks=settings.split.in_blocks)
        quality = quality.with_likeness(recording, split)
        write_dataset(results / "gallery.nc", gallery_dataset(recording, split.test))
    give_back_memory()

    # What the animal did is taken out of the responses only where it was asked for.
    recorded, effect = recording, None
    if settings.regress_out:
        recording, effect = regress_out(recording, settings.regress_out, split.train)

    # Noise grows with the response: which power of it lets training images be told apart best?
    with timings.of("transform"):
        choice = choose_transform(recording, split.train, settings.response_transform)
        described = choice.to_dataset()
        write_dataset(results / "quality.nc", quality.dataset.assign(described).assign_attrs(described.attrs))
    give_back_memory()

    # Every decoder learns from the training images, chooses by the validation images, and scores the test images once.
    pairs, made_for = None, IDENTITY
    for name in decoders_of(settings, recording, own):
        with timings.of(f"decoder {name}"):
            preset = settings.preset if own.preset is None else own.preset
            transform = transform_in(units_of(name, preset, own), choice.transform)
            if pairs is None or transform is not made_for:  # the pairs of one transform at a time: they are large
                pairs, made_for = SplitPairs.of(recording, split.train, split.validation, split.test, transform), transform
            carry_out_decoder(name, recording, settings, pairs, device, folder, own)
            sign_finished_parts(folder)
            give_back_memory()

    # The same statistics for all: ranks, accuracies, intervals, gallery sizes, paired differences.
    with timings.of("analysis"):
        scores = read_scores(folder, settings)
        judged = _judge([scores], settings)
        _write_judged(judged, results)
        write_json(folder / SUMMARY, _summarise(recorded, split, quality, choice, scores, judged, effect))
    return judged.rows


def _study_folds(
    recording: Recording, settings: StudySettings, device: str, folder: Path, timings: Timings, own: OwnParts
) -> tuple[DecodingRow, ...]:
    """Do the study of every fold, each in a run directory of its own below ``folder``, and judge the queries of all together."""
    with timings.of("quality"):
        quality = assess_quality(recording, settings.seed)
        write_dataset(folder / RESULTS / "quality.nc", quality.dataset)
    with timings.of("split"):
        splits = draw_splits([recording], settings.split, [settings.seed], settings.folds)
        parts = {"sha256": _checksum(splits), "folds": [split_to_json(split) for split in splits]}
        write_json(folder / SPLIT, {"seed": settings.seed, **parts})
    for fold in track(range(1, settings.folds + 1), "Folds"):
        with timings.of(f"fold {fold}"):
            one = settings.model_copy(update={"fold": fold})
            place, n_threads = Run(folder).fold(fold).path, torch.get_num_threads()
            run_study(recording, one, place, device, n_threads, preset=own.preset, decoders=own.decoders, max_memory_gb=math.inf)
    with timings.of("analysis"):
        scores = _read_folds(folder, settings)
        judged = _judge(scores, settings)
        _write_judged(judged, folder / RESULTS)
        transforms = [Run(folder).fold(fold).summary["response_transform"] for fold in range(1, settings.folds + 1)]
        summary = _summarise(recording, splits[0], quality, None, scores[0], judged)
        summary["warnings"] += [each for fold in scores[1:] for each in _collapsed(fold) if each not in summary["warnings"]]
        if effect := Run(folder).fold(1).summary.get("covariates"):
            summary["covariates"] = {**effect, "in_words": f"In the first fold: {effect['in_words']}"}
        write_json(folder / SUMMARY, summary | _summarise_folds(splits, transforms, judged))
    return judged.rows


def _has_folds(settings: StudySettings) -> bool:
    return settings.folds > 1 and settings.fold is None


def _draw_split(recording: Recording, settings: StudySettings) -> Split:
    return draw_splits([recording], settings.split, [settings.seed], settings.folds)[(settings.fold or 1) - 1]


def _read_folds(folder: Path, settings: StudySettings) -> list[list[DecoderScores]]:
    """Read the scores of every fold of a study; a study without folds is one."""
    folds = [Run(folder).fold(fold).path for fold in range(1, settings.folds + 1)] if _has_folds(settings) else [folder]
    return [read_scores(fold, settings) for fold in folds]


def _judge(folds: Sequence[Sequence[DecoderScores]], settings: StudySettings) -> JudgedDecoders:
    return judge_folds(folds, settings.seed, settings.evaluation.n_resamples, settings.evaluation.transductive)


def _write_judged(judged: JudgedDecoders, results: Path) -> None:
    for name, dataset in (("gallery_size", judged.gallery_size), ("comparisons", judged.comparisons)):
        if dataset is not None:
            write_dataset(results / f"{name}.nc", dataset)


def _summarise_folds(splits: Sequence[Split], transforms: Sequence[Mapping[str, Any]], judged: JudgedDecoders) -> dict[str, Any]:
    """Return what ``summary.json`` of a study in folds says otherwise, and sizes, transform and top-1 accuracy of every fold."""
    folds: list[dict[str, Any]] = []
    for number, one in enumerate(splits):
        top1: dict[str, dict[str, float]] = {}
        for row in judged.rows:
            if row.retrieval is not None and row.direction == "image_from_response":
                top1.setdefault(row.decoder, {})[row.queries] = float(row.retrieval.folds[number].top(1).mean())
        sizes = {"n_train": len(one.train), "n_validation": len(one.validation), "n_test": len(one.test)}
        chosen = {"response_transform": transforms[number]["name"]}
        folds.append({"fold": number + 1, **sizes, "sha256": one.sha256(), **chosen, "top1": top1})
    split = {
        "n_folds": len(splits),
        "n_train": min(len(one.train) for one in splits),
        "n_validation": min(len(one.validation) for one in splits),
        "n_test": sum(len(one.test) for one in splits),
        "seed": splits[0].seed,
        "sha256": _checksum(splits),
        "n_near_identical_groups": int((np.bincount(splits[0].group) > 1).sum()),
    }
    training = {"reason": "Every fold has a training of its own; see the pages of the folds."}
    return {"split": split, "folds": folds, "training": training, "fits": {}}


def _checksum(splits: Sequence[Split]) -> str:
    return hashlib.sha256("|".join(split.sha256() for split in splits).encode()).hexdigest()


def _summarise(
    recording: Recording,
    split: Split,
    quality: Quality,
    choice: TransformChoice | None,
    scores: Sequence[DecoderScores],
    judged: JudgedDecoders,
    effect: CovariateEffect | None = None,
) -> dict[str, Any]:
    """Return the content of ``summary.json``, the same for the same study: times are kept elsewhere."""
    fitted = next((one.chosen for one in scores if one.decoder == "dina"), {})
    training = {key: fitted[key] for key in TRAINING if key in fitted}
    return {
        "dina_version": __version__,
        "recording": describe_recording(recording),
        "split": {
            "n_train": len(split.train),
            "n_validation": len(split.validation),
            "n_test": len(split.test),
            "seed": split.seed,
            "sha256": split.sha256(),
            "n_near_identical_groups": int((np.bincount(split.group) > 1).sum()),
        },
        "quality": quality.numbers,
        **({} if choice is None else {"response_transform": choice.to_json()}),
        **({} if effect is None else {"covariates": effect.to_json()}),
        "decoding": [row.to_json() for row in judged.rows],
        "training": training if training else {"reason": "Nothing was trained in this study."},
        "fits": {one.decoder: dict(one.chosen) for one in scores if one.chosen},
        "warnings": [*_warnings(split, quality, judged), *_collapsed(scores), *_absent(fitted)],
    }


def _warnings(split: Split, quality: Quality, judged: JudgedDecoders) -> list[str]:
    """Say what a careful reader should look at before believing the numbers."""
    warnings = list(quality.warnings)
    warnings += filter(None, [judge_twins(split)])
    rows = [row for row in judged.rows if row.top1 is not None]
    of_images = [row for row in rows if row.reads == "images"]
    if of_images and all((row.p_value or 0.0) > NOT_CHANCE for row in of_images):
        repeats = any(row.reads == "templates" and (row.p_value or 1.0) < NOT_CHANCE for row in rows)
        warnings.append(
            "No decoder that reads images beats chance although responses repeat: check that images are in the order of"
            " stimulus_id, and that there are enough to learn from."
            if repeats
            else "No decoder beats chance: responses to one image may not repeat, or there are too few images to tell."
        )
    return warnings


def _collapsed(scores: Sequence[DecoderScores]) -> list[str]:
    """Say which decoders tell nothing of images and responses, once for each."""
    found = {one.decoder: [collapse_of(one.decoder, each.scores) for each in one.scored.values()] for one in scores}
    return [next(filter(None, warnings)) for warnings in found.values() if any(warnings)]


def _absent(fitted: Mapping[str, Any]) -> list[str]:
    """Say which feature spaces and training images were left out, and why."""
    reason, read = fitted.get("absent_spaces"), fitted.get("training_images_read")
    said = [f"A feature space was left out. {reason}"] if reason else []
    many = "dina's closed-form start read {} training images, evenly spaced: the maps of all would take too much memory."
    return [*said, *([many.format(read)] if read else [])]


def _note_facts(path: Path, recording: Recording) -> None:
    """Write animal, condition, species and so on, which may have been stated since, into a finished run: no number depends on them."""
    run = Run(path)
    known = run.summary["recording"]
    # an earlier version knows the recording by its condition, too
    names = ("animal", *KIND_FACTS) if isinstance(run.identity["recording"], str) else ("animal", "condition", *KIND_FACTS)
    now = {name: getattr(recording, name) for name in names}
    changed = {name: word for name, word in now.items() if known.get(name) != word}
    if changed:
        run.update_summary({"recording": {"name": known["name"], **known, **changed}})
