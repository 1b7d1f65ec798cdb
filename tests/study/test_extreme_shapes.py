"""Recordings of extreme shapes are written as they are described; small ones are studied within their bounds."""

from pathlib import Path
from types import ModuleType

import pytest

import dina
from benchmark_scripts import import_script


@pytest.fixture
def benchmark() -> ModuleType:
    return import_script("extreme_shapes")


def test_recordings_have_the_shape_and_the_size_that_is_said(benchmark: ModuleType, tmp_path: Path) -> None:
    shape = benchmark.Shape(n_images=20, height=9, width=30, n_neurons=30, n_repeats=2)
    shape.write(tmp_path)
    recording = dina.read(tmp_path)
    assert (recording.images.shape, recording.responses.shape) == ((20, 1, 9, 30), (40, 30))
    assert shape.data_gb * 1e9 == recording.images.nbytes + recording.responses.nbytes
    assert [round(each.data_gb, 2) for each in benchmark.SHAPES.values()] == [0.25, 0.02, 0.1, 0.16]


@pytest.mark.long
def test_small_versions_stay_within_their_bounds(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--quick"]) == 0
    assert capsys.readouterr().out.count("| finished |") == 4
