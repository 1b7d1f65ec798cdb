"""Everything that a study of several recordings together can be told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from dina.checks import check_choice
from dina.study.dina_step import merge_settings
from dina.study.settings import EvaluationSettings, SplitSettings
from dina.study.settings_file import apply_overrides, check_settings, read_toml
from dina.training.presets import SHARED_PRESETS, PresetSettings


class JointSettings(BaseModel):
    """Everything that decides the numbers of a joint study, apart from recordings, versions, threads and device.

    Parameters
    ----------
    seed
        Of every random choice.
    n_folds
        Splits of the images, drawn anew; two or more say how much accuracy depends on the images held out.
    n_seeds
        Trainings for each fold; two or more say how much it depends on the seed.
    preset
        A name in `dina.training.presets.SHARED_PRESETS`.
    sizes
        Numbers of images (training and validation together) with which a left-out recording joins; those that are not there
        are left out, none for no such curve.
    fewest_updates
        Of the weights in every training that does not start in closed form, however few its images: epochs and patience are
        lengthened until budgets reach it, and those of recordings alone until they reach what all together get.
    split
        How images are divided.
    evaluation
        How many resamples stand behind intervals.
    dina
        Settings of the preset; what is not named is as the preset prescribes.

    Raises
    ------
    DataError
        When they are used: if the preset or one of its settings is unknown, or a value does not fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    n_folds: int = Field(1, ge=1)
    n_seeds: int = Field(1, ge=1)
    preset: str = "default"
    sizes: tuple[Annotated[int, Field(ge=20)], ...] = (50, 100, 200, 400)
    fewest_updates: int = Field(500, ge=0)
    split: SplitSettings = SplitSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    dina: dict[str, Any] = Field(default_factory=dict)


def read_joint_settings(path: Path | None = None, overrides: Sequence[str] = ()) -> JointSettings:
    """Read settings from a TOML file, if any, set single values in them, and write out what the preset prescribes.

    Parameters
    ----------
    path
        A TOML file; None for the defaults.
    overrides
        Words such as ``n_folds=3``; they win over the file.

    Raises
    ------
    DataError
        If a key is unknown (the message proposes the nearest) or a value does not fit.

    Examples
    --------
    >>> read_joint_settings(overrides=["preset=scratch", "n_folds=2"]).dina["map_channels"]
    8
    """
    content = {} if path is None else read_toml(path)
    settings = check_settings(JointSettings, apply_overrides(content, overrides))
    return settings.model_copy(update={"dina": joint_preset_settings(settings).model_dump(mode="json")})


def joint_preset_settings(settings: JointSettings) -> PresetSettings:
    """Return the settings of the preset of a joint study.

    Raises
    ------
    DataError
        If the preset or one of its settings is unknown, or a value does not fit.
    """
    row = SHARED_PRESETS[check_choice("joint preset", settings.preset, SHARED_PRESETS)]
    merged = merge_settings(row.settings_type().model_dump(mode="json"), settings.dina)
    return check_settings(row.settings_type, merged, prefix="dina")
