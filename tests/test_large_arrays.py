"""Arrays that are too large for memory lie in files, hold what was written, and change no number of a study."""

import errno
import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from dina import large_arrays
from dina.large_arrays import large_zeros
from dina.memory import give_back_memory
from dina.recordings import native
from dina.recordings.recording import Recording
from dina.study import StudySettings, run_study

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems say otherwise how much memory is resident")


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def in_file(values: np.ndarray) -> bool:
    return not isinstance(values.base, np.ndarray | None)


@on_linux
def test_a_large_array_can_leave_memory_and_keeps_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_arrays, "LARGE", 2**26)
    values = large_zeros((2**12, 2**12))  # 64 MiB
    assert in_file(values)
    assert not in_file(large_zeros((2**12, 2**11)))
    values[:] = np.arange(2**12, dtype=np.float32)
    before = resident_mib()
    give_back_memory()
    assert before - resident_mib() > 50
    np.testing.assert_array_equal(values[-1], np.arange(2**12))


def test_without_room_for_the_file_the_array_lies_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, start: int, n_bytes: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(large_arrays, "LARGE", 0)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    values = large_zeros((3, 4))
    assert not in_file(values)
    assert values.tolist() == [[0.0] * 4] * 3


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_recordings_are_read_some_chunks_at_a_time(
    small_session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    small_session.write(tmp_path / f"one.{ending}")
    for module in (large_arrays, native):
        monkeypatch.setattr(module, "LARGE", 1)
    monkeypatch.setattr(native, "_READ_AT_ONCE", 4 * 100)
    read = Recording.read(tmp_path / f"one.{ending}")
    assert in_file(read.responses)
    assert read.fingerprint() == small_session.fingerprint()


@pytest.mark.parametrize("preset", ["default", "scratch"])
def test_a_study_has_the_same_numbers_wherever_its_arrays_lie(
    small_session: Recording, monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    settings = StudySettings.model_validate({"preset": preset, "decoders": ["dina", "ridge"], "evaluation": {"n_resamples": 100}})
    settings = settings.model_copy(update={"dina": {"fit": {"n_epochs": 1}}})
    expected = run_study(small_session, settings)
    monkeypatch.setattr(large_arrays, "LARGE", 1)
    found = run_study(small_session, settings)
    assert found.summary == expected.summary
