"""The command trains an image tower, writes it whole, and says how to use it."""

from pathlib import Path

import pytest

from array_folders import write_folder
from dina.cli import main
from dina.training.pretrained_tower import PretrainedTower

QUICK = ["--set", "dina.fit.n_epochs=3", "--set", "dina.map_channels=8", "--threads", "1"]


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(end.value.code or 0)


def test_a_simulated_session_gives_a_tower_and_the_next_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tower.safetensors"
    assert run("pretrain", "demo", "--out", str(out), "--seed", "3", *QUICK) == 0
    told = capsys.readouterr().out
    assert "of 1 recording, 450 images" in told
    assert f'dina.image_tower="{out}"' in told
    assert PretrainedTower.read(out).n_updates > 0
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_what_cannot_be_is_refused_before_anything_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path / "mine")
    taken = tmp_path / "tower.safetensors"
    taken.write_bytes(b"mine")
    assert run("pretrain", str(tmp_path / "none"), "--out", str(taken), *QUICK) == 2
    assert "is there already" in capsys.readouterr().err
    assert taken.read_bytes() == b"mine"
    assert run("pretrain", str(tmp_path / "mine"), "--out", str(tmp_path / "x.safetensors"), "--set", "dina.n_epochs=3") == 2
    assert "Unknown setting" in capsys.readouterr().err
