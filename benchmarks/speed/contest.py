"""Time the same work done by dina and by another in turn, beside what the machine can do, and how time grows with size."""

import importlib.util
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

N_ROUNDS = 3
SECONDS_PER_SIZE = 3.0  # of one size of a growth; a size that takes longer is timed once

# What has to be installed for a peer, where its name says something else than the module's.
INSTALL = {
    "faiss": "faiss-cpu",
    # with its dependencies it would bring a torchvision that fits no torch without CUDA; the loss needs torch alone
    "open_clip": "--no-deps open_clip_torch",
}


@dataclass(frozen=True)
class Side:
    """One way to do the work of a row.

    ``share`` is the part of the whole work that ``run`` does; times are divided by it. ``less`` prepares the same things as ``run``
    without doing the work, so that its time can be subtracted.
    """

    run: Callable[[], Any]
    share: float = 1.0
    less: Callable[[], Any] | None = None

    def seconds(self) -> float:
        """Do the work once, and return the seconds that the whole of it takes."""
        spent = _seconds(self.run)
        if self.less is not None:
            spent = max(spent - _seconds(self.less), 1e-9)
        return spent / self.share


@dataclass(frozen=True)
class Times:
    """Medians of both sides, and the ratio (other / ours) of each round: its median, smallest and largest."""

    ours_s: float
    other_s: float
    ratio: tuple[float, float, float]


@dataclass
class Line:
    """One line of the page of results; what is None was not measured, and ``note`` says why that, or the goal, is missed."""

    work: str
    peer: str
    goal: str
    times: Times | None = None
    ours_s: float | None = None  # where dina was timed alone
    is_reached: bool | None = None
    gflop: float | None = None  # multiplications and additions that dina's way needs, for the share of the machine's limit
    agreement: str = "–"
    memory_mb: float | None = None  # largest rise of resident memory while dina worked
    growth: dict[str, float] = field(default_factory=dict)  # exponent by what grows
    note: str = ""


def compete(ours: Side, other: Side, *, quick: bool, n_rounds: int = N_ROUNDS) -> Times:
    """Let both sides take turns; a first round, which is not counted, warms up."""
    rounds = [(ours.seconds(), other.seconds()) for _ in range(1 if quick else n_rounds + 1)]
    counted = rounds[-n_rounds:]
    ratios = [theirs / mine for mine, theirs in counted]
    medians = (statistics.median(each[side] for each in counted) for side in (0, 1))
    return Times(*medians, (statistics.median(ratios), min(ratios), max(ratios)))


def exponent(make: Callable[[int], Callable[[], Any]], sizes: Sequence[int]) -> float:
    """Return the power of its size with which the time of a work grows, by least squares of logarithms over the sizes.

    ``make`` prepares the work of one size; each size is done once unseen, then timed, and the least of its times counts.
    """
    seconds = []
    for size in sizes:
        work = make(size)
        spent = [_seconds(work)]
        if spent[0] < SECONDS_PER_SIZE:
            spent = []
            while len(spent) < N_ROUNDS and sum(spent) < SECONDS_PER_SIZE:
                spent.append(_seconds(work))
        seconds.append(min(spent))
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def machine_limits(*, quick: bool) -> dict[str, float]:
    """Return what the machine can do with the threads in use: GFLOP/s of a product of matrices, GB/s of a copy."""
    block = np.zeros(2**20 if quick else 2**26, dtype=np.float32)
    place = np.empty_like(block)
    copying = min(_seconds(lambda: np.copyto(place, block)) for _ in range(N_ROUNDS + 1))
    return {"matrix_product_gflop_s": product_gflop_s(torch.float32, quick=quick), "copy_gb_s": 2e-9 * block.nbytes / copying}


def product_gflop_s(kind: torch.dtype, *, quick: bool) -> float:
    """Return how many GFLOP/s a product of two matrices reaches with the threads in use."""
    extent = 256 if quick else 2048
    left = torch.ones(extent, extent, dtype=kind)
    return 2e-9 * extent**3 / min(_seconds(lambda: left @ left) for _ in range(N_ROUNDS + 1))


def memory_rise_mb(work: Callable[[], Any]) -> float | None:
    """Return by how many megabytes resident memory rises at most while a work is done; None where the system does not say."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    except OSError:
        return None
    before = _status("VmRSS")
    work()
    return max(0.0, _status("VmHWM") - before) / 1024


def missing(module: str) -> str:
    """Return the sentence that says how to install a peer, or "" if it is there."""
    if importlib.util.find_spec(module) is not None:
        return ""
    return f"{module} is not installed: python -m pip install {INSTALL.get(module, module)}"


def relative_difference(found: Any, expected: Any) -> float:
    """Return the largest difference, relative to the largest value expected."""
    one, other = (torch.as_tensor(values).double() for values in (found, expected))
    return float((one - other).abs().max() / other.abs().max())


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))
