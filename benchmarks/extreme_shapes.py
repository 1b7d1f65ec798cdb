"""Measure the memory and time of studies of extreme shapes: large images, many images, many neurons, both with repeats.

    python benchmarks/extreme_shapes.py                         # all four, one after the other: about an hour of one core
    python benchmarks/extreme_shapes.py --only "many neurons"
    python benchmarks/extreme_shapes.py --quick                 # small versions, in seconds

Every shape is random images and responses with a weak linear signal. `dina study` with `default` alone runs on it in a process of
its own, which is stopped where it passes the limit. The peak is that of resident memory, files that are mapped included.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dina.recordings import read
from dina.study.needs import Needs, needs_of
from dina.study.this_machine import measure_gigaflops

TIMES_DATA, BESIDE_GB = 3.0, 1.5  # what a study may take: three times its data and this much besides
TIMES_ESTIMATE = 1.3  # of what was said before
LIMIT_GB = 8.0
CHUNK = 2**22  # numbers drawn at a time
CHEAP = ("evaluation.n_resamples=200", 'decoders=["dina"]')


@dataclass(frozen=True)
class Shape:
    """Sizes of a recording."""

    n_images: int
    height: int
    width: int
    n_neurons: int
    n_repeats: int = 1

    @property
    def data_gb(self) -> float:
        """Size of images (8 bits) and responses (single precision)."""
        return (self.n_images * self.height * self.width + 4 * self.n_images * self.n_repeats * self.n_neurons) / 1e9

    @property
    def bound_gb(self) -> float:
        """Memory that a study may take."""
        return TIMES_DATA * self.data_gb + BESIDE_GB

    def write(self, folder: Path, seed: int = 0) -> None:
        """Write images, responses and ids; each neuron follows the means of a few blocks of the image."""
        generator = np.random.default_rng(seed)
        rows, columns = min(8, self.height), min(8, self.width)
        images = np.lib.format.open_memmap(
            folder / "images.npy", mode="w+", dtype=np.uint8, shape=(self.n_images, self.height, self.width)
        )
        blocks = generator.standard_normal((self.n_images, rows, columns)).astype(np.float32)
        at = np.ix_(np.arange(self.height) * rows // self.height, np.arange(self.width) * columns // self.width)
        for number, block in enumerate(blocks):
            noise = generator.standard_normal((self.height, self.width), dtype=np.float32)
            images[number] = np.clip(128 + 40 * block[at] + 20 * noise, 0, 255)
        images.flush()
        ids = np.concatenate([generator.permutation(self.n_images) for _ in range(self.n_repeats)])
        shape = (len(ids), self.n_neurons)
        responses = np.lib.format.open_memmap(folder / "responses.npy", mode="w+", dtype=np.float32, shape=shape)
        weights = generator.standard_normal((rows * columns, self.n_neurons), dtype=np.float32)
        weights *= generator.random(weights.shape, dtype=np.float32) < 0.05
        step = max(1, CHUNK // self.n_neurons)
        for first in range(0, len(ids), step):
            drive = blocks[ids[first : first + step]].reshape(-1, rows * columns) @ weights
            noise = generator.standard_normal(drive.shape, dtype=np.float32)
            responses[first : first + step] = np.maximum(1 + 0.5 * drive + noise, 0)
        responses.flush()
        np.save(folder / "stimulus_id.npy", ids)


SHAPES = {
    "large images": Shape(120, 1080, 1920, 60),
    "many images": Shape(50_000, 16, 16, 60),
    "many neurons": Shape(120, 32, 32, 100_000, 2),
    "many neurons and images": Shape(1_000, 32, 32, 20_000, 2),
}
QUICK = {
    "large images": Shape(80, 480, 640, 10),
    "many images": Shape(400, 16, 16, 10),
    "many neurons": Shape(80, 16, 16, 500, 2),
    "many neurons and images": Shape(120, 16, 16, 200, 2),
}


@dataclass(frozen=True)
class Measured:
    """What a study took, and how it ended."""

    peak_gb: float
    seconds: float  # of processor time
    end: str  # "finished", "refused", "stopped at the limit" or "failed"
    last_words: str


def measure(folder: Path, out: Path, limit_gb: float = LIMIT_GB) -> Measured:
    """Study the recording in a folder with `default` alone in a process of its own; its words go to ``out``.log."""
    command = [sys.executable, "-m", "dina.cli", "study", str(folder), "--preset", "default", "--threads", "1", "--out", str(out)]
    command += [word for change in CHEAP for word in ("--set", change)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak, is_stopped = 0.0, False
    with out.with_suffix(".log").open("w+", encoding="utf-8") as words:
        process = subprocess.Popen(command, stdout=words, stderr=words, env={**os.environ, "OMP_NUM_THREADS": "1"})
        while process.poll() is None:
            peak = max(peak, _peak_gb(process.pid))
            if peak > limit_gb and not is_stopped:
                process.kill()
                is_stopped = True
            time.sleep(0.05)
        words.seek(0)
        last = words.read().strip().splitlines()[-1:] or [""]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    end = "stopped at the limit" if is_stopped else {0: "finished", 2: "refused"}.get(process.returncode, "failed")
    return Measured(peak, seconds, end, last[0])


def _peak_gb(pid: int) -> float:
    """Return the largest resident memory of a process so far; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return max((float(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM")), default=0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where a study is neither within its bound and estimate nor refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(SHAPES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--limit-gb", type=float, default=LIMIT_GB)
    parser.add_argument("--folder", type=Path, help="where recordings and runs go, and stay")
    options = parser.parse_args(arguments)
    is_good = True
    heads = ["shape", "data", "peak", "bound", "estimate (GB)", "processor", "estimate (min)", "end"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name, shape in (QUICK if options.quick else SHAPES).items():
            if options.only in (None, name):
                folder = (options.folder or Path(temporary)) / name.replace(" ", "_")
                folder.mkdir(parents=True, exist_ok=True)
                shape.write(folder)
                needs = needs_of(read(folder))
                found = measure(folder, folder.with_name(f"{folder.name}_run"), options.limit_gb)
                is_good &= _say(name, shape, needs, found)
    return 0 if is_good else 1


def _say(name: str, shape: Shape, needs: Needs, found: Measured) -> bool:
    """Print a row; return whether the study kept its promise."""
    estimate, in_time = needs.memory_gb, f"{needs.seconds_at(measure_gigaflops()) / 60:.1f}"
    cells = [name, f"{shape.data_gb:.2f}", f"{found.peak_gb:.2f}", f"{shape.bound_gb:.2f}", f"{estimate:.2f}"]
    print(f"| {' | '.join([*cells, f'{found.seconds / 60:.1f}', in_time, found.end])} |", flush=True)
    if found.end != "finished":
        print(f"  {found.last_words}", flush=True)
        return found.end == "refused"
    return found.peak_gb <= min(shape.bound_gb, TIMES_ESTIMATE * estimate)


if __name__ == "__main__":
    sys.exit(main())
