"""After a single flipped bit in a finished run, every command refuses it by name or shows what it showed before."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def flips() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        return importlib.import_module("flipped_bits")


@pytest.fixture(scope="module")
def run(flips: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flips.make_run(tmp_path_factory.mktemp("flips"))  # type: ignore[no-any-return]


@pytest.mark.long
@pytest.mark.parametrize("command", ["report", "interpret", "verdict", "compare", "study", "verify"])
def test_no_flipped_bit_changes_what_is_shown_without_a_word(flips: ModuleType, run: Path, command: str) -> None:
    ends, wrong = flips.measure(run, command, 12)
    assert not wrong
    assert ends["refused"] > 0


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("summary.json", "report"),
        ("results/interpretation/contributions.nc", "report"),
        ("identity.json", "study"),
        ("history.csv", "report"),
        ("results/retrieval_ridge.nc", "compare"),
        ("results/interpretation/contributions.json", "verdict"),
        ("model.safetensors", "verify"),
    ],
)
def test_the_file_that_differs_is_named(flips: ModuleType, run: Path, name: str, command: str) -> None:
    whole = (run / name).read_bytes()
    flips.flip(run / name, 8 * (len(whole) // 2))
    try:
        code, said = flips.end_of(flips.commands_of(run)[command])
    finally:
        (run / name).write_bytes(whole)
    assert code == 2
    assert f"{run / name} must be as it was written" in said
    assert flips.end_of(["report", str(run)])[0] == 0


@pytest.mark.long
def test_a_run_is_verified_from_its_scores_its_model_and_the_recording(flips: ModuleType, run: Path) -> None:
    code, said = flips.end_of(flips.commands_of(run)["verify"])
    assert code == 0, said
    assert "files are as they were written" in said
    assert "its model and the recording" in said
    (run / "notes.txt").write_text("mine")
    try:
        assert "Not of the run, and not read: notes.txt." in flips.end_of(flips.commands_of(run)["verify"])[1]
    finally:
        (run / "notes.txt").unlink()
