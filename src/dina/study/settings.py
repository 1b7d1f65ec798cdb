"""Everything that can be set in a study, in one frozen object that is read from study.toml and written beside the results."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from dina.checks import DataError, check_choice
from dina.models.transform_choice import TransformName
from dina.rivals import RIVALS
from dina.short_words import brief
from dina.study.settings_file import apply_overrides, check_settings, read_toml, to_toml, without_none
from dina.training.presets import PRESETS, SHARED_PRESETS, AnyPreset, PresetSettings, changed_settings, name_of

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")

# Every decoder that a study can fit.
DECODERS: tuple[str, ...] = ("dina", *RIVALS)

# The decoders of a study by default: those that fit into ten minutes; docs/rivals.md has the others.
DEFAULT_DECODERS: tuple[str, ...] = ("dina", *(name for name, rival in RIVALS.items() if rival.is_default))


def _known_decoder(name: str) -> str:
    if name not in DECODERS:
        raise ValueError(f"should be one of {', '.join(DECODERS)}")
    return name


DecoderName = Annotated[str, AfterValidator(_known_decoder)]


def _refusing_plainly(make: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """Make a class refuse settings in the words in which those of a file are refused."""

    @wraps(make)
    def made(*given: Arguments.args, **settings: Arguments.kwargs) -> Made:
        try:
            return make(*given, **settings)
        except ValidationError:
            model: Any = given[0]
            check_settings(model, settings)
            raise

    return made


class _PlainlyRefused(type(BaseModel)):  # type: ignore[misc]
    """The kind of the classes whose objects users make in Python."""

    __call__ = _refusing_plainly(type(BaseModel).__call__)


class SplitSettings(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """How images are divided; see `dina.data.splits.split_by_stimulus`.

    Parameters
    ----------
    validation_fraction, test_fraction
        Fractions of the images shown; where these are more than 10,000, of 10,000.
    near_identical
        Images whose pixels correlate above this are kept on one side of the split.
    in_blocks
        Whether test images are a run of images shown one after the other, not single ones; not with folds.
    """

    __repr__ = __str__ = brief

    validation_fraction: float = Field(0.1, gt=0, lt=1)
    test_fraction: float = Field(0.1, gt=0, lt=1)
    near_identical: float = Field(0.999, gt=0, le=1)
    in_blocks: bool = False


class EvaluationSettings(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """How decoders are judged.

    Parameters
    ----------
    n_resamples
        Bootstrap resamples and permutations behind every interval and p-value.
    transductive
        Corrections of scores that look at all queries at once ("csls", "sinkhorn"), each a further row beside every decoder;
        none by default, since a decoder of one response has no other queries to look at.
    """

    __repr__ = __str__ = brief

    n_resamples: int = Field(10_000, ge=100, le=1_000_000)
    transductive: tuple[Literal["csls", "sinkhorn"], ...] = ()


class StudySettings(BaseModel, metaclass=_PlainlyRefused, frozen=True, extra="forbid", allow_inf_nan=False):
    """Everything that decides the numbers of a study of one recording, apart from the recording, versions, threads and device.

    Parameters
    ----------
    seed
        Of every random choice.
    preset
        Which towers dina trains; a name in `dina.training.presets.PRESETS`. A preset as an object is given to `dina.run_study`.
    decoders
        The decoders that are fitted and judged, in the order of the tables; by default `DEFAULT_DECODERS`.
    split
        How images are divided.
    folds
        In how many folds every image is tested once; 1 for a single split. With more, ``split.test_fraction`` does not count.
    fold
        Which of the folds, counted from 1, is studied; None for all, each in a run directory below.
    evaluation
        How decoders are judged.
    dina
        Settings of the preset; those that are not named keep its values.
    response_transform
        What is done to single trials first: a name in `dina.models.transform_choice.TransformName`, by default "chosen" from
        the training images. Reference levels and the preset `paper` read responses as they were recorded.
    regress_out
        Covariates of the recording, such as "running_speed", that are regressed out of the responses by training trials before
        anything is decoded (`dina.data.covariates.regress_out`); by default none.
    image_features
        A .npy file of features of the images, see `dina.study.decoders.read_image_features`; for objectives that
        need more than pairs. Its content identifies a run, its place does not.
    """

    __repr__ = __str__ = brief

    seed: int = Field(0, ge=0)
    preset: str = "default"
    decoders: tuple[DecoderName, ...] = Field(DEFAULT_DECODERS, min_length=1)
    split: SplitSettings = SplitSettings()
    folds: int = Field(1, ge=1)
    fold: int | None = Field(None, ge=1)
    evaluation: EvaluationSettings = EvaluationSettings()
    response_transform: TransformName = "chosen"
    regress_out: tuple[str, ...] = ()
    image_features: Path | None = None
    dina: dict[str, Any] = Field(default_factory=dict)

    @property
    def n_studied_folds(self) -> int:
        """How many times all decoders are fitted."""
        return self.folds if self.fold is None else 1


class TogetherSettings(BaseModel, metaclass=_PlainlyRefused, frozen=True, extra="forbid", allow_inf_nan=False):
    """Everything that decides the numbers of a study of several recordings, apart from recordings, versions, threads and device.

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
    response_transform
        As in `StudySettings`; every recording has its own.
    evaluation
        How many resamples stand behind intervals.
    dina
        Settings of the preset; those that are not named keep its values.
    """

    __repr__ = __str__ = brief

    seed: int = Field(0, ge=0)
    n_folds: int = Field(1, ge=1)
    n_seeds: int = Field(1, ge=1)
    preset: str = "default"
    sizes: tuple[Annotated[int, Field(ge=20)], ...] = (50, 100, 200, 400)
    fewest_updates: int = Field(500, ge=0)
    split: SplitSettings = SplitSettings()
    response_transform: TransformName = "chosen"
    evaluation: EvaluationSettings = EvaluationSettings()
    dina: dict[str, Any] = Field(default_factory=dict)


Settings = TypeVar("Settings", StudySettings, TogetherSettings)


def read_settings(
    path: Path | str | None = None, overrides: Sequence[str] = (), preset: AnyPreset | None = None
) -> StudySettings:
    """Read the settings of a study of one recording from a TOML file, if any, and set single values in them.

    Parameters
    ----------
    path
        A file such as the ``study.toml`` of a run; None for the defaults.
    overrides
        Words such as ``split.test_fraction=0.2``; they win over the file.
    preset
        The preset as an object, if it is one of your own; None for the one that the file names.

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
    dina.checks.DataError: Unknown setting 'split.test_fracton'. Did you mean 'test_fraction'? Choose from: in_blocks, near_identical, test_fraction, validation_fraction.
    """
    return _read(StudySettings, path, overrides, preset)


def settings_from_text(text: str) -> StudySettings:
    """Return the settings of a study from the text of its ``study.toml``, as `settings_to_toml` writes it.

    Raises
    ------
    DataError
        If the text is no TOML, a key is unknown, or a value does not fit.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"study.toml must be a TOML file: {error}. Use another copy of the run.") from error
    settings = check_settings(StudySettings, content)
    # what a preset of a user's own prescribes is written out already, and cannot be checked without it
    return resolve(settings) if settings.preset in PRESETS else settings


