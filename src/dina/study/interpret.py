"""Add analyses to a finished run, each kept as soon as it is done, and judge claims by the findings of one or several runs."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from dina.analyses import ANALYSES, RULES, Analysis, AnalysisResult, Decoded
from dina.analyses.across_recordings import AcrossRecordings, RecordingFindings, combine_recordings, explain_guesses, mouse_of
from dina.analyses.decoded import KeptParts
from dina.analyses.verdict import Rule, Verdict, judge
from dina.artifacts import sha256_of
from dina.checks import DataError
from dina.data.covariates import regress_out
from dina.data.response_transform import IDENTITY
from dina.recordings.given_numbers import check_recording
from dina.recordings.large_images import reduce_images
from dina.recordings.recording import Recording
from dina.short_words import brief
from dina.study.code_identity import describe_code
from dina.study.decoders import read_image_features
from dina.study.environment import Timings, fixed_threads
from dina.study.own_analyses import changes_of, choose_analyses, describe_own, settings_of
from dina.study.prepared_recordings import SplitPairs
from dina.study.recording_kinds import check_kinds
from dina.study.run_directory import (
    INTERPRETATION,
    SPLIT,
    TOWERS,
    TOWERS_DESCRIBED,
    AnalysisRecord,
    Run,
    read_finished,
    read_several_finished,
)
from dina.study.settings import dina_settings, settings_from_text
from dina.study.studied_recording import refuse_another
from dina.study.study_result import InterpretedRun, StudyResult, place_of, preset_of
from dina.study.unfinished_run import PARTS, differences, locked
from dina.training.aligned_towers import AlignedTowers
from dina.training.presets import Preset
from dina.training.saved import load_towers
from dina.version import __version__

RESAMPLES_AT_MOST = 2000  # analyses resample many statistics each; 2,000 place the ends of a 95 % interval well enough
log = logging.getLogger(__name__)


def interpret_run(
    run: Path | str | StudyResult,
    recording: Recording,
    analyses: Sequence[str | Analysis | Callable[..., AnalysisResult]] = (),
    device: str = "cpu",
    n_threads: int = 1,
    others: tuple[Recording, ...] = (),
    settings: Mapping[str, Any] | None = None,
    *,
    preset: Preset[Any, Any, Any] | None = None,
    is_slow_wanted: bool = False,
    force: bool = False,
) -> InterpretedRun:
    """Carry out analyses of a finished run and keep what they found in it.

    An analysis that is already there is not repeated, unless it reads other recordings and was given different ones. An
    analysis that stopped midway begins again, but its finished fits and all earlier analyses are kept.

    Parameters
    ----------
    run, recording
        Finished study, or its directory, and the recording that was studied.
    analyses
        Names in `dina.analyses.ANALYSES`, and analyses of your own: functions of what `dina.decode` returns, or
        `dina.analyses.Analysis` rows. If empty: all that are not slow and, if ``others`` are given, those that read them.
    device, n_threads
        Where and with how many threads to compute.
    others
        Recordings of the same neurons under other conditions.
    settings
        Settings of the one named analysis that are not the defaults; a result with other settings is repeated.
    preset
        The preset of your own with which the towers were made. It is needed only where ``run`` is a directory: what `dina.run_study`
        returned knows its preset.
    is_slow_wanted
        Whether slow analyses are carried out too if ``analyses`` is empty.
    force
        Whether finished analyses are repeated. One that rests on other recordings is repeated only if such recordings are
        given.

    Returns
    -------
    interpreted
        Every analysis that the run now holds, by name; ``table()`` gives all findings.

    Raises
    ------
    DataError
        If a name is unknown or taken, the run is not finished, the recording or the preset is another one, no chosen analysis
        reads ``others``, or ``settings`` are given for none or several analyses or are not allowed.
    """
    run, preset = place_of(run), preset_of(run, preset)
    check_recording(recording)
    read_finished(run)
    chosen = choose_analyses(analyses) or {
        name: row for name, row in ANALYSES.items() if is_slow_wanted or not row.is_slow or (others and row.reads_others)
    }
    if others and not any(row.reads_others for row in chosen.values()):
        readers = ", ".join(name for name, row in ANALYSES.items() if row.reads_others)
        raise DataError(
            f"None of {', '.join(chosen)} reads other recordings. Ask for {readers}, or leave the other recordings out."
        )
    changes = changes_of(chosen, settings or {})
    others = tuple(reduce_images(other) for other in others)
    fingerprints = tuple(sorted(other.fingerprint() for other in others))
    with locked(run), fixed_threads(n_threads):
        missing = [name for name in chosen if _is_missing(run, name, chosen[name], fingerprints, changes[name], force=force)]
        if missing:
            decoded = read_decoded(run, recording, device, others, preset)
            for number, name in enumerate(missing, 1):
                row = chosen[name]
                log.info("%d of %d: %s", number, len(missing), row.question)
                _carry_out(run, name, row, decoded, fingerprints if row.reads_others else (), changes[name], force=force)
        found = read_all(run)
        _update_summary(run, found)
    return InterpretedRun(found)


def read_all(run: Path) -> dict[str, AnalysisRecord]:
    """Return the findings of every analysis that the run holds, in the order of the table of analyses, a user's own last."""
    content = Run(run)
    stored = {Path(name).stem for name in content.files.names(f"{INTERPRETATION.as_posix()}/*.json")}
    own = sorted(name for name in stored if name not in ANALYSES)
    read = {name: AnalysisRecord.read(content, name) for name in (*ANALYSES, *own)}
    return {name: one for name, one in read.items() if one is not None and (name in ANALYSES or one.own)}


