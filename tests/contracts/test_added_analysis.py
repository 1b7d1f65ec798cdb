"""A row in the table of analyses is enough: the analysis is listed, carried out, kept, and shown on the page."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import xarray as xr

from dina.analyses import ANALYSES, Analysis, Decoded
from dina.cli import main
from dina.recordings.recording import Recording
from dina.report import write_report
from dina.statistics.finding import Finding
from dina.study import read_settings, run_study
from dina.study.interpret import interpret_run

QUICK = ["preset=scratch", "dina.fit.n_epochs=1", "evaluation.n_resamples=100", 'decoders=["dina"]']
QUESTION = "How many images were kept for the test?"


@dataclass(frozen=True)
class KeptImages:
    """A result that counts test images."""

    n_images: int

    def to_dataset(self) -> xr.Dataset:
        return xr.Dataset({"n_images": ((), self.n_images, {"units": "1"})})

    def findings(self) -> tuple[Finding, ...]:
        return (Finding("n_kept_images", float(self.n_images), "1", self.n_images, 7.0, 9.0, 0.0, 1.0, "no images"),)


def count_kept_images(decoded: Decoded) -> KeptImages:
    return KeptImages(decoded.test.n_stimuli)


def test_an_analysis_without_a_page_is_listed_kept_and_shown(
    small_session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ANALYSES, "kept_images", Analysis(count_kept_images, "image", QUESTION))
    run = tmp_path / "run"
    run_study(small_session, read_settings(overrides=QUICK), run, n_threads=1)

    interpret_run(run, small_session, ["kept_images"])
    page = write_report(run).read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["interpret", "--list"])

    assert f"kept_images: {QUESTION}" in capsys.readouterr().out
    kept = json.loads((run / "summary.json").read_text(encoding="utf-8"))["interpretation"]["kept_images"]
    # 80 images, a tenth of them to test
    assert [(finding["name"], finding["value"]) for finding in kept["findings"]] == [("n_kept_images", 8.0)]
    assert QUESTION in page
    assert "7 to 9" in page
    assert "n kept images" in page
