"""Settings come from a file and from words, mistakes are named, and what is written reads back the same."""

from pathlib import Path

import pytest

from dina.checks import DataError
from dina.study.settings import StudySettings, TogetherSettings, read_settings, settings_to_toml


def test_settings_written_resolved_read_back_the_same(tmp_path: Path) -> None:
    settings = read_settings(overrides=["seed=7", "split.test_fraction=0.25", 'decoders=["dina", "ridge"]'])
    (tmp_path / "study.toml").write_text(settings_to_toml(settings), encoding="utf-8")
    assert read_settings(tmp_path / "study.toml") == settings
    assert settings.decoders == ("dina", "ridge")


def test_words_win_over_the_file_and_later_words_over_earlier(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("seed = 1\n[split]\ntest_fraction = 0.2\n")
    settings = read_settings(tmp_path / "study.toml", ["seed=2", "seed=3"])
    assert (settings.seed, settings.split.test_fraction, settings.split.validation_fraction) == (3, 0.2, 0.1)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sead=1", r"Unknown setting 'sead'\. Did you mean 'seed'\?"),
        ("split.test_fracton=0.2", r"Unknown setting 'split.test_fracton'\. Did you mean 'test_fraction'\?"),
        ("split.test_fraction=2", r"The setting split.test_fraction should be less than 1; got 2\."),
        (
            'decoders=["dina", "rigde"]',
            r"Entry 2 of the setting decoders should be one of dina, .*; got 'rigde'\. Perhaps 'ridge' was meant\.",
        ),
        (
            "test_fraction=0.2",
            r"Unknown setting 'test_fraction'\. Did you mean split\.test_fraction \(in a \.toml: under \[split\]\)\?",
        ),
        ("preset=papr", r"Unknown preset 'papr'\. Did you mean 'paper'\?"),
        ("seed=one", r"The setting seed should be a valid integer.*got 'one'"),
        ("seed", r"must be written key=value.*got 'seed'"),
        ("seed.more=1", r"The setting 'seed.more=1' goes through 'seed'"),
        (".=1", r"must be written key=value"),
    ],
)
def test_a_mistake_is_named_in_one_sentence(word: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_settings(overrides=["seed=1", word])


def test_settings_made_in_python_are_refused_in_the_same_words() -> None:
    with pytest.raises(DataError, match=r"The setting split\.test_fraction should be less than 1; got 2"):
        StudySettings(split={"test_fraction": 2})
    with pytest.raises(DataError, match=r"Unknown setting 'sead'\. Did you mean 'seed'"):
        TogetherSettings(sead=1)


def test_a_file_that_is_no_toml_or_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("seed = = 1")
    with pytest.raises(DataError, match=r"study\.toml must be a TOML file in UTF-8: .*line 1"):
        read_settings(tmp_path / "study.toml")
    with pytest.raises(DataError, match=r"none\.toml cannot be read: No such file"):
        read_settings(tmp_path / "none.toml")


def test_settings_cannot_be_changed_after_they_were_made() -> None:
    with pytest.raises(ValueError, match="frozen"):
        StudySettings().seed = 3  # type: ignore[misc]
