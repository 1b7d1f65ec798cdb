"""Measure the memory of a study of a Zarr recording that is large beside the memory it may take.

    python benchmarks/beyond_memory.py                 # 100,000 neurons, 3,000 images shown twice: 2.4 GB of responses
    python benchmarks/beyond_memory.py --neurons 25000
    python benchmarks/beyond_memory.py --quick         # tiny, in seconds: that everything runs

The recording is random images and responses with a weak linear signal, in a Zarr folder. `dina study` with `default` alone runs on it
in a process of its own. Memory is told apart as the system does: anonymous memory, which only swap could replace, and files that are
mapped, which the system drops and reads again wherever memory is short. Each step of the study has a row of its own.
"""

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from extreme_shapes import Shape

import dina
from dina.large_arrays import LARGE

TIMES_DATA = 1.67  # 4 GB where responses take 2.4
QUICK = Shape(80, 16, 16, 500, 2)
STEP = re.compile(r"INFO ([A-Z][a-z _]+) …$", re.MULTILINE)  # how the log of a study says that a step begins
START = "import runpy, dina.large_arrays as large; large.LARGE = {}; runpy.run_module('dina.cli', run_name='__main__')"
ALONE = ("evaluation.n_resamples=200", 'decoders=["dina"]')


@dataclass(frozen=True)
class Memory:
    """Memory of a process at one moment, in GB."""

    anonymous: float
    mapped: float

    @property
    def resident(self) -> float:
        """Both together."""
        return self.anonymous + self.mapped

    @classmethod
    def of(cls, pid: int) -> "Memory | None":
        """Return that of a running process; None once it has ended."""
        try:
            lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
            kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
            return cls(kilobytes["RssAnon"] * 1.024e-6, (kilobytes["RssFile"] + kilobytes["RssShmem"]) * 1.024e-6)
        except (OSError, KeyError):
            return None


def write_zarr(shape: Shape, folder: Path) -> Path:
    """Write the recording that a shape describes as a Zarr folder."""
    arrays = folder / "arrays"
    arrays.mkdir()
    shape.write(arrays)
    dina.read(arrays).write(folder / "recording.zarr")
    shutil.rmtree(arrays)
    return folder / "recording.zarr"


def follow(recording: Path, run: Path, changes: Sequence[str], large: int = LARGE) -> Iterator[tuple[str, Memory]]:
    """Study a recording; yield the step that the study is at, with its memory, every twentieth of a second."""
    command = [sys.executable, "-c", START.format(large), "study", str(recording), "--preset", "default"]
    command += ["--threads", "2", "--out", str(run)]
    command += [word for change in changes for word in ("--set", change)]
    with run.with_suffix(".words").open("w+", encoding="utf-8") as words:
        process = subprocess.Popen(command, stdout=words, stderr=words)
        while process.poll() is None:
            memory = Memory.of(process.pid)
            if memory is not None:
                yield _step(run), memory
            time.sleep(0.05)
        words.seek(0)
        if process.returncode:
            raise RuntimeError(f"The study failed: {words.read()[-2000:]}")


def _step(run: Path) -> str:
    log = run.with_name(f"{run.name}.partial") / "log.txt"
    if not log.is_file():
        return "page" if run.exists() else "reading"
    return ([*STEP.findall(log.read_text(encoding="utf-8", errors="replace"))] or ["reading"])[-1].lower()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where the study took more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=3000, help="each shown twice")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="settings of the study")
    parser.add_argument(
        "--large", type=int, default=LARGE, help="bytes from which arrays lie in files, to see it at smaller sizes"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, help="where recording and run go, and stay")
    options = parser.parse_args(arguments)
    shape = QUICK if options.quick else Shape(options.images, 16, 16, options.neurons, 2)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        recording = folder / "recording.zarr"
        if not recording.exists():
            write_zarr(shape, folder)
        return _measure(shape, recording, folder / "run", [*ALONE, *options.changes], options.large)


def _measure(shape: Shape, recording: Path, run: Path, changes: Sequence[str], large: int) -> int:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    peaks: dict[str, tuple[Memory, Memory, float]] = {}
    for step, memory in follow(recording, run, changes, large):
        anonymous, resident, first = peaks.get(step, (memory, memory, time.perf_counter()))
        anonymous = max(anonymous, memory, key=lambda each: each.anonymous)
        peaks[step] = (anonymous, max(resident, memory, key=lambda each: each.resident), first)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    data = 4e-9 * shape.n_neurons * shape.n_images * shape.n_repeats
    print(f"{shape.n_neurons:,} neurons, {shape.n_images:,} images shown {shape.n_repeats} times: {data:.2f} GB of responses")
    print("| step | begins (s) | largest anonymous memory (GB) | largest resident memory, mapped files included (GB) |")
    print("|---|---|---|---|")
    for step, (anonymous, resident, first) in peaks.items():
        print(f"| {step} | {first - began:.0f} | {anonymous.anonymous:.2f} | {resident.resident:.2f} |")
    largest = max(each.resident for _, each, _ in peaks.values())
    kept = max(each.anonymous for each, _, _ in peaks.values())
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"Largest: {kept:.2f} GB anonymous ({kept / data:.2f} times the responses), {largest:.2f} GB resident ({largest / data:.2f} times)."
        f" {processor / 60:.1f} min of processors, {(time.perf_counter() - began) / 60:.1f} min in all."
    )
    return int(kept > TIMES_DATA * data + 1.0)


if __name__ == "__main__":
    sys.exit(main())
