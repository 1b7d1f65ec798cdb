"""What this machine offers: its memory, within the limits of the process, and the speed of its processors."""

import os
import time
from contextlib import suppress
from pathlib import Path

import numpy as np


def free_memory_gb() -> float | None:
    """Return the memory that this process may have in all, with what it has already; None where nothing is known."""
    own, size = _own_gb()
    _, free = memory_gb()
    limits = [] if free is None else [free + own]
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits += [] if most == resource.RLIM_INFINITY else [most / 1e9 - size + own]
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most, used = (int((group / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        lines = (line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        cached = {name: int(size) for name, size in lines}.get("inactive_file", 0)  # given back where memory is short
        limits.append((most - used + cached) / 1e9 + own)
    return min(limits, default=None)


def _own_gb() -> tuple[float, float]:
    """Return the resident memory of this process and the size of its address space; 0 where the system does not say."""
    with suppress(OSError, ValueError, AttributeError):
        size, resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[:2]
        page = os.sysconf("SC_PAGE_SIZE") / 1e9
        return int(resident) * page, int(size) * page
    return 0.0, 0.0


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
