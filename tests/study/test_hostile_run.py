"""A run directory of somebody else is data: no command writes, deletes or appends outside of it, and --force deletes nobody's file."""

import os
from pathlib import Path

import numpy as np
import pytest

from dina.artifacts import write_text
from dina.checks import DataError
from dina.study.environment import kept_log
from dina.study.run_directory import Run
from dina.study.unfinished_run import locked, open_run

IDENTITY = {"recording": "abc", "settings": {"seed": 0}}
OTHER = {"recording": "abc", "settings": {"seed": 1}}


def finish(run: Path, identity: dict, *, force: bool = False) -> None:
    with open_run(run, identity, force=force) as folder:
        write_text(folder / "summary.json", "{}")


def break_off(run: Path, *names: str) -> Path:
    with pytest.raises(RuntimeError), open_run(run, IDENTITY, force=False) as folder:
        for name in names:
            write_text(folder / name, "something")
        raise RuntimeError
    return run.with_name(run.name + ".partial")


@pytest.mark.parametrize("name", ["log.txt", ".lock", "results", "figures/old.svg"])
def test_an_unfinished_study_with_links_is_not_gone_on_with(tmp_path: Path, name: str) -> None:
    partial = break_off(tmp_path / "run")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "diary.txt").write_text("mine")
    (partial / name).parent.mkdir(exist_ok=True)
    (partial / name).unlink(missing_ok=True)
    (partial / name).symlink_to(outside if name == "results" else outside / "diary.txt")
    for force in (False, True):
        with pytest.raises(DataError, match="is a link or a device"):
            finish(tmp_path / "run", OTHER, force=force)
    assert (outside / "diary.txt").read_text() == "mine"
    assert len(list(outside.iterdir())) == 1


def test_a_lock_that_is_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.lock").symlink_to(tmp_path / "made")
    with pytest.raises(DataError, match="is a link"), locked(tmp_path / "run"):
        pass
    assert not (tmp_path / "made").exists()


def test_a_log_with_a_second_name_elsewhere_grows_in_the_run_alone(tmp_path: Path) -> None:
    (tmp_path / "profile").write_text("alias x=y\n")
    (tmp_path / "run").mkdir()
    os.link(tmp_path / "profile", tmp_path / "run/log.txt")
    with kept_log(tmp_path / "run"):
        pass
    assert (tmp_path / "profile").stat().st_nlink == 1


@pytest.mark.parametrize("name", ["notes.md", "results/figure for the paper.pdf", ".git/config", "fold1/diary.txt"])
def test_force_deletes_no_file_of_the_user(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    finish(run, IDENTITY)
    (run / name).parent.mkdir(exist_ok=True, parents=True)
    (run / name).write_text("mine")
    with pytest.raises(DataError, match=r"which no study writes, and would be deleted with it"):
        finish(run, OTHER, force=True)
    assert (run / name).read_text() == "mine"


def test_force_replaces_a_run_that_has_an_explorer(tmp_path: Path) -> None:
    run = tmp_path / "run"
    finish(run, IDENTITY)
    (run / "explorer.html").touch()
    (run / "results").mkdir(exist_ok=True)
    (run / "results" / "explorer.nc").touch()
    finish(run, OTHER, force=True)
    assert not (run / "explorer.html").exists()


def test_force_deletes_nothing_beside_the_run(tmp_path: Path) -> None:
    finish(tmp_path / "run", IDENTITY)
    finish(tmp_path / "run.replaced", IDENTITY)
    (tmp_path / ".run.keep.replaced").mkdir()
    finish(tmp_path / "run", OTHER, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".run.keep.replaced", "run", "run.replaced"]


def test_a_study_that_was_refused_is_no_obstacle_for_the_next(tmp_path: Path) -> None:
    break_off(tmp_path / "run", "study.toml", "results/quality.nc")
    finish(tmp_path / "run", OTHER)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_study_in_which_something_was_fitted_is_kept(tmp_path: Path) -> None:
    partial = break_off(tmp_path / "run", "results/retrieval_ridge.nc")
    with pytest.raises(DataError, match="holds an unfinished study"):
        finish(tmp_path / "run", OTHER)
    assert (partial / "results/retrieval_ridge.nc").is_file()


def test_what_killed_commands_left_is_swept(tmp_path: Path) -> None:
    left, young, other = (
        tmp_path / name for name in (".a.csv.12345678.tmp.csv", ".a.csv.87654321.tmp.csv", ".b.csv.12345678.tmp.csv")
    )
    for path in (left, young, other):
        path.write_text("half")
    for path in (left, other):
        os.utime(path, (0, 0))
    write_text(tmp_path / "a.csv", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([young.name, other.name, "a.csv"])


def test_no_space_names_the_file_and_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a.txt", "old")

    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        write_text(tmp_path / "a.txt", "new")
    assert raised.value.filename == str(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_damaged_lines_of_a_history_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text('epoch,loss,none\n1,0.5,\n2,"0.25\n3,1,2,4\n4\n', encoding="utf-8")
    found = Run(tmp_path).history
    np.testing.assert_array_equal(found["epoch"], [1, 2, 4])
    np.testing.assert_array_equal(found["loss"], [0.5, np.nan, np.nan])
    assert set(found) == {"epoch", "loss"}
