"""From a study to verdicts on the command line: the recording is found again, the answers are printed."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dina
import dina.report
from dina.cli import main
from dina.cli.process import Stopped
from dina.cli.sessions import settle
from dina.explorer.loopback import ExplorerServer
from dina.figures.words import percent
from dina.recordings.recording import Recording
from dina.signed_folder import verify_checksums
from dina.study.run_directory import Run

SMALL = ["--set", "dina.fit.n_epochs=1", "--set", "evaluation.n_resamples=100", "--set", 'decoders=["dina"]', "--threads", "1"]


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no page, which takes longer than all else, where a test reads what is printed."""
    monkeypatch.setattr(dina.report, "write_report", lambda run, export=None: run / "report.html")


@pytest.fixture(scope="module")
def run(small_session: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    small_session.write(folder / "session.nc")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main_ends_well("study", "session.nc", "--preset", "scratch", "--out", "run", *SMALL)
    return folder / "run"


def main_ends_well(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code, words


def test_a_study_says_what_comes_next_and_a_verdict_what_must_come_before(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    main_ends_well("study", "session.nc", "--preset", "scratch", "--out", "run", *SMALL)  # finished: nothing is done again
    assert capsys.readouterr().out.endswith("Next: dina interpret run\n")
    with pytest.raises(SystemExit) as ended:
        main(["verdict", "run"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (1, "")
    assert f"No claim can be judged before a run is interpreted. First: `dina interpret {run}`" in err


@pytest.mark.long
def test_the_recording_of_a_run_is_found_again_from_elsewhere(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_ends_well("interpret", str(run), "contributions", "--threads", "1")
    out = capsys.readouterr().out
    assert "Which claims do the findings support?" in out
    assert "cannot tell" in out
    summary = json.loads((run / "summary.json").read_text())
    assert list(summary["interpretation"]) == ["contributions"]
    assert (run / "figures" / "contributions.svg").is_file()
    assert {verdict["verdict"] for verdict in summary["verdicts"].values()} <= {"supported", "not supported", "cannot tell"}


@pytest.mark.usefixtures("no_page")
def test_findings_are_printed_when_asked_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_ends_well("interpret", str(run), "contributions", "--findings", "--threads", "1")
    assert "helpful_fraction" in capsys.readouterr().out


@pytest.mark.usefixtures("no_page")
def test_explore_writes_a_page_serves_until_it_is_stopped_and_interpret_renews_the_page(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, opened = Path(shutil.copytree(run, tmp_path / "mine")), list[str]()

    def serve(server: ExplorerServer, poll_interval: float = 0.5) -> None:
        raise Stopped(signal.SIGINT)

    monkeypatch.setattr(ExplorerServer, "serve_forever", serve)
    monkeypatch.setattr("webbrowser.open", opened.append)
    main_ends_well("explore", str(mine), "--threads", "1")
    out = capsys.readouterr().out
    assert out.startswith(f"Explorer: {mine / 'explorer.html'}\n")
    assert out.endswith("Ended.\n")
    assert opened[0].startswith("file:")  # which every user of the machine may read, and not what is in the file
    assert "token" not in opened[0]
    assert "/?token=" in out
    assert verify_checksums(mine) == {}
    page = (mine / "explorer.html").read_bytes()
    # interpreted: what was found since belongs on the page
    monkeypatch.setattr("dina.study.interpret.interpret_run", lambda *given, **more: {})
    (mine / "explorer.html").write_bytes(b"")
    main_ends_well("interpret", str(mine), "--threads", "1")
    assert (mine / "explorer.html").read_bytes() == page
    # again without the recording, as what is needed of it is kept; without a browser, and without a server
    monkeypatch.setattr("dina.cli.run_commands.read_source", None)
    main_ends_well("explore", str(mine), "--threads", "1", "--no-browser")
    main_ends_well("explore", str(mine), "--threads", "1", "--file-only")
    assert len(opened) == 1
    assert (mine / "explorer.html").read_bytes() == page


def test_export_writes_a_folder_whose_towers_score_as_in_the_run(
    run: Path, small_session: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared" / "one"
    main_ends_well("export", str(run), str(folder), "--licence", "CC BY 4.0", "--threads", "1")
    assert capsys.readouterr().out.startswith(f"Shared: {folder} ")
    assert [path.name for path in folder.parent.iterdir()] == ["one"]  # nothing is left of the writing
    assert all(verify_checksums(folder / part) == {} for part in ("", "model", "data"))
    card = (folder / "model" / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    row = next(row for row in Run(run).rows if row.decoder == "dina")
    assert f"| averaged responses | image from response | {percent(row.top1)} |" in card
    shared = dina.load(folder)
    scored = Run(run).retrieval["dina"].scored["averaged"]
    is_test = np.isin(small_session.stimulus_id, scored.stimulus_id)
    found = shared.score(
        small_session.responses[is_test], small_session.images[scored.stimulus_id], small_session.stimulus_id[is_test]
    )
    np.testing.assert_allclose(found, scored.scores, atol=1e-5)
    np.testing.assert_array_equal(shared.arrays("retrieval_dina")["scores_averaged"], scored.scores)
    # neither images nor responses leave the house
    assert not {"gallery", "explorer"} & {path.stem for path in folder.rglob("*.nc")}
    # taken: refused before the recording is read; with --force only what an export wrote is replaced
    monkeypatch.setattr("dina.cli.run_commands.read_source", None)
    with pytest.raises(SystemExit):
        main(["export", str(run), str(folder), "--threads", "1"])
    assert "already exists. Choose another name, or replace it with --force." in capsys.readouterr().err
    (folder / "data" / "notes.txt").write_text("mine")
    for place, words in ((folder, "notes.txt, which no export writes"), (run, "is not a folder that `dina export` wrote")):
        with pytest.raises(SystemExit):
            main(["export", str(run), str(place), "--force", "--threads", "1"])
        assert words in capsys.readouterr().err
    (folder / "data" / "notes.txt").unlink()
    monkeypatch.undo()
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    main_ends_well("export", str(run), str(folder), "--licence", "CC BY 4.0", "--force", "--threads", "1")
    assert before == {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("no_page")
def test_verdicts_of_several_runs_stand_side_by_side(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_ends_well("interpret", str(run), "contributions", "--threads", "1")
    main_ends_well("verdict", str(run))
    out = capsys.readouterr().out
    assert "run" in out
    assert "docs/verdicts.md" in out


@pytest.mark.usefixtures("no_page")
def test_a_recording_that_has_moved_must_be_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = run.parent / "session.nc"
    session.rename(tmp_path / "session.nc")
    try:
        with pytest.raises(SystemExit):
            main(["interpret", str(run), "contributions", "--threads", "1"])
        assert "it is gone. Say where it lies now with --recording." in capsys.readouterr().err
    finally:
        (tmp_path / "session.nc").rename(session)
    (run / "source.json").rename(tmp_path / "source.json")
    try:
        with pytest.raises(SystemExit) as ended:
            main(["interpret", str(run), "contributions", "--threads", "1"])
        assert ended.value.code == 2
        assert "--recording" in capsys.readouterr().err
        main_ends_well("interpret", str(run), "contributions", "--recording", str(run.parent / "session.nc"), "--threads", "1")
    finally:
        (tmp_path / "source.json").rename(run / "source.json")


@pytest.mark.long
@pytest.mark.usefixtures("no_page")
def test_a_run_that_is_named_as_its_session_does_not_stand_for_the_recording(
    small_session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dina.cli.sessions.simulate", lambda name, seed: small_session)  # as demo, but quick
    for _ in range(2):  # the second time the folder is there already
        main_ends_well("study", "demo", "--preset", "scratch", "--out", "demo", *SMALL)
    assert json.loads(Path("demo/source.json").read_text())["recording"] == "demo"
    main_ends_well("interpret", "demo", "contributions", "--threads", "1")
    Path("elsewhere").mkdir()
    Path("elsewhere/demo").touch()  # a file of this name is a path when it is given, but not when the run remembers the session
    monkeypatch.chdir("elsewhere")
    assert settle("demo") == str(tmp_path / "elsewhere" / "demo")
    main_ends_well("interpret", "../demo", "contributions", "--force", "--threads", "1")


@pytest.mark.long
@pytest.mark.usefixtures("no_page")
def test_recordings_decoded_alike_are_judged_together(
    run: Path, small_session: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_ends_well("interpret", str(run), "contributions", "--threads", "1")
    other = replace(small_session, name="another", animal=None, responses=small_session.responses[:, ::-1].copy(), truth=None)
    other.write(tmp_path / "other.nc")
    second = str(tmp_path / "second")
    main_ends_well("study", str(tmp_path / "other.nc"), "--preset", "scratch", "--out", second, *SMALL)
    main_ends_well("interpret", second, "contributions", "--threads", "1")
    capsys.readouterr()
    main_ends_well("verdict", str(run), second, "--any-recordings", "--out", str(tmp_path / "both"))
    out = capsys.readouterr().out
    assert "all, 2 animals" in out
    assert "Animals taken from names: another. " in out
    table = pd.read_csv(tmp_path / "both" / "across_recordings.csv")
    assert set(table["recording"]) == {small_session.name, "another"}
    assert "contributions" in set(table["analysis"])
    replace(other, animal=small_session.animal).write(tmp_path / "other.nc")  # told later: nothing is computed again
    main_ends_well("study", str(tmp_path / "other.nc"), "--preset", "scratch", "--out", second, *SMALL)
    capsys.readouterr()
    main_ends_well("verdict", str(run), second, "--any-recordings")
    out = capsys.readouterr().out
    assert "all, 1 animal" in out
    assert "Animals taken from names" not in out