def judge_run(run: Path) -> dict[str, Verdict]:
    """Apply every written rule to what a finished run holds; a claim without an analysis is "cannot tell".

    Claims of a user's own analyses are as they were decided when these were carried out: their rules are not in the run.
    """
    read_finished(run)
    found = read_all(run)
    own = {name: Verdict.from_json(one) for each in found.values() for name, one in each.own.get("verdicts", {}).items()}
    return _judge(RULES, found) | own


def _judge(rules: Mapping[str, Rule], found: Mapping[str, AnalysisRecord]) -> dict[str, Verdict]:
    findings = {name: {finding.name: finding for finding in one.findings} for name, one in found.items() if one.reason is None}
    missing = {name: one.reason for name, one in found.items() if one.reason is not None}
    return dict(zip(rules, judge(tuple(rules.values()), findings, missing), strict=True))


def _is_missing(run: Path, name: str, row: Analysis, others: tuple[str, ...], settings: dict[str, Any], *, force: bool) -> bool:
    """Say whether an analysis must be carried out: it is absent, to be repeated, or rests on other settings, recordings or code."""
    known = AnalysisRecord.read(Run(run), name)
    if known is None or known.settings != settings or known.own.get("code") != describe_own(name, row).get("code"):
        return True
    if not row.reads_others:
        return force
    if others:
        return force or known.others != others
    if force and known.reason is None:
        log.warning("%s is kept: it was answered with further recordings, and without them it cannot be repeated.", name)
    # without them the answer would be a mere reason, which must not take the place of a result
    return force and known.reason is not None


def _carry_out(
    run: Path, name: str, row: Analysis, decoded: Decoded, others: tuple[str, ...], settings: dict[str, Any], *, force: bool
) -> None:
    began, own = time.perf_counter(), describe_own(name, row)
    parts = run / PARTS / name
    if force:
        shutil.rmtree(parts, ignore_errors=True)
    try:
        kept = KeptParts(parts / _digest(decoded, settings))
        result = row.run(replace(decoded, parts=kept), settings_of(name, row, settings))
        record = AnalysisRecord(result.findings(), None, others, settings, own=own)
        _with_verdicts(record, name, row, run).write(Run(run), name, result)
    except DataError as error:
        log.warning("%s cannot be answered: %s", name, error)
        record = AnalysisRecord((), str(error), others, settings, own=own)
        _with_verdicts(record, name, row, run).write(Run(run), name)
    shutil.rmtree(parts, ignore_errors=True)  # only now: the result is on disk
    Timings(run).note(f"analysis {name}", time.perf_counter() - began)


