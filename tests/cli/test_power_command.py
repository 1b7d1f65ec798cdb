"""The command prints what more data would give, and takes a simulated session as a pilot."""

from pathlib import Path
from typing import Any

import pytest

import dina.report
from dina.checks import DataError
from dina.cli import main, power_command
from dina.power import held_out, run_power

FOUND = {
    "accuracy": 0.8,
    "gallery": 20,
    "queries": "single_trial",
    "sentence": "To find 80\u202f% of the images among 20 from single trials: 900 images instead of 300.",
    "forecasts": [
        {"study": "as it is", "n_images": 300.0, "n_neurons": 120.0, "n_repeats": 2.0, "top1": 0.5, "low": 0.4, "high": 0.6},
        {
            "study": "2 times the images",
            "n_images": 600.0,
            "n_neurons": 120.0,
            "n_repeats": 2.0,
            "top1": 0.61,
            "low": 0.5,
            "high": 0.7,
        },
    ],
    "measured": {"test images": 60},
    "verdicts": [
        {
            "name": "many",
            "claim": "Many regions.",
            "verdict": "cannot tell",
            "chance": {"1": 0.31, "2": 0.62},
            "times": 4.0,
            "note": "occlusion reads no more than 24 test images.",
        }
    ],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Note what is studied and asked, and answer at once."""
    noted: list[Any] = []

    def answer(run: Path, recording: Any, *words: Any, force: bool) -> dict[str, Any]:
        noted.append((run, recording, *words[:3], force))
        return FOUND

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dina.report, "write_report", lambda run: run / "report.html")
    monkeypatch.setattr(
        power_command, "study", lambda words, overrides, out, device, threads: noted.append((words, overrides, out))
    )
    monkeypatch.setattr(run_power, "forecast_run", answer)
    monkeypatch.setattr(run_power, "is_unmeasured", lambda run, settings: settings != held_out.PowerSettings(n_folds=4))
    monkeypatch.setattr("dina.study.run_directory.read_finished", lambda run: None)
    return noted


def end_of(*words: str) -> int:
    """Return the exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_forecasts_are_printed_for_the_question_that_was_asked(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    (Path("runs") / "mine").mkdir(parents=True)
    words = ("--accuracy", "0.8", "--gallery", "20", "--single-trials", "--threads", "1")
    assert end_of("power", "runs/mine", *words) == 0
    assert asked == [(Path("runs/mine"), None, 0.8, 20, "single_trial", False)]
    out = capsys.readouterr().out
    assert "2 times the images" in out
    assert "50.0 to 70.0" in out
    assert FOUND["sentence"] in out.replace("\n", " ")
    (row,) = [line for line in out.splitlines() if "Many regions." in line and "62" in line]
    assert [cell.strip() for cell in row.split("│")[2:-1]] == ["cannot tell", "31\u202f%", "62\u202f%", "240"]
    assert "occlusion reads no more than 24 test images." in out


def test_a_simulated_session_is_studied_first(asked: list[Any]) -> None:
    assert end_of("power", "demo:0", "--threads", "1") == 0
    place = Path("runs") / "pilot-demo_0"
    assert asked[0] == (["demo:0"], ['decoders=["dina"]'], place)
    assert asked[1][:2] == (place, None)


def test_a_place_that_is_neither_is_refused(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(run: Path) -> None:
        raise DataError("no run")

    monkeypatch.setattr("dina.study.run_directory.read_finished", refuse)
    assert end_of("power", "nowhere", "--threads", "1") == 2
    assert asked == []
