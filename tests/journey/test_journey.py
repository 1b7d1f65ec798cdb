"""From a file on disk to a report on one command line, as a newcomer would go."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dina.cli import main
from dina.recordings.recording import Recording
from dina.signed_folder import verify_checksums
from stringer_files import write_images, write_session

QUICK = ["--preset", "scratch", "--set", "dina.fit.n_epochs=2", "--set", "evaluation.n_resamples=200", "--threads", "1"]
pytestmark = pytest.mark.usefixtures("two_window_widths")


class Tags(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts, self.loaded = 0, []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loaded += [
            value for name, value in attrs if name in ("src", "href") and value and not value.startswith(("data:", "#"))
        ]


def dina(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_a_simulated_session_goes_from_file_to_report_and_is_never_overwritten(
    small_session: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_session.write(tmp_path / "session.nc")
    run = tmp_path / "run"

    assert dina("study", str(tmp_path / "session.nc"), "--out", str(run), *QUICK) == 0

    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    rows = {(row["decoder"], row["queries"]): row for row in summary["decoding"] if row["direction"] == "image_from_response"}
    # eight test images: accuracy moves in eighths with the last bit of a sum, so only that it is no chance counts here
    assert rows["ideal_observer", "averaged"]["p_value"] <= 0.01
    assert rows["dina", "averaged"]["top1"] is not None
    printed = capsys.readouterr().out
    assert "dina (scratch, 2 of 2 epochs)" in printed
    assert "chance" in printed
    assert str(run / "report.html") in printed
    page = (run / "report.html").read_text(encoding="utf-8")
    assert small_session.name in page
    tags = Tags(page)
    assert (tags.scripts, tags.loaded) == (0, [])
    assert verify_checksums(run) == {}

    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert dina("study", str(tmp_path / "session.nc"), "--out", str(run), *QUICK) == 0
    assert dina("report", str(run)) == 0
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    capsys.readouterr()
    assert dina("study", str(tmp_path / "session.nc"), "--out", str(run), *QUICK, "--seed", "1") == 2
    assert "already holds a study (settings.seed: 0 there, 1 now)" in capsys.readouterr().err


@pytest.mark.long
def test_a_session_in_the_stringer_schema_is_studied_and_its_name_cannot_harm(
    small_session: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "<b>data"
    istim = np.concatenate([small_session.stimulus_id + 1, [81, 81]])  # 81 is the grey screen
    responses = np.concatenate([small_session.responses, np.zeros((2, 60), np.float32)])
    session = write_session(folder / "natimg2800_M000000_MP000_2017-01-01.mat", responses, istim)
    screen = np.full((80, 68, 270), 128, dtype=np.uint8)
    screen[:, 20:44, 100:148] = small_session.images[:, 0]
    write_images(folder / "images.mat", screen)

    few = ("--set", 'decoders=["dina", "ridge", "ideal_observer"]')
    code = dina("study", str(session), "--images", str(folder / "images.mat"), "--out", str(tmp_path / "run"), *QUICK, *few)

    assert code == 0, capsys.readouterr().err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["recording"]["n_stimuli"] == 80
    assert summary["recording"]["n_repeats"] == 2
    assert not [row for row in summary["decoding"] if row["decoder"] == "ideal_observer"]
    assert (tmp_path / "run" / "report.html").is_file()