def _with_verdicts(record: AnalysisRecord, name: str, row: Analysis, run: Path) -> AnalysisRecord:
    """Decide the claims of a user's own analysis now: their rules cannot be kept."""
    if not record.own or not row.rules:
        return record
    verdicts = _judge(row.rules, {**read_all(run), name: record})
    return replace(record, own={**record.own, "verdicts": {claim: one.to_json() for claim, one in verdicts.items()}})


def _digest(decoded: Decoded, settings: dict[str, Any]) -> str:
    """Name everything that the parts of an analysis depend on and that may change between two attempts on one run."""
    others = [other.fingerprint() for other in decoded.others]
    content = json.dumps([__version__, decoded.device, decoded.n_resamples, others, settings], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _update_summary(run: Path, found: dict[str, AnalysisRecord]) -> None:
    """Put the findings into ``summary.json`` and write the checksums last."""
    interpretation = {name: one.to_json() for name, one in found.items()}
    verdicts = {name: verdict.to_json() for name, verdict in judge_run(run).items()}
    Run(run).update_summary({"interpretation": interpretation, "verdicts": verdicts})


def read_decoded(
    run: Path,
    recording: Recording,
    device: str,
    others: tuple[Recording, ...] = (),
    preset: Preset[Any, Any, Any] | None = None,
) -> Decoded:
    """Read a finished study as analyses take it: the same recording, the same split, and the towers that were fitted.

    A ``preset`` of a user's own must be given where it made the towers.

    Raises
    ------
    DataError
        If the run is not finished, the recording is another one, or so is the preset.
    """
    content = read_finished(run)
    recording, others = reduce_images(recording), tuple(reduce_images(other) for other in others)
    identity = content.identity
    refuse_another(recording, content)
    settings = settings_from_text(content.settings)
    ids = _ids_of(content, recording.n_stimuli)
    if settings.regress_out:
        recording, *rest = (regress_out(one, settings.regress_out, ids["train"])[0] for one in (recording, *others))
        others = tuple(rest)
    _check_preset(content, settings.preset, preset)
    towers = _load_towers(content, device, preset)
    standardiser = None if towers is None else towers.standardiser
    pairs = SplitPairs.of(recording, **ids, transform=IDENTITY if standardiser is None else standardiser.transform)
    decoded = Decoded(
        recording=recording,
        train=pairs.train,
        validation=pairs.validation,
        test=pairs.test,
        fitted=towers,
        preset=settings.preset if preset is None else preset,
        settings=dina_settings(settings.preset if preset is None else preset, settings.dina),
        seed=settings.seed,
        device=device,
        n_resamples=min(settings.evaluation.n_resamples, RESAMPLES_AT_MOST),
        others=others,
        image_features=_read_features(settings.image_features, identity.get("image_features"), recording),
    )
    if decoded.fitted is not None:
        decoded.fitted.check_pairs(pairs.train)
    return decoded


def _check_preset(run: Run, name: str, preset: Preset[Any, Any, Any] | None) -> None:
    """Refuse to read towers with another preset of a user's own than the one that built them."""
    built_by = run.identity.get("own", {}).get("preset")
    if preset is None and built_by is not None:
        raise DataError(
            f"{run.path} holds towers of {name!r}, a preset of a user's own, whose code is not in the run. In Python, give what"
            f" dina.run_study returned in place of the folder, or the preset again: dina.interpret_run(run, recording,"
            f" preset={built_by.get('name', name)}(…)) with the arguments of the study."
        )
    if preset is not None and describe_code(preset) != (built_by or describe_code(preset)):
        changes = differences({"preset": built_by}, {"preset": describe_code(preset)})
        raise DataError(f"{run.path} was made with another preset ({changes}). Give the one of the study, or repeat the study.")


def _ids_of(run: Run, n_stimuli: int) -> dict[str, Int[np.ndarray, "_"]]:
    """Return the ids of the images of each part of the split."""
    try:
        ids = {
            name: np.array([int(each) for each in run.split[name]], dtype=np.int64) for name in ("train", "validation", "test")
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{run.path / SPLIT} is damaged ({error}). Run the study again.") from error
    every = np.concatenate(list(ids.values()))
    if not every.size or every.min() < 0 or every.max() >= n_stimuli or len(np.unique(every)) < every.size:
        raise DataError(
            f"{run.path / SPLIT} must name images from 0 to {n_stimuli - 1}, each once; it does not. Run the study again."
        )
    return ids


def _load_towers(run: Run, device: str, preset: Preset[Any, Any, Any] | None) -> AlignedTowers | None:
    if TOWERS not in run.files:
        if TOWERS_DESCRIBED in run.files:
            raise DataError(
                f"{run.path / TOWERS} must be there to interpret the run; it is missing. Put it back, or repeat the study."
            )
        return None
    run.files.check(TOWERS)
    return load_towers(run.path / TOWERS, preset=preset).to(device)


def _read_features(path: Path | None, checksum: str | None, recording: Recording) -> Float[np.ndarray, "image feature"] | None:
    """Return the features of images that the objective needs, if the file is unchanged."""
    if path is None:
        return None
    if path.is_file() and sha256_of(path) == checksum:
        return read_image_features(path, recording)
    log.warning("Towers cannot be fitted again: %s, the features of the images, is lost or changed. Put it back.", path)
    return None


@dataclass(frozen=True, eq=False)
class JudgedRuns:
    """Verdicts by run and claim, with several recordings also of "all, n animals", and the findings over recordings.

    ``across`` is None where the runs are not of different recordings decoded with one preset; ``guessed`` says in words which
    animals were guessed from names of recordings; ``uninterpreted`` holds the runs without any analysis.
    """

    __repr__ = brief

    verdicts: dict[str, dict[str, Verdict]]
    across: AcrossRecordings | None
    guessed: str
    uninterpreted: tuple[Path, ...] = ()

    def table(self) -> pd.DataFrame:
        """Return one row for each run and claim: its name, the verdict, the claim in words and the reason."""
        columns = ("side", "verdict", "claim", "reason")
        rows = [
            {"run": run, "name": name, **{column: getattr(one, column) for column in columns}}
            for run, by_claim in self.verdicts.items()
            for name, one in by_claim.items()
        ]
        return pd.DataFrame(rows, columns=["run", "name", *columns])


def judge_runs(runs: Sequence[Path], *, any_recordings: bool = False) -> JudgedRuns:
    """Judge every claim for every run, and for all recordings together where the runs differ in the recording alone.

    A run given twice counts once; runs must be finished and differ in name.

    Raises
    ------
    DataError
        If some recordings are measured and others simulated, or they state another species, area or indicator, unless
        ``any_recordings``: a mean over both describes neither.
    """
    opened = read_several_finished(runs)
    verdicts = {run.path.name: judge_run(run.path) for run in opened}
    animals = [_animal_of(run) for run in opened]
    across = _combine(opened, animals, any_recordings=any_recordings)
    if across is not None:
        together = judge(tuple(RULES.values()), across.by_analysis())
        n_mice = len(set(across.mice))
        verdicts[f"all, {n_mice} {'animal' if n_mice == 1 else 'animals'}"] = dict(zip(RULES, together, strict=True))
    uninterpreted = tuple(run.path for run in opened if not read_all(run.path))
    return JudgedRuns(verdicts, across, "" if across is None else explain_guesses(dict(animals)), uninterpreted)


def _combine(runs: Sequence[Run], animals: Sequence[tuple[str, str | None]], *, any_recordings: bool) -> AcrossRecordings | None:
    recordings = [name for name, _ in animals]
    presets = {settings_from_text(run.settings).preset for run in runs}
    if len(set(recordings)) < max(2, len(runs)) or len(presets) > 1:
        return None
    if not any_recordings:
        check_kinds(runs, "Judge them one by one, or allow it with --any-recordings.")
    found = []
    for run, (name, animal) in zip(runs, animals, strict=True):
        by_name = {analysis: {f.name: f for f in one.findings} for analysis, one in read_all(run.path).items()}
        found.append(RecordingFindings(name, mouse_of(name, animal), by_name))
    return combine_recordings(found)


def _animal_of(run: Run) -> tuple[str, str | None]:
    """Return the recording of a run, and its animal as stated; runs of older versions state none."""
    return run.summary["recording"]["name"], run.summary["recording"].get("animal")
