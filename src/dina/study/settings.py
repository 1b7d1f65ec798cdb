"""Everything that a study can be told, in one frozen object that is read from study.toml and written beside the results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dina.rivals import RIVALS
from dina.study.dina_step import dina_settings
from dina.study.settings_file import apply_overrides, check_settings, read_toml, to_toml

CorrectionName = Literal["csls", "sinkhorn"]
DECODERS: tuple[str, ...] = ("dina", *RIVALS)
"""Every decoder that a study can fit."""

DEFAULT_DECODERS: tuple[str, ...] = ("dina", *(name for name, rival in RIVALS.items() if rival.is_default))
"""What a study fits unless it is told otherwise: what fits into ten minutes; docs/rivals.md has the others."""


def _known_decoder(name: str) -> str:
    if name not in DECODERS:
        raise ValueError(f"should be one of {', '.join(DECODERS)}")
    return name


DecoderName = Annotated[str, AfterValidator(_known_decoder)]


class SplitSettings(BaseModel):
    """How images are divided; see `dina.data.splits.split_by_stimulus`.

    Parameters
    ----------
    validation_fraction, test_fraction
        Fractions of the images shown.
    near_identical
        Images whose pixels correlate above this are kept on one side of the split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation_fraction: float = Field(0.1, gt=0, lt=1)
    test_fraction: float = Field(0.1, gt=0, lt=1)
    near_identical: float = Field(0.999, gt=0, le=1)


class EvaluationSettings(BaseModel):
    """How decoders are judged.

    Parameters
    ----------
    n_resamples
        Bootstrap resamples and permutations behind every interval and p-value.
    transductive
        Corrections of scores that look at all queries at once ("csls", "sinkhorn"), each a further row beside every decoder;
        none unless asked for, since a decoder of one response has no other queries to look at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_resamples: int = Field(10_000, ge=100, le=1_000_000)
    transductive: tuple[CorrectionName, ...] = ()


class StudySettings(BaseModel):
    """Everything that decides the numbers of a study, apart from the recording, versions, threads and device.

    Parameters
    ----------
    seed
        Of every random choice.
    preset
        Which towers dina trains; a name in `dina.training.presets.PRESETS`.
    decoders
        What is fitted and judged, in the order of the tables; by default `DEFAULT_DECODERS`.
    split
        How images are divided.
    evaluation
        How decoders are judged.
    dina
        Settings of the preset; what is not named is as the preset prescribes.
    image_features
        A .npy file of features of the images, see `dina.study.image_features.read_image_features`; for objectives that are
        told more than pairs. What the file holds is part of what a run is, where it lies is not.

    Raises
    ------
    DataError
        When they are used: if the preset or one of its settings is unknown, or a value does not fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    preset: str = "default"
    decoders: tuple[DecoderName, ...] = Field(DEFAULT_DECODERS, min_length=1)
    split: SplitSettings = SplitSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    image_features: Path | None = None
    dina: dict[str, Any] = Field(default_factory=dict)


def read_settings(path: Path | None = None, overrides: Sequence[str] = ()) -> StudySettings:
    """Read settings from a TOML file, if any, and set single values in them.

    Parameters
    ----------
    path
        A file such as the ``study.toml`` of a run; None for the defaults.
    overrides
        Words such as ``split.test_fraction=0.2``; they win over the file.

    Raises
    ------
    DataError
        If a key is unknown (the message proposes the nearest) or a value does not fit.

    Examples
    --------
    >>> read_settings(overrides=["split.test_fraction=0.2"]).split.test_fraction
    0.2
    >>> read_settings(overrides=["split.test_fracton=0.2"])
    Traceback (most recent call last):
    ...
    dina.checks.DataError: Unknown setting 'split.test_fracton'. Did you mean 'test_fraction'? Known here: near_identical, test_fraction, validation_fraction.
    """
    content = {} if path is None else read_toml(path)
    return resolve(check_settings(StudySettings, apply_overrides(content, overrides)))


def resolve(settings: StudySettings) -> StudySettings:
    """Return the settings with everything written out that the preset prescribes.

    Raises
    ------
    DataError
        If the preset or one of its settings is unknown, or a value does not fit.
    """
    return settings.model_copy(update={"dina": dina_settings(settings.preset, settings.dina).model_dump(mode="json")})


def settings_to_toml(settings: StudySettings) -> str:
    """Return the settings as TOML, every default written out; `read_settings` reads it back."""
    return to_toml(settings.model_dump(mode="json"))
