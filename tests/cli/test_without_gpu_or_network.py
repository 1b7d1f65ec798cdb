"""Without a GPU the processor is used or the device refused, and nothing but fetching opens a connection."""

import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from array_folders import write_folder
from dina.checks import DataError
from dina.cli import main
from dina.cli.hardware import choose_device


def test_without_a_gpu_it_is_refused_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(DataError, match=r"needs a CUDA GPU .* Use --device cpu"):
        choose_device("cuda")


def test_a_recording_is_read_and_studied_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a connection was opened")

    ids, generator = np.tile(np.arange(60), 2), np.random.default_rng(0)
    images = generator.integers(0, 256, (60, 8, 9)).astype(np.uint8)
    write_folder(tmp_path / "vole3", {"images": images, "responses": generator.random((120, 5)), "stimulus_id": ids})
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    recording, run = str(tmp_path / "vole3"), str(tmp_path / "run")
    quick = ["--set", 'decoders=["nearest_repeat_raw"]', "--set", "evaluation.n_resamples=100", "--threads", "1"]
    for words in (["check", recording, "--threads", "1"], ["study", recording, "--out", run, *quick]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert not ended.value.code
