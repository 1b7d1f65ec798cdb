"""How long `import dina` and `dina --help` take, each in a process of its own, beside Python alone."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.speed.contest import N_ROUNDS, Line

# What starts, and the most seconds that it may take; of the last, quick rows start nothing else.
STARTS = {
    "`import dina`": (("-c", "import dina"), 1.0),
    "`dina --help`": (("-m", "dina.cli", "--help"), 0.3),
}


def measure(*, quick: bool) -> Iterator[Line]:
    """Time both, after a start that is not counted, in turn with Python alone."""
    for name, (arguments, most) in list(STARTS.items())[-1 if quick else 0 :]:
        n_rounds = 1 if quick else N_ROUNDS + 2
        spent = [(_start(arguments), _start(("-c", "pass"))) for _ in range(n_rounds + (not quick))][-n_rounds:]
        ours, alone = (statistics.median(each[side] for each in spent) for side in (0, 1))
        line = Line(name, "–", f"≤ {most:g} s", ours_s=ours, is_reached=ours <= most)
        line.note = f"Python alone takes {alone:.2f} s"
        yield line


def _start(arguments: tuple[str, ...]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began