def read_together_settings(path: Path | None = None, overrides: Sequence[str] = ()) -> TogetherSettings:
    """Read the settings of a study of several recordings, as `read_settings` reads those of one.

    Examples
    --------
    >>> read_together_settings(overrides=["preset=scratch", "n_folds=2"]).dina["map_channels"]
    8
    """
    return _read(TogetherSettings, path, overrides)


def _read(kind: type[Settings], path: Path | str | None, overrides: Sequence[str], preset: AnyPreset | None = None) -> Settings:
    content = {} if path is None else read_toml(Path(path))
    return resolve(check_settings(kind, apply_overrides(content, overrides)), preset)


def resolve(settings: Settings, preset: AnyPreset | None = None) -> Settings:
    """Return the settings with everything written out that the preset prescribes; ``preset`` takes the place of the one named.

    Raises
    ------
    DataError
        If the preset or one of its settings is unknown, or a value does not fit.
    """
    chosen = settings.preset if preset is None else preset
    if isinstance(settings, TogetherSettings):
        check_choice("preset for several recordings", name_of(chosen), SHARED_PRESETS)
    elif settings.fold is not None and not settings.fold <= settings.folds > 1:
        raise DataError(f"fold must be one of at least two folds; got fold {settings.fold} of {settings.folds}. Set folds, too.")
    _check_split(settings.split, settings.folds if isinstance(settings, StudySettings) else 1)
    prescribed = dina_settings(chosen, settings.dina).model_dump(mode="json")
    return settings.model_copy(update={"preset": name_of(chosen), "dina": prescribed})


def _check_split(split: SplitSettings, n_folds: int) -> None:
    """Refuse settings of a split that do not go together; what depends on the recording is found by the split itself."""
    if n_folds > 1 and split.in_blocks:
        raise DataError("Folds are drawn image by image; got split.in_blocks = true with folds. Leave one of them out.")
    if n_folds == 1 and split.validation_fraction + split.test_fraction >= 1:
        raise DataError(
            "split.validation_fraction and split.test_fraction must be together below 1;"
            f" got {split.validation_fraction} and {split.test_fraction}. Leave images to learn from."
        )


def dina_settings(preset: AnyPreset, changes: Mapping[str, Any]) -> PresetSettings:
    """Return the settings of a preset with some changed; settings that are not named are those of the preset.

    Raises
    ------
    DataError
        If the preset or a key is unknown, or a value does not fit.
    """
    return changed_settings(preset, without_none(changes))


def settings_to_toml(settings: StudySettings | TogetherSettings) -> str:
    """Return the settings as TOML, every default written out; `read_settings` reads it back."""
    return to_toml(settings.model_dump(mode="json"))
