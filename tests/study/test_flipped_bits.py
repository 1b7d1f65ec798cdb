"""After a single flipped bit in a run, every command refuses it by name or shows what it showed before."""

import functools
from pathlib import Path
from types import ModuleType

import pytest

from benchmark_scripts import import_script
from dina.cli import main


@pytest.fixture(scope="module")
def flips() -> ModuleType:
    return import_script("flipped_bits")


@pytest.fixture(scope="module")
def run(flips: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flips.make_run(tmp_path_factory.mktemp("flips"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def interpreted(flips: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run: Path = flips.make_run(tmp_path_factory.mktemp("interpreted"))
    flips.demand(flips.commands_of(run)["interpret, neural side"])
    return run


@pytest.mark.parametrize("command", ["compare", "study", "verify"])
def test_no_flipped_bit_changes_what_is_shown_without_a_word(flips: ModuleType, run: Path, command: str) -> None:
    action = functools.partial(main, flips.commands_of(run)[command])
    ends, wrong = flips.measure(action, run, run, 8, opened_alone=True)
    assert not wrong
    assert ends["refused"] > 0


@pytest.mark.long
@pytest.mark.parametrize("command", ["report", "interpret", "interpret, neural side", "verdict"])
def test_no_flipped_bit_of_an_interpreted_run_changes_it(flips: ModuleType, interpreted: Path, command: str) -> None:
    action = functools.partial(main, flips.commands_of(interpreted)[command])
    ends, wrong = flips.measure(action, interpreted, interpreted, 12, opened_alone=True)
    assert not wrong
    assert ends["refused"] > 0


@pytest.mark.long
def test_an_unfinished_study_ends_the_same_or_is_refused(flips: ModuleType, tmp_path: Path) -> None:
    run = flips.make_unfinished_run(tmp_path)
    ends, wrong = flips.measure(functools.partial(flips.begin, run), tmp_path / "begun.partial", run, 16)
    assert not wrong
    assert ends["refused"] > 0
    assert ends["the same"] > 0


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("summary.json", "report"),
        ("history.csv", "report"),
        ("identity.json", "study"),
        ("results/retrieval_ridge.nc", "compare"),
        ("model.safetensors", "verify"),
    ],
)
def test_the_file_that_differs_is_named(flips: ModuleType, run: Path, name: str, command: str) -> None:
    whole = (run / name).read_bytes()
    flips.flip(run / name, 8 * (len(whole) // 2))
    try:
        code, said = flips.end_of(functools.partial(main, flips.commands_of(run)[command]))
    finally:
        (run / name).write_bytes(whole)
    assert code == 2
    assert f"{run / name} must be as it was written" in said


def test_a_run_is_verified_from_its_scores_its_model_and_the_recording(flips: ModuleType, run: Path) -> None:
    verify = functools.partial(main, flips.commands_of(run)["verify"])
    (run / "notes.txt").write_text("mine")
    try:
        code, said = flips.end_of(verify)
    finally:
        (run / "notes.txt").unlink()
    assert code == 0, said
    assert "files are as they were written" in said
    assert "its model and the recording" in said
    assert "Not of the run, and not read: notes.txt." in said
