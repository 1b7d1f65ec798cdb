"""A .toml file that describes a recording in any format: where it lies, facts that the file lacks, and options of the format."""

import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, create_model

from dina.checks import DataError, check_settings
from dina.recordings.home_folder import expand_home

DESCRIPTION = "recording.toml"


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str
    data: str | None = None  # file or folder, relative to the folder of the description; by default that folder
    name: str | None = None
    condition: str | None = None
    image_set: str | None = None
    animal: str | None = None
    species: str | None = None
    area: str | None = None
    indicator: str | None = None
    response_units: str | None = None
    n_presentations: int | None = Field(default=None, ge=1)  # averaged by each trial
    deg_per_pixel: float | None = Field(default=None, gt=0)
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """What a ``.toml`` says of a recording in another format than a folder of arrays.

    Parameters
    ----------
    file
        The description itself.
    format
        A name in `dina.recordings.FORMATS`.
    data
        Where the recording lies.
    facts
        Fields of the recording that take the place of what is read.
    options
        What the format lets be chosen, as written.
    """

    file: Path
    format: str
    data: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def find_description(path: Path) -> Description | None:
    """Return what a ``.toml``, or the recording.toml of a folder, says of a recording; None if it describes a folder of arrays.

    Raises
    ------
    DataError
        If it names a format and has an unknown key, a wrong value, or data that are not there.
    """
    file = path if path.suffix == ".toml" else path / DESCRIPTION
    if not file.is_file():
        return None
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError, OSError):
        return None  # the reader of arrays says what is wrong
    if content.get("format", "arrays") == "arrays":
        return None
    keys = check_settings(_Keys, content, of=file.name)
    data = file.parent / expand_home(keys.data or ".")
    if not data.exists():
        raise DataError(f"{file.name}: data must be a file or folder, as seen from the file; {data} is none. Correct that line.")
    facts = keys.model_dump(exclude={"format", "data", "options"}, exclude_none=True)
    return Description(file, keys.format, data, facts, keys.options)


def check_options(read: Callable[..., Any], options: Mapping[str, Any], of: Path) -> dict[str, Any]:
    """Return the options of a format as the arguments of its ``read``; files are relative to the folder of ``of``.

    Raises
    ------
    DataError
        If there is no such option, or its value is of another kind; the message names it.
    """
    checked = check_settings(_options_of(read), options, "options", of.name)
    files = options_for_files(read)
    values = {name: getattr(checked, name) for name in options}
    return {name: of.parent / expand_home(value) if name in files and value else value for name, value in values.items()}


@lru_cache
def _options_of(read: Callable[..., Any]) -> type[BaseModel]:
    _, *parameters = inspect.signature(read).parameters.values()
    kinds: dict[str, Any] = {each.name: (each.annotation, each.default) for each in parameters}
    return create_model("Options", __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **kinds)


@lru_cache
def options_for_files(read: Callable[..., Any]) -> frozenset[str]:
    """Return the names of those options of a format that are files or folders."""
    _, *parameters = inspect.signature(read).parameters.values()
    return frozenset(each.name for each in parameters if Path in (each.annotation, *get_args(each.annotation)))
