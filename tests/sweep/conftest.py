"""What tests of sweeps share: a folder that is held, and a command that stands in for a study."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dina.locked_folder import held
from dina.sweep import one_study


@pytest.fixture
def sweep_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of a sweep that this process leads, in which studies are those of the stand-in."""
    monkeypatch.setattr(one_study, "COMMAND", (sys.executable, "-S", "-E", str(Path(__file__).with_name("stand_in.py"))))
    monkeypatch.setattr(one_study, "_LOOK_S", 0.05)
    folder = tmp_path / "sweep"
    folder.mkdir()
    with held(folder):
        yield folder
