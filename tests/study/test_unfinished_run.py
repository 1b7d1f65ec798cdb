"""The folder of a study appears whole, survives a crash, and is never taken from another process or study."""

import os
import re
import sys
from pathlib import Path

import pytest

from dina.artifacts import write_text
from dina.checks import DataError
from dina.signed_folder import verify_checksums
from dina.study.unfinished_run import differences, is_finished, open_run, safe_name, sign_finished_parts
from forked import end_of_copy

IDENTITY = {"recording": "abc", "settings": {"seed": 0}}
OTHER = {"recording": "abc", "settings": {"seed": 1}}


def finish(run: Path, identity: dict[str, object], text: str = "numbers", force: bool = False) -> None:
    with open_run(run, identity, force=force) as folder:
        write_text(folder / "summary.json", text)


def test_a_run_appears_at_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with open_run(run, IDENTITY, force=False) as folder:
        write_text(folder / "summary.json", "numbers")
        assert not run.exists()
        assert not is_finished(run, IDENTITY)
    assert is_finished(run, IDENTITY)
    assert verify_checksums(run) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert sorted(path.name for path in run.iterdir()) == ["SHA256SUMS", "identity.json", "summary.json"]


def test_a_study_that_broke_off_goes_on_from_its_files(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RuntimeError, match="power"), open_run(run, IDENTITY, force=False) as folder:
        write_text(folder / "ridge.nc", "scores")
        (folder / ".half.tmp").write_text("part of a file")
        raise RuntimeError("power")
    with open_run(run, IDENTITY, force=False) as folder:
        assert (folder / "ridge.nc").read_text() == "scores"
        assert not (folder / ".half.tmp").exists()
    assert (run / "ridge.nc").is_file()


def test_an_unfinished_study_of_other_settings_is_refused_or_started_afresh(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RuntimeError), open_run(run, IDENTITY, force=False) as folder:
        write_text(folder / "results" / "ridge.nc", "scores of seed 0")
        raise RuntimeError
    with pytest.raises(DataError, match=r"differs in settings\.seed: 0 there, 1 now.*--force"), open_run(run, OTHER, force=False):
        pass
    with open_run(run, OTHER, force=True) as folder:
        assert not (folder / "results").exists()
    assert is_finished(run, OTHER)


def test_an_unfinished_study_taken_to_another_processor_is_recognised(tmp_path: Path) -> None:
    run, here, there = (
        tmp_path / "run",
        *({**IDENTITY, "environment": {"torch": "2", "kernel": one}} for one in ("Zen", "Haswell")),
    )
    with pytest.raises(RuntimeError), open_run(run, there, force=False) as folder:
        write_text(folder / "results" / "ridge.nc", "scores")
        raise RuntimeError
    said = r"begun on another kind of processor \(environment\.kernel: Haswell there, Zen now\).*Go on with it there"
    with pytest.raises(DataError, match=said), open_run(run, here, force=False):
        pass
    with open_run(run, there, force=False) as folder:
        assert (folder / "results" / "ridge.nc").read_text() == "scores"
    assert is_finished(run, here)  # what is finished can be read anywhere


