"""Several recordings on the command line: from files to a page, and simulated mice by number."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dina
from dina.cli import main
from dina.cli.sessions import open_recording
from dina.recordings.recording import Recording
from dina.recordings.simulator import simulate

SESSION = {"n_neurons": 20, "n_stimuli": 100, "height": 16, "width": 32, "n_subunits": 30, "n_spontaneous": 0}
QUICK = [
    "preset=scratch",
    "fewest_updates=0",
    "dina.fit.n_epochs=1",
    "dina.pathway_width=8",
    "dina.rank=8",
    "evaluation.n_resamples=100",
    "sizes=[30]",
]


def end_of(*words: str) -> int:
    """Return the exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_two_files_become_a_page_with_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for mouse in (0, 1):
        made = replace(simulate("demo", settings=SESSION, mouse=mouse), animal="one" if mouse == 0 else None)
        made.write(tmp_path / f"mouse{mouse}.nc")
    words = ["study", str(tmp_path / "mouse0.nc"), str(tmp_path / "mouse1.nc"), "--out", str(tmp_path / "run"), "--threads", "1"]
    settings = [word for setting in QUICK for word in ("--set", setting)]
    assert end_of(*words, *settings) == 0
    out = capsys.readouterr().out
    assert "mean over animals" in out
    assert "Animals taken from names: simulated-demo" in out
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Simulated data." in page
    assert "Animals taken from names: simulated-demo" in page
    assert "Two animals say nothing about how animals differ" in page
    assert page.count("<svg ") == 3
    assert re.search(
        r'aria-label="Mean over animals of top-1 accuracy, joining the others and alone: 30 images, [\d.]+\u202f% and', page
    )
    assert "updates kept" in page
    assert "Seeds, folds, recordings: Fewer than two sources have two levels each" in page
    assert 'id="spread"' not in page  # no empty section
    assert "Where the variance of top-1 accuracy comes from" not in page  # the sentence says it; four rows of dashes would not
    assert "treat the recordings as independent" in page
    assert "nan" not in page.lower().split()
    assert {path.name for path in (tmp_path / "run" / "figures").iterdir()} == {"together.svg", "joining.svg", "likeness.svg"}
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["preset"] == "scratch"
    # shared: towers of both, which take images in units of contrast, as the run does not hold the pixels' scale
    assert end_of("export", str(tmp_path / "run"), str(tmp_path / "shared"), "--threads", "1") == 0
    second = dina.read(tmp_path / "mouse1.nc")
    shared, towers = dina.load(tmp_path / "shared", second.name), next((tmp_path / "run" / "models").glob("*mouse1*.safetensors"))
    images = second.contrast(np.arange(3))
    # the same weights; sums of convolutions may be in another order, as arrays may lie otherwise in memory
    np.testing.assert_allclose(shared.encode_images(images), dina.load_towers(towers).encode_images(images), rtol=0, atol=1e-5)
    assert "contrast, as Recording.contrast gives it" in (tmp_path / "shared" / "model" / "README.md").read_text()

    # the other word for the same study finds it finished
    assert end_of("joint", *words[1:], *settings) == 0
    assert "mean over animals" in capsys.readouterr().out
    assert end_of("report", str(tmp_path / "run")) == 0
    for command in ("interpret", "verdict", "compare"):
        capsys.readouterr()
        assert end_of(command, str(tmp_path / "run")) == 2
        assert (
            "must be a run of one recording to be explored, interpreted, judged or compared; it holds 2"
            in capsys.readouterr().err
        )
    assert end_of(*words, *settings, "--features", "features.npy") == 2
    assert "Features of images are for a study of one recording" in capsys.readouterr().err


def test_a_single_recording_is_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate("demo", settings=SESSION).write(tmp_path / "mouse0.nc")
    assert end_of("joint", str(tmp_path / "mouse0.nc"), "--out", str(tmp_path / "run"), "--threads", "1") == 2
    assert "at least two recordings" in capsys.readouterr().err


def test_a_number_after_the_name_of_a_session_is_a_mouse(small_session: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def simulate_little(session: str, seed: int, mouse: int = 0) -> Recording:
        asked.append((session, seed, mouse))
        return small_session

    monkeypatch.setattr("dina.cli.sessions.simulate", simulate_little)
    open_recording("demo:2", None, 7)
    assert asked == [("demo", 7, 2)]
