"""Memory that is no longer needed goes back to the system."""

import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from dina.memory import give_back_memory


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


def test_the_c_library_is_asked_where_it_can_be_and_is_not_missed_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("dina.memory._trimmer", lambda: asked.append)
    give_back_memory()
    assert asked == [0]
    monkeypatch.setattr("dina.memory._trimmer", lambda: None)
    give_back_memory()
    assert asked == [0]
