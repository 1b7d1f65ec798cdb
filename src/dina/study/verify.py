"""Verify a finished run: its files are as they were written, and its numbers follow from its scores, its model and the recording."""

import logging
from dataclasses import dataclass
from pathlib import Path

from dina.checks import DataError
from dina.data.pairs import QUERY_KINDS, QueryKind
from dina.recordings.recording import Recording
from dina.retrieval.ranks import retrieve
from dina.signed_folder import verify_checksums
from dina.study.decoder_scores import Scored, score_test
from dina.study.environment import fixed_threads
from dina.study.interpret import read_decoded
from dina.study.run_directory import Run, read_run
from dina.training.dina_decoder import DinaDecoder

log = logging.getLogger(__name__)

SAME = 1e-9  # accuracies are means over queries: those that differ, differ by far more


@dataclass(frozen=True)
class VerifiedNumber:
    """A top-1 accuracy as the summary states it and as it was computed again, both from 0 to 1."""

    run: Path
    decoder: str
    queries: QueryKind
    stated: float
    computed: float

    @property
    def is_same(self) -> bool:
        """Whether the two agree."""
        return abs(self.stated - self.computed) <= SAME


@dataclass(frozen=True)
class Verified:
    """What was verified: how many files, accuracies from stored scores, and those of dina from its saved model.

    ``strangers`` are files in the run that its checksums do not list.
    """

    n_files: int
    strangers: tuple[str, ...]
    from_scores: tuple[VerifiedNumber, ...]
    from_model: tuple[VerifiedNumber, ...]


def verify_files(run: Path) -> tuple[int, tuple[str, ...]]:
    """Compare every file of a run, and of its folds, with its checksum; return how many there are, and files that are not listed.

    Raises
    ------
    DataError
        If a file is missing or differs.
    """
    opened = read_run(run)
    faults = verify_checksums(run)
    bad = {name: fault for name, fault in faults.items() if fault != "not listed"}
    if bad:
        name, fault = next(iter(bad.items()))
        others = f", and {len(bad) - 1} more files differ" if len(bad) > 1 else ""
        raise DataError(f"{run / name} must be as it was written; it is {fault}{others}. Use another copy of the run.")
    strangers = tuple(name for name, fault in faults.items() if fault == "not listed")
    below = [verify_files(fold.path) for fold in opened.folds]
    return len(opened.files.names("*")) + sum(n for n, _ in below), strangers + tuple(name for _, some in below for name in some)


def verify_run(run: Path, recording: Recording | None = None, device: str = "cpu", n_threads: int = 1) -> Verified:
    """Compare all files with their checksums, and compute top-1 accuracies again.

    Those of every decoder follow from its stored scores of the test images. Those of dina are computed once more from its saved
    towers and the recording; without a recording, or where a preset of a user's own built the towers, this is left out.

    Parameters
    ----------
    run
        A finished run of one or several recordings.
    recording
        The one that was studied; for a study of one recording alone.
    device, n_threads
        Where and with how many threads to compute.

    Raises
    ------
    DataError
        If a file is missing or differs, or the recording is another one.
    """
    n_files, strangers = verify_files(run)
    opened = read_run(run)
    parts = opened.folds or (opened,)
    from_scores = tuple(number for part in parts for number in _from_scores(part))
    from_model: tuple[VerifiedNumber, ...] = ()
    if recording is not None and not opened.has_several_recordings:
        with fixed_threads(n_threads):
            from_model = tuple(number for part in parts for number in _from_model(part, recording, device))
    return Verified(n_files, strangers, from_scores, from_model)


def _from_scores(run: Run) -> list[VerifiedNumber]:
    known = run.retrieval
    return [
        number
        for decoder, scores in known.items()
        for kind in QUERY_KINDS
        if kind in scores.scored
        for number in _compare(run, decoder, kind, scores.scored[kind])
    ]


def _from_model(run: Run, recording: Recording, device: str) -> list[VerifiedNumber]:
    if "preset" in run.identity.get("own", {}):
        log.warning("%s: its towers were built by a preset of a user's own, so that they are not computed again.", run.path)
        return []
    decoded = read_decoded(run.path, recording, device)
    if decoded.fitted is None:
        return []
    decoder = DinaDecoder(decoded.preset, decoded.settings, decoded.seed, device)
    decoder.towers = decoded.fitted
    scored, _ = score_test(decoder, decoded.test)
    return [number for kind, one in scored.items() for number in _compare(run, "dina", kind, one)]


def _compare(run: Run, decoder: str, kind: QueryKind, scored: Scored) -> list[VerifiedNumber]:
    stated = next((row.top1 for row in run.select(kind) if row.decoder == decoder), None)
    if stated is None:
        return []
    computed = float(retrieve(scored.scores, scored.target, "image_from_response").top(1).mean())
    return [VerifiedNumber(run.path, decoder, kind, stated, computed)]
