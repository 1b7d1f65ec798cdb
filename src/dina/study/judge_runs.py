"""Verdicts of several runs: each by itself, and all recordings together with the mouse as the unit."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dina.checks import DataError
from dina.interpretation.across_recordings import AcrossRecordings, RecordingFindings, combine_recordings, mouse_of
from dina.interpretation.verdicts import RULES, Verdict, judge
from dina.study.finished import check_finished
from dina.study.interpret import judge_run, read_all
from dina.study.settings import read_settings


@dataclass(frozen=True, eq=False)
class JudgedRuns:
    """What several runs say about every claim.

    Parameters
    ----------
    verdicts
        Run → claim → verdict; with several recordings also "all, n mice".
    across
        The findings over recordings; None where the runs are not of different recordings decoded alike.
    """

    verdicts: dict[str, dict[str, Verdict]]
    across: AcrossRecordings | None


def judge_runs(runs: Sequence[Path]) -> JudgedRuns:
    """Judge every claim for every run, and for all recordings together where the runs differ in the recording alone.

    Parameters
    ----------
    runs
        Finished, interpreted runs; one given twice counts once.

    Raises
    ------
    DataError
        If a run is not finished, or two runs have the same name.
    """
    chosen = list(dict.fromkeys(run.resolve() for run in runs))
    names = [run.name for run in chosen]
    if len(set(names)) < len(names):
        raise DataError(f"Runs must have different names to stand side by side; got {', '.join(names)}. Rename one.")
    verdicts = {run.name: judge_run(run) for run in chosen}
    across = _combine(chosen)
    if across is not None:
        together = judge(tuple(RULES.values()), across.by_analysis())
        verdicts[f"all, {len(set(across.mice))} mice"] = dict(zip(RULES, together, strict=True))
    return JudgedRuns(verdicts, across)


def _combine(runs: Sequence[Path]) -> AcrossRecordings | None:
    recordings = [_name_of_recording(run) for run in runs]
    presets = {read_settings(run / "study.toml").preset for run in runs}
    if len(set(recordings)) < max(2, len(runs)) or len(presets) > 1:
        return None
    told = []
    for run, name in zip(runs, recordings, strict=True):
        found = read_all(run)
        told.append(RecordingFindings(name, mouse_of(name), {a: {f.name: f for f in one.findings} for a, one in found.items()}))
    return combine_recordings(told)


def _name_of_recording(run: Path) -> str:
    check_finished(run)
    return str(json.loads((run / "summary.json").read_text(encoding="utf-8"))["recording"]["name"])
