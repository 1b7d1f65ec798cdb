"""The command `dina sweep` lists, carries out and compares studies, and ends with the exit code that fits."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from dina.cli import main, sweep_command
from dina.recordings.recording import Recording

pytest.importorskip("distributed", reason="the extra sweep is not installed")

SWEEP = """
recordings = ["{folder}/m0.nc", "{folder}/nowhere.nc"]
seeds = [0, 1]

[study]
decoders = ["nearest_repeat_raw"]
evaluation.n_resamples = 100
"""


@pytest.fixture
def file(small_session: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a recording, and a sweep of it and of another one that is not there."""
    monkeypatch.chdir(tmp_path)
    small_session.write(tmp_path / "m0.nc")
    (tmp_path / "sweep.toml").write_text(SWEEP.format(folder=tmp_path), encoding="utf-8")
    return tmp_path / "sweep.toml"


def end_of(*words: str) -> int:
    """Return the exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_a_dry_run_lists_studies_with_what_they_need_and_writes_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_of("sweep", str(file), "--dry-run", "--max-memory", "2") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "m0-default-seed1" in out
    assert "nowhere.nc does not exist" in out
    assert "2 studies are left. On this machine" in out
    assert not Path("runs").exists()


def test_what_was_refused_is_in_the_table_with_its_sentence_and_the_rest_is_carried_out(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dina.sweep.sweep_folder import Outcome

    def answer(jobs: object, folder: object, estimates: dict, *rest: object) -> dict[str, Outcome]:
        refused = {job.name: Outcome(job.name, 2, estimates[job.recording].refusal) for job in jobs[2:]}
        return {job.name: Outcome(job.name, 0, "", 3.0) for job in jobs[:2]} | refused

    compared = []
    monkeypatch.setattr("dina.sweep.run_sweep.run_sweep", answer)
    monkeypatch.setattr("dina.sweep.sweep_folder.SweepFolder.state", lambda folder, job: "finished")
    monkeypatch.setattr(sweep_command, "_compare", lambda jobs, place, way: compared.extend(job.name for job in jobs))
    assert end_of("sweep", str(file), "--out", "mine") == 1
    assert compared == ["m0-default-seed0", "m0-default-seed1"]
    assert "2 of 4 studies have no result" in capsys.readouterr().err
    rows = list(csv.DictReader(Path("mine/studies.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["state"] for row in rows] == ["finished", "finished", "refused", "refused"]
    assert "nowhere.nc does not exist" in rows[2]["reason"]
    assert rows[1]["command"].startswith("dina study /")
    assert "--study" in rows[1]["command"]
    assert Path("mine/settings/m0-default-seed1.toml").read_text(encoding="utf-8").startswith("seed = 1\n")


def test_a_folder_that_is_no_sweep_and_a_wrong_file_are_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter.tex").write_text("years of work")
    assert end_of("sweep", str(file), "--out", "thesis") == 2
    assert "is not the folder of a sweep" in capsys.readouterr().err
    file.write_text("recordings = []")
    assert end_of("sweep", str(file)) == 2
    assert end_of("sweep", "nowhere.toml") == 2
    assert "nowhere.toml cannot be read" in capsys.readouterr().err


def _children(process: int) -> list[int]:
    """Return the processes that one has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            after_name = path.read_text().rpartition(")")[2].split()
            found += [int(path.parent.name)] if int(after_name[1]) == process else []
    return found


def _wait_for(what: str, seconds: float, condition: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up as Linux lists them")
def test_a_worker_that_is_killed_in_mid_study_costs_nothing(small_session: Recording, tmp_path: Path) -> None:
    small_session.write(tmp_path / "m0.nc")
    text = 'recordings = ["m0.nc"]\nseeds = [0, 1, 2, 3]\n[study]\ndecoders = ["nearest_repeat_raw", "ridge"]\n'
    (tmp_path / "sweep.toml").write_text(text + "evaluation.n_resamples = 100\n", encoding="utf-8")
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        "--scheduler-file",
        "place.json",
        "--nthreads",
        "1",
        "--no-nanny",
    ]
    sweep = [sys.executable, "-m", "dina.cli", "sweep", "sweep.toml", "--out", "out", "--scheduler", "place.json"]
    with ExitStack() as stack:

        def start(words: list[str]) -> subprocess.Popen:
            said = stack.enter_context((tmp_path / "said.txt").open("ab"))
            child = stack.enter_context(subprocess.Popen(words, cwd=tmp_path, stdout=said, stderr=said))
            stack.callback(child.kill)
            return child

        start([*dask, "--scheduler-file", "place.json"])
        _wait_for("no scheduler", 300, (tmp_path / "place.json").is_file)
        first, _ = start(worker), start(worker)
        leader = start(sweep)
        _wait_for("no study began", 300, lambda: bool(_children(first.pid)) or leader.poll() is not None)
        (study,) = _children(first.pid)
        words = Path(f"/proc/{study}/cmdline").read_bytes().decode().split("\0")
        run = tmp_path / "out" / Path(words[words.index("--out") + 1]).name
        partial = run.with_name(run.name + ".partial")
        _wait_for("no folder", 300, lambda: (partial / "identity.json").exists())
        os.kill(first.pid, signal.SIGKILL)
        assert leader.wait(timeout=400) == 0
    runs = sorted(path.name for path in (tmp_path / "out").iterdir() if path.name.startswith("m0"))
    assert runs == [f"m0-default-seed{seed}" for seed in range(4)]  # all are finished, and nothing is left of the first attempt
    begun = {name: (tmp_path / "out" / name / "log.txt").read_text(encoding="utf-8") for name in runs}
    assert all(begun.values())
    said = (tmp_path / "said.txt").read_text(encoding="utf-8")
    assert said.count(" is finished.") == 4
    assert "Another process" not in "".join(path.read_text() for path in (tmp_path / "out" / "logs").iterdir())
