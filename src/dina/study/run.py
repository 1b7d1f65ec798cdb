"""A whole study, from a recording to the table of all decoders, as the Methods section of a paper would tell it."""

import json
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dina.artifacts import sha256_of, write_dataset, write_json, write_text
from dina.data.near_duplicates import group_near_identical
from dina.data.pairs import learn_standardiser, make_pairs
from dina.data.splits import split_by_stimulus
from dina.recordings.recording import Recording
from dina.retrieval.evaluate import DecodingRow
from dina.study.decoders import carry_out_decoder, decoders_of, read_scores
from dina.study.environment import describe_environment, fixed_threads
from dina.study.fitting import Parts
from dina.study.gallery_file import gallery_dataset
from dina.study.image_features import read_image_features
from dina.study.judged_decoders import JudgedDecoders, judge_decoders
from dina.study.quality import assess_quality
from dina.study.run_directory import ENVIRONMENT, LOG, RESULTS, SETTINGS, SPLIT, SUMMARY, TIMINGS, Run, check_whole, split_to_json
from dina.study.settings import StudySettings, resolve, settings_to_toml
from dina.study.summary import compose_summary, note_animal
from dina.study.unfinished_run import is_finished, open_run, safe_name

log = logging.getLogger("dina.study")


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Parameters
    ----------
    path
        The run directory; None if none was asked for.
    summary
        Content of ``summary.json``.
    results
        Every decoder, kind of query and direction that could be judged, with all ranks.
    """

    path: Path | None
    summary: dict[str, Any]
    results: tuple[DecodingRow, ...]


def run_study(
    recording: Recording,
    settings: StudySettings | None = None,
    out: Path | None = None,
    device: str = "cpu",
    n_threads: int | None = None,
    *,
    force: bool = False,
) -> StudyResult:
    """Decode a recording with dina and all rivals, each judged once on the same held-out images.

    If the run directory holds this very study, finished, it is read and nothing is computed; if it holds it
    unfinished, the study goes on from the decoders that were finished.

    Parameters
    ----------
    recording
        From `dina.read` or `dina.simulate`.
    settings
        None for the defaults.
    out
        The run directory to write; None to keep nothing.
    device
        "cpu" or "cuda".
    n_threads
        Threads of numpy and torch during the study; None for as many as torch has. Part of the record: sums over another
        number of threads differ in their last bit.
    force
        Whether another study at ``out`` may be replaced.

    Returns
    -------
    result
        The table, and the ranks behind it.

    Raises
    ------
    DataError
        If the recording cannot be split, features of images do not fit it, ``out`` is taken, or a file in it was changed or
        lost.
    """
    settings = resolve(StudySettings() if settings is None else settings)
    n_threads = torch.get_num_threads() if n_threads is None else n_threads
    if out is None:
        with tempfile.TemporaryDirectory(prefix="dina-") as temporary:
            result = run_study(recording, settings, Path(temporary) / "run", device, n_threads)
        return StudyResult(None, result.summary, result.results)
    identity = _identify(recording, settings, device, n_threads)
    if is_finished(out, identity) and not force:
        check_whole(out)
        note_animal(out, recording)
        log.info("%s holds this very study, finished; nothing is computed again.", out)
        with fixed_threads(n_threads):
            judged = judge_decoders(read_scores(out, settings), settings.seed, *_judging(settings))
    else:
        with open_run(out, identity, force=force) as folder, _kept_log(folder), fixed_threads(n_threads):
            write_text(folder / SETTINGS, settings_to_toml(settings))
            write_json(folder / ENVIRONMENT, identity["environment"])
            judged = _carry_out(recording, settings, device, folder)
    results = tuple(row for row in judged.rows if row.retrieval is not None)
    return StudyResult(out, Run(out).summary, results)


def _identify(recording: Recording, settings: StudySettings, device: str, n_threads: int) -> dict[str, Any]:
    """Return what decides the results; features of images count by what their file holds, not by where it lies."""
    identity = {
        "recording": recording.fingerprint(),
        "settings": settings.model_dump(mode="json", exclude={"image_features"}),
        "environment": describe_environment(device, n_threads),
    }
    if settings.image_features is not None:
        read_image_features(settings.image_features, recording)  # refused now, not after an hour of rivals
        identity["image_features"] = sha256_of(settings.image_features)
    return identity


def _judging(settings: StudySettings) -> tuple[int, tuple[str, ...]]:
    return settings.evaluation.n_resamples, settings.evaluation.transductive


def default_run_name(recording: Recording, settings: StudySettings) -> str:
    """Return the name of a run directory, safe on every system: recording, preset and seed."""
    return f"{safe_name(recording.name)}-{settings.preset}-seed{settings.seed}"


def _carry_out(recording: Recording, settings: StudySettings, device: str, folder: Path) -> JudgedDecoders:
    """Do the whole study in ``folder``; each step reads top to bottom as the Methods of a paper."""
    timings = Timings(folder / TIMINGS)
    results = folder / RESULTS

    # How good are the data? Repeats, reliability, signal variance, spectrum; no decoder sees these numbers.
    with timings.of("quality"):
        quality = assess_quality(recording, settings.seed)
        write_dataset(results / "quality.nc", quality.dataset)

    # Near-identical images stay together; 80 % to learn from, 10 % to choose by, 10 % to test once.
    with timings.of("split"):
        group = group_near_identical(recording.images, settings.split.near_identical)
        fractions = (settings.split.validation_fraction, settings.split.test_fraction)
        split = split_by_stimulus([recording], group, settings.seed, *fractions)
        write_json(folder / SPLIT, split_to_json(split))

    # Mean and deviation of each neuron come from training trials alone.
    standardiser = learn_standardiser(recording, split.train)
    parts = Parts(*(make_pairs(recording, ids, standardiser) for ids in (split.train, split.validation, split.test)))
    write_dataset(results / "gallery.nc", gallery_dataset(recording, split.test))

    # Every decoder learns from the training images, chooses by the validation images, and scores the test images once.
    for name in decoders_of(settings, recording):
        with timings.of(f"decoder {name}"):
            carry_out_decoder(name, recording, settings, parts, device, folder)

    # The same statistics for all: ranks, accuracies, intervals, gallery sizes, paired differences.
    with timings.of("analysis"):
        scores = read_scores(folder, settings)
        judged = judge_decoders(scores, settings.seed, *_judging(settings))
        _write_judged(judged, results)
        summary = compose_summary(recording, split, quality, scores, judged)
        write_json(folder / SUMMARY, summary)
    return judged


def _write_judged(judged: JudgedDecoders, results: Path) -> None:
    if judged.gallery_size is not None:
        write_dataset(results / "gallery_size.nc", judged.gallery_size)
    if judged.comparisons is not None:
        write_dataset(results / "comparisons.nc", judged.comparisons)


class Timings:
    """Seconds that each step took, kept apart from everything that is the same from run to run.

    Parameters
    ----------
    path
        The JSON file to keep them in; it is written after each step, and a resumed study adds to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Time one step."""
        log.info("%s …", step[:1].upper() + step[1:])
        began = time.perf_counter()
        yield
        self.seconds[step] = round(self.seconds.get(step, 0.0) + time.perf_counter() - began, 3)
        write_json(self.path, self.seconds)


@contextmanager
def _kept_log(folder: Path) -> Iterator[None]:
    """Add the lines of the package's log to ``log.txt`` while a study runs."""
    logger = logging.getLogger("dina")
    handler = logging.FileHandler(folder / LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
