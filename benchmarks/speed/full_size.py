"""Studies of 10,000 and 30,000 neurons and what interprets them, each in a process of its own, with time and peak memory."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.contest import Line

# The decoder of the preset alone, without rivals.
ALONE = ("--set", 'decoders=["dina"]')


@dataclass(frozen=True)
class _Command:
    arguments: tuple[str, ...]  # RUN and RECORDING stand for places in a folder of its own
    before: tuple[str, ...] = ()  # what makes the run or recording that it needs, not timed
    most_minutes: float | None = None
    most_gb: float | None = None

    def goal(self) -> str:
        """Say the goal in words."""
        parts = [] if self.most_minutes is None else [f"≤ {self.most_minutes:g} min"]
        return ", ".join(parts + ([] if self.most_gb is None else [f"≤ {self.most_gb:g} GB"]))


STUDY = _Command(("study", "full", *ALONE, "--out", "RUN"), most_minutes=12, most_gb=6)
LARGE_STUDY = _Command(
    ("study", "RECORDING", *ALONE, "--out", "RUN"),
    before=("simulate", "full", "--set", "n_neurons=30000", "--out", "RECORDING"),
    most_gb=8,
)
INTERPRETATION = _Command(("interpret", "RUN"), before=STUDY.arguments, most_minutes=10)


def measure_study(*, quick: bool) -> Iterator[Line]:
    """Time `dina study full`."""
    yield _measure(STUDY)


def measure_large_study(*, quick: bool) -> Iterator[Line]:
    """Time the same with 30,000 neurons."""
    yield _measure(LARGE_STUDY)


def measure_interpretation(*, quick: bool) -> Iterator[Line]:
    """Time both sides of `dina interpret` of a study of `full`, which is made first."""
    yield _measure(INTERPRETATION)


def _measure(command: _Command) -> Line:
    with tempfile.TemporaryDirectory() as folder:
        if command.before:
            _run(command.before, Path(folder))
        seconds, peak_gb = _run(command.arguments, Path(folder))
    after = f", after `dina {' '.join(command.before)}`" if command.before else ""
    line = Line(f"`dina {' '.join(command.arguments)}`{after}", "–", command.goal(), ours_s=seconds, memory_mb=1e3 * peak_gb)
    fits_time = command.most_minutes is None or seconds <= 60 * command.most_minutes
    line.is_reached = fits_time and (command.most_gb is None or peak_gb <= command.most_gb)
    return line


def _run(arguments: Sequence[str], folder: Path) -> tuple[float, float]:
    """Run a command of dina; return its seconds and its largest resident memory in GB."""
    places = {"RUN": str(folder / "run"), "RECORDING": str(folder / "recording.nc")}
    words = [places.get(word, word) for word in arguments]
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "dina.cli", *words], stdout=subprocess.DEVNULL) as process:
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, _peak_gb(process.pid))
            time.sleep(0.05)
    if process.returncode:
        raise RuntimeError(f"`dina {' '.join(words)}` ended with exit code {process.returncode}")
    return time.perf_counter() - began, peak


def _peak_gb(pid: int) -> float:
    """Return the largest resident memory of a process so far; 0 once it has ended, or where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) * 1.024e-6 for line in lines if line.startswith("VmHWM:")), 0.0)
