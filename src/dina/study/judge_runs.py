"""Verdicts of several runs: each by itself, and all recordings together with the mouse as the unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dina.analyses import RULES
from dina.analyses.across_recordings import (
    AcrossRecordings,
    RecordingFindings,
    combine_recordings,
    explain_guesses,
    mouse_of,
)
from dina.analyses.verdict import Verdict, judge
from dina.study.interpret import judge_run, read_all
from dina.study.run_directory import SETTINGS, Run, check_names, read_finished
from dina.study.settings import read_settings


@dataclass(frozen=True, eq=False)
class JudgedRuns:
    """What several runs say about every claim.

    Parameters
    ----------
    verdicts
        Run → claim → verdict; with several recordings also "all, n mice".
    across
        The findings over recordings; None where the runs are not of different recordings decoded with one preset.
    guessed
        Which animals were taken from names of recordings, in words; empty where all are stated, or nothing is combined.
    """

    verdicts: dict[str, dict[str, Verdict]]
    across: AcrossRecordings | None
    guessed: str


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
    opened = [read_finished(path) for path in dict.fromkeys(run.resolve() for run in runs)]
    check_names([run.path for run in opened])
    verdicts = {run.path.name: judge_run(run.path) for run in opened}
    animals = [_animal_of(run) for run in opened]
    across = _combine(opened, animals)
    if across is not None:
        together = judge(tuple(RULES.values()), across.by_analysis())
        n_mice = len(set(across.mice))
        verdicts[f"all, {n_mice} {'mouse' if n_mice == 1 else 'mice'}"] = dict(zip(RULES, together, strict=True))
    return JudgedRuns(verdicts, across, "" if across is None else explain_guesses(dict(animals)))


def _combine(runs: Sequence[Run], animals: Sequence[tuple[str, str | None]]) -> AcrossRecordings | None:
    recordings = [name for name, _ in animals]
    presets = {read_settings(run.path / SETTINGS).preset for run in runs}
    if len(set(recordings)) < max(2, len(runs)) or len(presets) > 1:
        return None
    found = []
    for run, (name, animal) in zip(runs, animals, strict=True):
        by_name = {analysis: {f.name: f for f in one.findings} for analysis, one in read_all(run.path).items()}
        found.append(RecordingFindings(name, mouse_of(name, animal), by_name))
    return combine_recordings(found)


def _animal_of(run: Run) -> tuple[str, str | None]:
    """Return the recording of a run, and its animal as stated; runs of older versions state none."""
    recording = run.summary["recording"]
    animal = recording.get("animal")
    return str(recording["name"]), None if animal is None else str(animal)