def test_a_finished_run_is_replaced_only_by_force_and_only_at_the_end(tmp_path: Path) -> None:
    run = tmp_path / "run"
    finish(run, IDENTITY, "old")
    with pytest.raises(DataError, match="already holds a study"):
        finish(run, OTHER, "new")
    with open_run(run, OTHER, force=True) as folder:
        write_text(folder / "summary.json", "new")
        assert (run / "summary.json").read_text() == "old"
    assert (run / "summary.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_is_not_a_study_is_never_touched(tmp_path: Path) -> None:
    run = tmp_path / "thesis"
    run.mkdir()
    (run / "chapter1.tex").write_text("years of work")
    with pytest.raises(DataError, match=r"not the folder of a study \(it holds 'chapter1.tex'\)"):
        finish(run, IDENTITY, force=True)
    assert (run / "chapter1.tex").read_text() == "years of work"


def test_a_link_or_a_file_at_the_place_of_the_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("")
    for name in ("run", "file"):
        with pytest.raises(DataError, match="link or a file"):
            finish(tmp_path / name, IDENTITY, force=True)


def test_two_processes_do_not_work_in_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"

    def open_it_too() -> int:
        try:
            finish(run, IDENTITY, force=True)
        except DataError as error:
            print(error, file=sys.stderr)
        return 0

    with open_run(run, IDENTITY, force=False):
        assert end_of_copy(open_it_too, tmp_path / "said") == 0
        assert "Another process is working in" in (tmp_path / "said").read_text()
    assert is_finished(run, IDENTITY)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written_is_named_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot be made"):
        finish(tmp_path / "run", IDENTITY)


def test_a_damaged_identity_is_reported_in_one_sentence(tmp_path: Path) -> None:
    run = tmp_path / "run"
    finish(run, IDENTITY)
    (run / "identity.json").write_text("{")
    with pytest.raises(DataError, match=r"identity\.json must be as it was written"):
        finish(run, IDENTITY)
    finish(run, IDENTITY, force=True)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/absolute", "CON", "nul.txt", "a\x00b", "‮evil", "x" * 10_000, "", "...", "<script>", "a\nb", "-rf"],
)
def test_every_name_becomes_one_that_is_safe_on_every_system(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe) <= 80
    assert set(safe) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert safe[0] not in ".-"
    assert safe.split(".")[0].lower() not in {"con", "nul"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (["dina", "ridge", "cebra"], ["dina", "ridge", "kay2008"], "cebra only there, kay2008 only now"),
        (["dina", "ridge"], ["dina", "ridge", "a", "b", "c"], "a, b and c only now"),
        (["ridge"], [*"abcdefgh", "ridge"], "a, b, c, d, e, f and 2 more only now"),
        (["dina", "ridge"], ["ridge", "dina"], "the same in another order"),
        ("folder/of/many/models/vit-small", "folder/of/many/models/vit-large", "…vit-small there, …vit-large now"),
        ("folder/of/many/models/vit", "folder/of/many/models/vit-large", "…/vit there, …/vit-large now"),
    ],
)
def test_differences_of_long_values_show_where_they_differ(old: object, new: object, said: str) -> None:
    assert differences({"key": old}, {"key": new}) == f"key: {said}"


def test_differences_are_named_by_key_and_long_values_are_cut() -> None:
    found = {"recording": "a" * 64, "settings": {"seed": 0, "preset": "default"}, "threads": 1}
    wanted = {"recording": "b" * 64, "settings": {"seed": 0, "preset": "paper"}}
    said = differences(found, wanted)
    assert (
        said
        == "recording: aaaaaaaaaaaa… there, bbbbbbbbbbbb… now; settings.preset: default there, paper now; threads: 1 there, nothing now"
    )


def broken_off(run: Path, *names: str) -> Path:
    """Begin a study, finish some parts, and stop; return its folder."""
    with pytest.raises(RuntimeError), open_run(run, IDENTITY, force=False) as folder:
        for name in names:
            write_text(folder / name, f"content of {name}")
        sign_finished_parts(folder)
        raise RuntimeError
    return run.with_name(run.name + ".partial")


@pytest.mark.parametrize("name", ["results/retrieval_ridge.nc", "history.csv", "model.json", "models/m1.safetensors"])
def test_a_finished_part_that_changed_is_refused_by_name_or_made_again(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    partial = broken_off(run, name, "results/retrieval_dina.nc")
    (partial / name).write_text("Content")
    said = rf"run\.partial/{name} must be as it was written; .*--force"
    with pytest.raises(DataError, match=said), open_run(run, IDENTITY, force=False):
        pass
    with open_run(run, IDENTITY, force=True) as folder:
        assert not (folder / name).exists()
    assert verify_checksums(run) == {}


def test_a_part_that_changes_while_the_study_goes_on_is_not_signed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"history\.csv must be as"), open_run(tmp_path / "run", IDENTITY, force=False) as folder:
        write_text(folder / "history.csv", "1")
        sign_finished_parts(folder)
        (folder / "history.csv").write_text("2")
    assert not (tmp_path / "run").exists()


def test_a_part_that_was_removed_is_made_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (broken_off(run, "results/retrieval_ridge.nc") / "results" / "retrieval_ridge.nc").unlink()
    with open_run(run, IDENTITY, force=False) as folder:
        write_text(folder / "results" / "retrieval_ridge.nc", "content of results/retrieval_ridge.nc")
        sign_finished_parts(folder)
    assert is_finished(run, IDENTITY)
    assert sorted(path.name for path in run.iterdir()) == ["SHA256SUMS", "identity.json", "results"]


@pytest.mark.parametrize("name", ["identity.json", ".SHA256SUMS.begun"])
def test_a_damaged_identity_or_listing_is_refused_and_force_starts_afresh(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    partial = broken_off(run, "history.csv")
    (partial / name).write_text("{")
    with pytest.raises(DataError, match=rf"{re.escape(name)} .*--force"), open_run(run, IDENTITY, force=False):
        pass
    with open_run(run, IDENTITY, force=True) as folder:
        assert not (folder / "history.csv").exists()
    assert is_finished(run, IDENTITY)
