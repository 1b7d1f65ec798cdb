"""The command check describes and doubts a recording, and says what a study would need, without fitting anything."""

from pathlib import Path

import numpy as np
import pytest

from array_folders import write_folder
from dina.cli import main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["check", *words, "--threads", "1"])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def film(n: int, step: float) -> np.ndarray:
    """Frames that move along a smooth picture."""
    x, y = np.meshgrid(np.arange(24) / 24, np.arange(16) / 16)
    return np.stack([128 + 100 * np.sin(5 * (x + step * i / n) * (1 + y)) for i in range(n)]).astype(np.uint8)


def test_a_recording_is_described_doubted_and_weighed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids, generator = np.tile(np.arange(50), 2), np.random.default_rng(0)
    images = generator.integers(0, 256, (50, 8, 9)).astype(np.uint8)
    responses = generator.normal(size=(100, 5))
    responses[7] = responses[3]
    write_folder(tmp_path / "vole3", {"images": images, "responses": responses, "stimulus_id": ids})
    code, out, err = run(capsys, str(tmp_path / "vole3"))
    assert (code, err) == (0, "")
    for words in (
        "vole3",
        "50, of which 50 were shown",
        "100, 2 of each image shown",
        "8 x 9 pixels (height x width), grey",
        "uint8, 0 to 255",
    ):
        assert words in out
    assert "Note: 1 of 100 trials equal another trial in every neuron (first: 7 and 3)" in out
    assert "A study with the default settings needs about 0.8 GB of memory and" in out
    (condition,) = [line for line in out.splitlines() if "condition" in line]
    assert "not stated" in condition
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vole3"]


def test_frames_of_a_film_are_doubted_before_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = np.tile(np.arange(80), 2)
    responses = np.random.default_rng(0).random((160, 5))
    write_folder(tmp_path / "fast", {"images": film(80, 1.5), "responses": responses, "stimulus_id": ids})
    code, out, _ = run(capsys, str(tmp_path / "fast"))
    assert code == 0
    assert "Note: Test images are much like training images: pixels correlate 0.9" in out
    write_folder(tmp_path / "slow", {"images": film(80, 0.2), "responses": responses, "stimulus_id": ids})
    code, out, err = run(capsys, str(tmp_path / "slow"))
    assert code == 2
    assert "what the recording holds" in out.lower()
    assert err.startswith("dina: A study would be refused: A split needs")
    assert "split.near_identical (0.999) nearer to 1" in err


def test_whether_responses_repeat_is_said_and_doubted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids, generator = np.tile(np.arange(60), 2), np.random.default_rng(0)
    images = generator.integers(0, 256, (60, 8, 9)).astype(np.uint8)
    responses = generator.normal(size=(60, 8))[ids] + 0.1 * generator.normal(size=(120, 8))
    arrays: dict[str, np.ndarray | None] = {"images": images, "responses": responses, "stimulus_id": ids}
    write_folder(tmp_path / "right", arrays)
    _, out, _ = run(capsys, str(tmp_path / "right"))
    assert "halves correlate: 0.99 in the median neuron" in out
    assert "hardly repeat" not in out
    write_folder(tmp_path / "wrong", {**arrays, "stimulus_id": generator.permutation(ids)})
    assert "Note: Responses to an image hardly repeat, no more than by chance" in run(capsys, str(tmp_path / "wrong"))[1]


def test_averages_are_not_called_images_shown_once_and_twins_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (60, 8, 9)).astype(np.uint8)
    images[50] = images[4]
    arrays = {"images": images, "responses": generator.random((60, 5)), "stimulus_id": None}
    described = '[responses]\naxes = ["stimulus", "neuron"]\nn_presentations = 12\n'
    write_folder(tmp_path / "v4", arrays, {"recording.toml": described})
    _, out, _ = run(capsys, str(tmp_path / "v4"))
    assert "12 to 12" not in out
    assert "shown once" not in out
    assert "Note: 60 images have one average each: reliability cannot be measured from it." in out
    assert "Note: The trained encoder needs images of at least 32 pixels along each side; these have 8 x 9." in out
    assert "Note: 1 group of near-identical images was found; it was kept" in out


def test_what_cannot_be_read_is_refused_as_by_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path, {"stimulus_id": np.arange(5)})
    code, out, err = run(capsys, str(tmp_path))
    assert (code, out) == (2, "")
    assert "12 entries along trial, but there are 5 stimulus ids" in err


def test_a_study_for_which_memory_is_short_is_refused_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "vole3")
    with pytest.raises(SystemExit) as ended:
        main(["study", str(tmp_path / "vole3"), "--out", str(tmp_path / "run"), "--threads", "1", "--max-memory", "0.1"])
    assert ended.value.code == 2
    estimate, said = capsys.readouterr().err.strip().splitlines()
    assert "needs about 0." in estimate
    assert said.startswith("dina: A study of this recording needs about 0.")
    assert "0.1 GB are allowed. Use fewer neurons" in said
    assert [path.name for path in tmp_path.iterdir()] == ["vole3"]
