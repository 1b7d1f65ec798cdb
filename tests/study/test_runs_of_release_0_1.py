"""A run that release 0.1.0 finished is read by report, compare and verdict, or refused in one sentence that names the version."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from axe_check import axe_findings
from chromium import needs_chromium
from dina.analyses import RULES
from dina.cli import main

VERSION = "0.1.0"
KEPT = Path(__file__).parent / "release_0_1"
"""Twenty simulated neurons, 80 images; decoders dina and ridge, three analyses of which one gives a reason only.

The page, its figures and the weights of the towers are left out, as nothing here reads them.
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KEPT, tmp_path / "old"))


def _is_read(capsys: pytest.CaptureFixture[str], *words: str) -> bool:
    """Say whether the command read the run; if it refused it, it must do so in one sentence that names the version."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    if not ended.value.code:
        return True
    said = capsys.readouterr().err.strip()
    assert ended.value.code == 2, said
    assert said.startswith("dina: ")
    assert len(said.splitlines()) == 1
    assert VERSION in said
    return False


def _summary(run: Path) -> dict:
    return json.loads((run / "summary.json").read_text(encoding="utf-8"))


def test_the_kept_run_is_of_that_release() -> None:
    assert _summary(KEPT)["dina_version"] == VERSION


@pytest.mark.browser
@needs_chromium
def test_its_report_is_drawn_again_with_its_numbers_for_everybody(browser, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not _is_read(capsys, "report", str(run)):
        return
    page = (run / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", page)
    rows = [row for row in _summary(KEPT)["decoding"] if row["direction"] == "image_from_response"]
    assert {row["decoder"] for row in rows} == {"dina", "dina_before_training", "ridge"}
    for row in rows:
        assert f"{100 * row['top1']:.1f}" in text, row["decoder"]
    assert _summary(KEPT)["recording"]["name"] in text
    # an analysis with findings, and one that says why it has none
    assert "noise correlations" in text
    assert "as in the preset" in text
    assert list((run / "figures").glob("*.svg"))
    with browser.new_context(offline=True, viewport={"width": 400, "height": 900}, bypass_csp=True) as context:
        shown = context.new_page()
        shown.goto((run / "report.html").as_uri())
        shown.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
        assert axe_findings(shown) == []


def test_it_is_compared_with_itself(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = shutil.copytree(run, tmp_path / "again")
    words = ("compare", str(run), str(again), "--out", str(tmp_path / "table"), "--threads", "1")
    if not _is_read(capsys, *words):
        return
    table = pd.read_csv(tmp_path / "table" / "comparison.csv").set_index(["run", "decoder", "queries"])["top1"]
    for row in _summary(KEPT)["decoding"]:
        if row["direction"] == "image_from_response":
            assert table["old", row["decoder"], row["queries"]] == pytest.approx(row["top1"])
            if row["decoder"] == "dina":  # a rival that says the same in both runs has one row
                assert table["again", "dina", row["queries"]] == pytest.approx(row["top1"])


def test_its_claims_are_judged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not _is_read(capsys, "verdict", str(run)):
        return
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    said = {
        name: f"{RULES[name].claim} {verdict['verdict'].capitalize()}: " for name, verdict in _summary(KEPT)["verdicts"].items()
    }
    for words in said.values():
        assert words in out
    # the analysis that was done is judged by its numbers: not "was not done"
    assert f"{said['functional_interactions']}The analysis noise_shuffle was not done" not in out
