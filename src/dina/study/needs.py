"""How much memory and time a study with the default settings needs, judged from the shape of a recording."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dina.recordings.recording import Recording

# Fitted by hand to studies of 100 to 2,000 neurons and 200 to 1,000 images of 32 to 128 pixels a side: memory and time within 20 %.
# All else is extrapolation.
_GB = {"always": 0.8, "neuron": 6.5e-5, "image": 3e-4, "pixel": 8.1e-8}
_SECONDS = {"always": 10.0, "neuron and image": 4.5e-5, "image": 0.05, "pixel": 9e-6}  # of one processor of this speed:
_GIGAFLOPS = 98.0  # float32 matrix products, in each second of a processor


@dataclass(frozen=True)
class Needs:
    """What a study needs: memory, and the time of one processor of the reference speed."""

    memory_gb: float
    processor_seconds: float

    def words(self, n_threads: int, gigaflops: float) -> str:
        """Say both in words for a machine whose processors reach so many GFLOP/s each."""
        longest = self.processor_seconds * _GIGAFLOPS / gigaflops
        shortest = _duration(longest / n_threads)
        times = shortest if n_threads == 1 else f"between {shortest} and {_duration(longest)}"
        threads = "1 thread" if n_threads == 1 else f"{n_threads} threads"
        return f"about {self.memory_gb:.1f} GB of memory and {times} on {threads}"


def estimate_needs(n_neurons: int, n_images: int, n_pixels: int, n_trials: int) -> Needs:
    """Return what a study with the preset default and all its rivals needs; ``n_pixels`` are those of one image, channels included.

    Examples
    --------
    >>> needs = estimate_needs(10_000, 2_800, 68 * 270, 5_600)
    >>> round(needs.memory_gb, 1), round(needs.processor_seconds / 60)
    (6.7, 31)
    """
    pixels = n_images * n_pixels
    memory = (
        _GB["always"] + _GB["neuron"] * n_neurons + _GB["image"] * n_images + _GB["pixel"] * pixels + 4e-9 * n_neurons * n_trials
    )
    times = (1, n_neurons * n_images, n_images, pixels)
    return Needs(memory, sum(seconds * n for seconds, n in zip(_SECONDS.values(), times, strict=True)))


def needs_of(recording: Recording) -> Needs:
    """Return what a study of the recording needs."""
    n_shown = int((recording.repeats_per_stimulus() > 0).sum())
    return estimate_needs(recording.n_neurons, n_shown, int(np.prod(recording.images.shape[1:])), recording.n_trials)


def say_needs(recording: Recording, n_threads: int) -> tuple[str, bool]:
    """Say in a sentence what a study of the recording needs on this machine, and whether its free memory is enough for that."""
    needs, (_, free) = needs_of(recording), memory_gb()
    words = f"A study with the default settings needs {needs.words(n_threads, measure_gigaflops())}"
    if free is None:
        return f"{words}.", True
    if needs.memory_gb > free:
        remedy = "Use fewer neurons, fewer or smaller images, or a larger machine."
        return f"{words}, but only {free:.1f} GB are free here. {remedy}", False
    return f"{words}; {free:.1f} GB are free here.", True


def memory_gb() -> tuple[float | None, float | None]:
    """Return total and available memory; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kilobytes = {line.split(":")[0]: float(line.split()[1]) for line in lines}
        return kilobytes["MemTotal"] / 1e6, kilobytes["MemAvailable"] / 1e6
    except (OSError, KeyError, ValueError, IndexError):
        return None, None


def measure_gigaflops() -> float:
    """Multiply matrices for a quarter of a second of processor time, so that other programs do not count; in each second of a processor."""
    a = np.ones((1024, 1024), dtype=np.float32)
    b = a @ a
    n, began = 0, time.process_time()
    while time.process_time() - began < 0.25:
        np.matmul(a, a, out=b)
        n += 1
    return n * 2 * 1024**3 / (time.process_time() - began) / 1e9


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
