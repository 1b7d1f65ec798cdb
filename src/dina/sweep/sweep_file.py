"""What a sweep file says, and the studies that follow from it, each checked before any of them starts."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator

from dina import checks
from dina.checks import DataError
from dina.short_words import brief
from dina.study.settings import StudySettings, resolve
from dina.study.settings_file import check_settings, read_toml
from dina.study.unfinished_run import safe_name

# Keys that [study] and [settings.NAME] may not hold, since the sweep has a list of them.
_LISTED = {"seed": "seeds = [0, 1]", "preset": 'presets = ["default", "scratch"]'}


class SweepSettings(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """What a sweep file holds: every recording is studied with every seed, preset and named group of settings.

    Parameters
    ----------
    recordings
        Recordings as `dina study` takes them, each with the name that it has in the sweep; of a list, names are made.
    seeds
        Seeds of the studies.
    presets
        Names of presets.
    study
        Settings of every study, as in ``study.toml``.
    settings
        Groups of further settings by name, each of which is one more way to do every study; none for one way.
    """

    __repr__ = __str__ = brief

    recordings: dict[str, str] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    presets: tuple[str, ...] = Field(("default",), min_length=1)
    study: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("recordings", mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Name the recordings of a list by the last part of their path."""
        if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
            return given
        names = [safe_name(Path(word).stem) for word in given]
        if twice := _twice(names):
            raise ValueError(
                f'should have names of their own where paths end alike ({twice}), as in [recordings] a = "first/{twice}.nc"'
            )
        return dict(zip(names, given, strict=True))


@dataclass(frozen=True)
class Job:
    """One study of a sweep; ``way`` names preset and group of settings, ``word`` is the recording for `dina study`."""

    name: str
    recording: str
    word: str
    way: str
    settings: StudySettings


def read_sweep(path: Path, settle: Callable[[str], str]) -> tuple[Job, ...]:
    r"""Read a sweep file and return its studies: those of one recording and seed stand together, the first way first.

    Parameters
    ----------
    path
        A TOML file with the keys of `SweepSettings`.
    settle
        Turns the word for a recording into one that means the same in every folder.

    Raises
    ------
    DataError
        If the file cannot be read, a key is unknown, settings do not fit, two studies would have one name, or two would be the
        same study.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (place := Path(folder, "sweep.toml")).write_text('recordings = ["demo"]\nseeds = [0, 1]')
    ...     print([job.name for job in read_sweep(place, str)])
    ['demo-default-seed0', 'demo-default-seed1']
    """
    sweep = checks.check_settings(SweepSettings, read_toml(path), of=str(path))
    for where, table in [("study", sweep.study), *((f"settings.{name}", one) for name, one in sweep.settings.items())]:
        for key, remedy in _LISTED.items():
            if key in table:
                raise DataError(f"[{where}] of {path} must not set {key}: a sweep has several. Write {remedy} at the top.")
    jobs = [
        _job(recording, settle(word), seed, preset, group, sweep)
        for recording, word in sweep.recordings.items()
        for seed in sweep.seeds
        for preset in sweep.presets
        for group in sweep.settings or [""]
    ]
    if twice := _twice([job.name.casefold() for job in jobs]):
        raise DataError(f"Two studies of {path} would have one name, {twice}. Name each recording, seed, preset and group once.")
    _refuse_same(jobs, path)
    return tuple(jobs)


def _job(recording: str, word: str, seed: int, preset: str, group: str, sweep: SweepSettings) -> Job:
    """Return one study, its settings checked and written out."""
    name = safe_name(f"{safe_name(recording)}-{preset}-seed{seed}" + (f"-{group}" if group else ""))
    content = _merged(sweep.study, sweep.settings.get(group, {})) | {"seed": seed, "preset": preset}
    try:
        settings = resolve(check_settings(StudySettings, content))
    except DataError as error:
        raise DataError(f"The study {name} cannot be: {error}") from error
    if settings.image_features is not None:  # workers may run in another folder
        settings = settings.model_copy(update={"image_features": settings.image_features.absolute()})
    return Job(name, recording, word, f"{preset}, {group}" if group else preset, settings)


def _merged(some: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings, those of ``others`` in the stead of ``some``."""
    merged = dict(some)
    for key, value in others.items():
        known = merged.get(key)
        merged[key] = _merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged


def _twice(names: list[str]) -> str:
    """Return the first name that is there more than once; "" if there is none."""
    return next((name for name, n in Counter(names).items() if n > 1), "")


def _refuse_same(jobs: list[Job], path: Path) -> None:
    known: dict[str, str] = {}
    for job in jobs:
        content = json.dumps([job.word, job.settings.model_dump(mode="json")], sort_keys=True)
        if content in known:
            raise DataError(f"{known[content]} and {job.name} of {path} would be the same study. Leave one of them out.")
        known[content] = job.name
