"""Settings that cannot be are refused before anything is read, by name."""

import math

import pytest

from dina.analyses import ANALYSES
from dina.checks import DataError, check_settings
from dina.study import read_settings
from dina.study.settings import EvaluationSettings, SplitSettings, StudySettings, TogetherSettings
from dina.training.presets import PRESETS

WITH_TEMPERATURE = [name for name, row in PRESETS.items() if "temperature" in row.settings_type.model_fields]
MODELS = {model.__name__: model for model in (SplitSettings, EvaluationSettings, StudySettings, TogetherSettings)}
MODELS |= {row.settings_type.__name__: row.settings_type for row in (*PRESETS.values(), *ANALYSES.values()) if row.settings_type}


@pytest.mark.parametrize("preset", WITH_TEMPERATURE)
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e-9", "1000"])
def test_temperatures_outside_their_range_are_refused(preset: str, value: str) -> None:
    with pytest.raises(DataError, match=r"The setting dina\.temperature should be"):
        read_settings(None, [f"preset={preset}", f"dina.temperature={value}"])


@pytest.mark.parametrize("name", sorted(MODELS))
def test_no_setting_takes_what_is_no_number(name: str) -> None:
    floats = [key for key, field in MODELS[name].model_fields.items() if field.annotation is float]
    for key in floats:
        for value in (math.nan, math.inf, -math.inf):
            with pytest.raises(DataError, match=key):
                check_settings(MODELS[name], {key: value})


@pytest.mark.parametrize("name", sorted(MODELS))
def test_no_number_of_things_is_negative_or_beyond_counting(name: str) -> None:
    counts = [key for key, field in MODELS[name].model_fields.items() if field.annotation is int and key != "layer"]
    for key in counts:
        for value in (-1, 10**20):
            with pytest.raises(DataError, match=key):
                check_settings(MODELS[name], {key: value})


@pytest.mark.parametrize(
    "word",
    [
        "dina.widths=[0.5, -1.0]",
        "dina.fit.batch_size=1",
        "decoders=[]",
        "seed=" + "9" * 5000,
        "seed=" + "[" * 3000,
        "dina.fit.image.learning_rate=nan",
    ],
)
def test_other_values_that_cannot_be_are_refused(word: str) -> None:
    with pytest.raises(DataError):
        read_settings(None, [word])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["split.validation_fraction=0.6", "split.test_fraction=0.4"], r"must be together below 1; got 0\.6 and 0\.4"),
        (["folds=5", "split.in_blocks=true"], "Folds are drawn image by image"),
        (["fold=2"], "fold must be one of at least two folds"),
        (["decoders=[]"], r"decoders should have at least 1 item, not 0; got \[\]"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_settings(None, words)
    # of folds, the fraction for testing does not count
    assert read_settings(None, ["folds=5", "split.validation_fraction=0.5", "split.test_fraction=0.5"]).folds == 5
