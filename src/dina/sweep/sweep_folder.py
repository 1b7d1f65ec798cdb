"""The folder of a sweep: a run directory for each study beside its settings and log, and the table of how each ended."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dina.artifacts import write_text
from dina.checks import DataError
from dina.figures.parts import Table
from dina.safe_words import table_text
from dina.signed_folder import CHECKSUMS
from dina.study.needs import duration_words
from dina.study.settings import settings_to_toml
from dina.sweep.one_study import LOGS, REFUSED
from dina.sweep.sweep_file import Job

SWEEP, TABLE, SETTINGS = "sweep.toml", "studies.csv", "settings"
_ENDS = {0: "finished", 1: "failed", REFUSED: "refused"}


@dataclass(frozen=True)
class Outcome:
    """How a study ended: exit code (0 for a result, 2 for a refusal), the sentence of an error, and the time of the last attempt."""

    name: str
    code: int
    sentence: str = ""
    seconds: float = 0.0

    @property
    def state(self) -> str:
        """The exit code in a word."""
        return _ENDS.get(self.code, "lost")


@dataclass(frozen=True)
class SweepFolder:
    """The folder of a sweep, which holds the run directories of its studies.

    Parameters
    ----------
    path
        The folder, as a full path.
    device, n_threads
        Of every study.
    max_memory_gb
        A study that needs more is refused; None for what is free where it runs.
    """

    path: Path
    device: str
    n_threads: int
    max_memory_gb: float | None = None

    def prepare(self, file: Path, jobs: Sequence[Job]) -> None:
        """Make the folder, and write the sweep file and the settings of every study into it.

        Raises
        ------
        DataError
            If the folder holds something else.
        """
        if self.path.exists() and not (self.path / SWEEP).is_file() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise DataError(f"{self.path} is not the folder of a sweep (it has no {SWEEP}). Choose another --out.")
        (self.path / SETTINGS).mkdir(parents=True, exist_ok=True)
        write_text(self.path / SWEEP, file.read_text(encoding="utf-8-sig"))
        for job in jobs:
            write_text(self._settings(job), settings_to_toml(job.settings))

    def run(self, job: Job) -> Path:
        """Return the run directory of a study."""
        return self.path / job.name

    def words(self, job: Job) -> tuple[str, ...]:
        """Return the words of the command that carries out a study, after ``dina``."""
        words = ["study", job.word, "--study", str(self._settings(job)), "--out", str(self.run(job))]
        words += ["--device", self.device, "--threads", str(self.n_threads)]
        return tuple(words if self.max_memory_gb is None else [*words, "--max-memory", f"{self.max_memory_gb:.1f}"])

    def state(self, job: Job) -> str:
        """Say how far a study is: "finished", "begun" or "to do"."""
        if (self.run(job) / CHECKSUMS).is_file():
            return "finished"
        return "begun" if self.run(job).with_name(f"{job.name}.partial").is_dir() else "to do"

    def write_outcomes(self, jobs: Sequence[Job], outcomes: Mapping[str, Outcome]) -> Path:
        """Write how every study ended, and the command that repeats it, as a table, and return its path."""
        rows = [
            {
                "study": job.name,
                "recording": job.word,
                "seed": job.settings.seed,
                "way": job.way,
                "state": outcomes[job.name].state,
                "exit_code": outcomes[job.name].code,
                "reason": outcomes[job.name].sentence,
                "seconds": round(outcomes[job.name].seconds, 1),
                "command": shlex.join(["dina", *self.words(job)]),
                "log": f"{LOGS}/{job.name}.txt",
            }
            for job in jobs
        ]
        write_text(self.path / TABLE, table_text(pd.DataFrame(rows)))
        return self.path / TABLE

    def _settings(self, job: Job) -> Path:
        return self.path / SETTINGS / f"{job.name}.toml"


def outcome_table(jobs: Sequence[Job], outcomes: Mapping[str, Outcome]) -> Table:
    """Return the table of how every study of a sweep ended."""
    ended = [outcomes[job.name] for job in jobs]
    rows = tuple((one.name, one.state, one.sentence or "–", duration_words(one.seconds)) for one in ended)
    return Table("Studies of the sweep.", ("study", "state", "reason", "time"), rows, n_words=3)
