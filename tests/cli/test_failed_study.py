"""How a study ends that could not do what was asked, and where it then lies."""

from pathlib import Path

import pytest

import dina.report
from dina.cli import main
from dina.recordings.simulator import simulate

QUICK = ["--preset", "scratch", "--threads", "1", "--set", "evaluation.n_resamples=100", "--set"]


@pytest.fixture(scope="module")
def few_images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a recording with too few images for towers."""
    path = tmp_path_factory.mktemp("few") / "few.nc"
    simulate("demo", 0, settings={"n_neurons": 12, "n_stimuli": 40, "height": 12, "width": 16, "n_spontaneous": 10}).write(path)
    return str(path)


def end_of(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.mark.parametrize("decoders", ['decoders=["dina", "nearest_repeat_raw"]', 'decoders=["dina"]'])
def test_a_study_without_dina_ends_with_code_1_and_the_reason(
    few_images: str, decoders: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_of("study", few_images, "--out", str(tmp_path / "run"), *QUICK, decoders) == 1
    assert "dina: The study is written, but dina has no result: dina needs at least 50 images" in capsys.readouterr().err
    assert (tmp_path / "run/report.html").is_file()


def test_a_study_of_what_was_asked_for_ends_well(few_images: str, tmp_path: Path) -> None:
    assert end_of("study", few_images, "--out", str(tmp_path / "run"), *QUICK, 'decoders=["nearest_repeat_raw"]') == 0


def test_a_run_appears_under_its_name_only_with_its_page(
    few_images: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("study", few_images, "--out", str(tmp_path / "run"), *QUICK, 'decoders=["nearest_repeat_raw"]')
    with monkeypatch.context() as patch:
        patch.setattr(dina.report, "write_report", lambda run: 1 / 0)
        assert end_of(*words) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.partial"]
    assert end_of(*words) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run/report.html").is_file()
