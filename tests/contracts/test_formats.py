"""Every format is recognised by its own example and no other, states its options, and refuses what it cannot use."""

import inspect
from pathlib import Path

import pytest

from dina.checks import DataError
from dina.recordings import FORMATS, read

EXAMPLES = [(name, example) for name, known in FORMATS.items() for example in known.examples]


def put(example: str, folder: Path) -> Path:
    """Write an empty file of that name, and return what a user would give: the file, or the folder that it lies in."""
    file = folder / example
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return folder / Path(example).parts[0]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_is_recognised_by_its_own_format_and_no_other(name: str, example: str, tmp_path: Path) -> None:
    path = put(example, tmp_path)

    assert [other for other, known in FORMATS.items() if known.recognises(path)] == [name]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_empty_example_is_refused_in_words(name: str, example: str, tmp_path: Path) -> None:
    path = put(example, tmp_path)

    with pytest.raises(DataError):
        read(path)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_option_that_means_nothing_is_refused(name: str, example: str, tmp_path: Path) -> None:
    path = put(example, tmp_path)

    with pytest.raises(DataError, match="colour_of_the_cage cannot be chosen"):
        read(path, options={"colour_of_the_cage": "white"})


@pytest.mark.parametrize("name", FORMATS)
def test_every_option_may_be_left_out(name: str) -> None:
    _, *options = inspect.signature(FORMATS[name].read).parameters.values()

    assert all(option.default is not inspect.Parameter.empty for option in options)
    assert FORMATS[name].options() == tuple(option.name for option in options)


@pytest.mark.parametrize("name", [name for name, known in FORMATS.items() if known.deposit is not None])
def test_what_was_fetched_is_of_the_format(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DINA_DATA", str(tmp_path))
    deposit = FORMATS[name].deposit
    assert deposit is not None

    path = deposit.locate("a_recording")
    path.parent.mkdir(parents=True)
    path.touch()

    assert FORMATS[name].recognises(path)


def test_what_is_of_no_format_is_told_what_is_accepted(tmp_path: Path) -> None:
    path = put("mouse7.xyz", tmp_path)

    with pytest.raises(DataError, match="is no recording in a known format") as refused:
        read(path)

    assert all(name in str(refused.value) for name in FORMATS)
