"""A worker carries out one study in a process of its own, never beside another one, and never without the sweep."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dina.locked_folder import held, is_held
from dina.sweep.one_study import carry_out
from sweep.stand_in import words


def test_a_study_ends_with_its_exit_code_and_its_last_sentence(sweep_folder: Path) -> None:
    run = sweep_folder / "good"
    assert carry_out(words(run), str(run), str(sweep_folder))[:2] == (0, "")
    assert run.is_dir()
    bad = sweep_folder / "bad"
    assert carry_out(words(bad, code=2), str(bad), str(sweep_folder))[:2] == (2, "It cannot be.")
    assert "some line" in (sweep_folder / "logs" / "bad.txt").read_text()
    killed = sweep_folder / "killed"
    assert carry_out(words(killed, deaths=1), str(killed), str(sweep_folder))[:2] == (-9, "It was ended by signal 9.")


def test_a_worker_waits_for_one_that_was_thought_lost(sweep_folder: Path) -> None:
    run, partial = sweep_folder / "run", sweep_folder / "run.partial"
    partial.mkdir()
    ended: list[tuple[int, str, float]] = []
    second = threading.Thread(target=lambda: ended.append(carry_out(words(run), str(run), str(sweep_folder))))
    with held(partial):
        second.start()
        time.sleep(0.4)
        assert not (sweep_folder / "journal.txt").exists()  # nothing began beside the first
    second.join()
    assert ended[0][0] == 0
    assert run.is_dir()


def test_a_study_is_stopped_when_nobody_leads_the_sweep_any_more(tmp_path: Path, sweep_folder: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    run = other / "run"
    ended: list[tuple[int, str, float]] = []
    worker = threading.Thread(target=lambda: ended.append(carry_out(words(run, seconds=60), str(run), str(other))))
    with held(other):
        worker.start()
        while not (other / "journal.txt").exists():
            time.sleep(0.02)
    worker.join()
    assert ended[0][:2] == (130, "The sweep was stopped before this study was finished.")
    assert (other / "journal.txt").read_text() == "begins run\n"


def test_a_worker_that_cannot_see_the_folder_or_its_lock_begins_nothing(tmp_path: Path) -> None:
    code, said, _ = carry_out([], str(tmp_path / "a" / "run"), str(tmp_path / "a"))
    assert (code, said[:43]) == (2, "A worker must see the folder of the sweep, ")
    code, said, _ = carry_out([], str(tmp_path / "run"), str(tmp_path))
    assert (code, said[:8]) == (2, "Locks on")
    assert not is_held(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_the_command_ends_with_the_process_that_started_it() -> None:
    code = "import threading, time; from dina.cli.tied_process import end_with_starter\n"
    code += "threading.Thread(target=end_with_starter, daemon=True).start(); print('here', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        child.communicate(timeout=30)  # closes the pipe, as the system does when its process is killed
    assert child.returncode == -15
