"""Memory that is no longer needed goes back to the system."""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dina.memory import give_back_memory, keep_memory


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another C library")
def test_holes_between_arrays_in_use_are_given_back() -> None:
    arrays = [np.ones(2**13) for _ in range(2000)]  # 64 KiB each
    in_use = arrays[::20]
    before = resident_mib()
    del arrays
    give_back_memory()
    assert before - resident_mib() > 80
    assert all(each.sum() == 2**13 for each in in_use)


FAULTS = """
import resource, sys
import numpy as np
from dina.memory import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
for _ in range(10):
    arrays = [np.ones(3 << 20) for _ in range(5)]  # 24 MiB each
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another C library")
def test_memory_that_is_kept_is_not_asked_for_anew() -> None:
    kept, usual = (int(subprocess.check_output([sys.executable, "-c", FAULTS, word])) for word in ("kept", "usual"))
    assert kept < usual / 3


@pytest.mark.parametrize("change", [give_back_memory, keep_memory])
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    asked = []

    def refuse(name: None) -> None:
        asked.append(name)
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", refuse)
    change()
    assert asked == [None]  # once, and nothing more was done
