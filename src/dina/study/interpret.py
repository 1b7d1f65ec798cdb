"""Add analyses to a finished run, one after the other, each kept as soon as it is done."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dina import __version__
from dina.artifacts import write_checksums, write_json
from dina.checks import DataError, check_choice
from dina.interpretation import ANALYSES, Decoded
from dina.interpretation.kept_parts import KeptParts
from dina.interpretation.verdicts import RULES, Verdict, judge
from dina.recordings.recording import Recording
from dina.study.environment import fixed_threads
from dina.study.finished import check_finished, read_decoded
from dina.study.interpretation_file import Interpreted, read_interpreted, write_reason, write_result
from dina.study.run_directory import locked

PARTS = ".parts"  # hidden: no part of the results, and gone when the analysis is finished
log = logging.getLogger("dina.study")


def interpret_run(
    run: Path,
    recording: Recording,
    names: Sequence[str] = (),
    device: str = "cpu",
    n_threads: int = 1,
    others: tuple[Recording, ...] = (),
    *,
    is_slow_wanted: bool = False,
    force: bool = False,
) -> dict[str, Interpreted]:
    """Carry out analyses of a finished run and keep what they found in it.

    An analysis that is already there is not repeated; one stopped midway is begun again, those before it are kept, and so
    are the fits that it had finished.

    Parameters
    ----------
    run
        Directory of a finished study.
    recording
        The recording that was studied.
    names
        Rows of `dina.interpretation.ANALYSES`; none for all that are not slow.
    device, n_threads
        Where and with how many threads to compute.
    others
        Recordings of the same neurons under other conditions.
    is_slow_wanted
        Whether no names mean all, slow ones too.
    force
        Whether analyses that are there are repeated.

    Returns
    -------
    interpreted
        Every analysis that the run now holds, by name.

    Raises
    ------
    DataError
        If a name is unknown, the run is not finished, or the recording is another one.
    """
    check_finished(run)
    chosen = [check_choice("analysis", name, ANALYSES) for name in names] or [
        name for name, row in ANALYSES.items() if is_slow_wanted or not row.is_slow
    ]
    with locked(run), fixed_threads(n_threads):
        missing = [name for name in chosen if force or read_interpreted(run, name) is None]
        if missing:
            decoded = read_decoded(run, recording, device, others)
            for number, name in enumerate(missing, 1):
                log.info("%d of %d: %s", number, len(missing), ANALYSES[name].question)
                _carry_out(run, name, decoded, force=force)
        found = read_all(run)
        _update_summary(run, found)
    return found


def read_all(run: Path) -> dict[str, Interpreted]:
    """Return what every analysis found that the run holds, in the order of the table of analyses."""
    read = {name: read_interpreted(run, name) for name in ANALYSES}
    return {name: one for name, one in read.items() if one is not None}


def judge_run(run: Path) -> dict[str, Verdict]:
    """Apply every written rule to what a run holds; a claim that no analysis speaks about is "cannot tell".

    Raises
    ------
    DataError
        If the run is not finished or a file in it is damaged.
    """
    check_finished(run)
    found = read_all(run)
    findings = {name: {finding.name: finding for finding in one.findings} for name, one in found.items() if one.reason is None}
    missing = {name: one.reason for name, one in found.items() if one.reason is not None}
    return dict(zip(RULES, judge(tuple(RULES.values()), findings, missing), strict=True))


def _carry_out(run: Path, name: str, decoded: Decoded, *, force: bool) -> None:
    began = time.perf_counter()
    parts = run / PARTS / name
    if force:
        shutil.rmtree(parts, ignore_errors=True)
    try:
        result = ANALYSES[name].run(replace(decoded, parts=KeptParts(parts / _digest(decoded))))
        write_result(run, name, result)
    except DataError as error:
        log.warning("%s cannot be answered: %s", name, error)
        write_reason(run, name, str(error))
    shutil.rmtree(parts, ignore_errors=True)  # only now: the result is on disk
    timings = json.loads((run / "timings.json").read_text(encoding="utf-8")) if (run / "timings.json").is_file() else {}
    write_json(run / "timings.json", {**timings, f"analysis {name}": round(time.perf_counter() - began, 3)})


def _digest(decoded: Decoded) -> str:
    """Return a name for all that parts depend on and that may change between two attempts on the same run."""
    others = [other.fingerprint() for other in decoded.others]
    told = json.dumps([__version__, decoded.device, decoded.n_resamples, others], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _update_summary(run: Path, found: dict[str, Interpreted]) -> None:
    """Put the findings into ``summary.json`` and write the checksums last."""
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    summary["interpretation"] = {name: one.to_json() for name, one in found.items()}
    summary["verdicts"] = {name: verdict.to_json() for name, verdict in judge_run(run).items()}
    write_json(run / "summary.json", summary)
    write_checksums(run)
