"""Every row of what a GPU does works on the CPU, and on a device that does not mix its tensors with those of the CPU."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from benchmark_scripts import import_script
from house.sources import ROOT

gpu: Any = import_script("benchmarks.gpu", folder=".")

# Gradients on a device need that it was there before the first ones of the process.
ROWS = """
import json, sys
from stand_in_device import stand_in_device
from benchmarks import gpu
with stand_in_device() as device:
    print(json.dumps({name: gpu.difference_of(gpu.ROWS[name], device) for name in sys.argv[1:]}))
"""
REFUSED = """
import torch
from stand_in_device import stand_in_device
with stand_in_device() as device:
    there, here = torch.ones(3, device=device), torch.ones(3)
    index = torch.zeros(1, dtype=torch.long)
    tries = {
        "sum": lambda: there + here,
        "index": lambda: here[index.to(device)],
        "numpy": lambda: there.numpy(),
        "generator": lambda: torch.rand(3, device=device, generator=torch.Generator()),
        "index in memory": lambda: there[index].cpu().tolist(),
        "own generator": lambda: torch.rand(3, device=device, generator=torch.Generator(device).manual_seed(5)),
    }
    for name, work in tries.items():
        try:
            work()
        except RuntimeError:
            print(name)
"""
START = """
from dina.models.encoding import EncodingModel
from stand_in_device import stand_in_device
from benchmarks import gpu
fit, places = EncodingModel.fit, set()
def noted(maps, *others):
    places.add(maps.device.type)
    return fit(maps, *others)
EncodingModel.fit = staticmethod(noted)
with stand_in_device() as device:
    gpu.study(device, True).run()
print(*places)
"""


def carry_out(script: str, words: Sequence[str] = ()) -> str:
    """Carry out a script in a process of its own, and return what it prints."""
    if not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this torch cannot have a device written in Python")
    places = os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests", ROOT)))
    environment = {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    return subprocess.check_output([sys.executable, "-W", "ignore", "-c", script, *words], env=environment, cwd=ROOT, text=True)


def test_every_row_is_measured_in_tiny_form_and_says_what_a_cpu_cannot_tell(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--device", "cpu", "--quick"]) == 0
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith("| ")][1:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == list(gpu.ROWS)
    assert all(" s | not run: needs a GPU | not run: needs a GPU | " in line for line in lines)


def test_without_a_gpu_nothing_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 1
    assert capsys.readouterr().out.startswith("not run: there is no CUDA device here.")


@pytest.mark.parametrize(
    "names", [[name for name in gpu.ROWS if name != "study"], pytest.param(["study"], marks=pytest.mark.long)]
)
def test_rows_keep_their_tensors_on_the_device_and_have_the_numbers_of_the_cpu(names: list[str]) -> None:
    differences = json.loads(carry_out(ROWS, names))
    assert list(differences) == names
    assert max(differences.values()) <= 1e-6  # the same arithmetic


@pytest.mark.long
def test_the_closed_form_of_a_study_is_computed_on_the_device() -> None:
    assert carry_out(START).split() == ["standin"]


def test_the_stand_in_refuses_what_a_gpu_refuses() -> None:
    assert carry_out(REFUSED).split() == ["sum", "index", "numpy", "generator"]
