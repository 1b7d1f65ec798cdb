"""Settings from a TOML file and from key=value words, checked against a model, and written back resolved."""

import copy
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from dina import checks
from dina.checks import DataError

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    DataError
        If the file is not there or is not TOML; the message names line and column.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))  # -sig: a byte-order mark may come first
    except OSError as error:
        raise DataError(f"The settings file {path} cannot be read: {error.strerror}. Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} must be a TOML file in UTF-8: {error}. Correct it there.") from error


def apply_overrides(content: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return ``content`` with words such as ``split.test_fraction=0.2`` set in it; later words win.

    A value is read as TOML (``0.2``, ``true``, ``[1, 2]``); what is not TOML is taken as text.

    Raises
    ------
    DataError
        If a word is not ``key=value``, or its key leads through something that is not a table.

    Examples
    --------
    >>> apply_overrides({"seed": 0}, ["split.test_fraction=0.2", "preset=paper"])
    {'seed': 0, 'split': {'test_fraction': 0.2}, 'preset': 'paper'}
    """
    result: dict[str, Any] = copy.deepcopy(dict(content))
    for word in overrides:
        key, equals, text = word.partition("=")
        names = [name.strip() for name in key.split(".")]
        if not equals or not all(names):
            raise DataError(f"A setting must be written key=value, for example split.test_fraction=0.2; got {word!r}.")
        table = result
        for name in names[:-1]:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise DataError(f"The setting {word!r} goes through {name!r}, which is a value and has no keys.")
        table[names[-1]] = _value_of(text.strip())
    return result


def _value_of(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"A value must be a number, words or a short list; {text[:20]!r}… is none ({error}). Shorten it."
        ) from error


def check_settings(model: type[Model], content: Mapping[str, Any], prefix: str = "") -> Model:
    """Make a settings object, as `dina.checks.check_settings` does, from values in which the word "none" stands for None.

    Raises
    ------
    DataError
        If a key is unknown (the message proposes the nearest) or a value does not fit.
    """
    return checks.check_settings(model, without_none(content), prefix)


def without_none(value: Any) -> Any:
    """Turn the word "none" into None: TOML has no sign for "not at all"."""
    if isinstance(value, Mapping):
        return {key: without_none(item) for key, item in value.items()}
    return None if value == "none" else value


def to_toml(content: Mapping[str, Any], table: str = "") -> str:
    """Return nested dictionaries of numbers, text, truth values and lists as TOML; None becomes "none".

    Examples
    --------
    >>> print(to_toml({"seed": 0, "split": {"test_fraction": 0.1}}), end="")
    seed = 0
    <BLANKLINE>
    [split]
    test_fraction = 0.1
    """
    plain = {key: value for key, value in content.items() if not isinstance(value, Mapping)}
    lines = [f"{key} = {_toml_value(value)}" for key, value in plain.items()]
    text = "\n".join(lines) + "\n" if lines else ""
    for key, value in content.items():
        if isinstance(value, Mapping):
            name = f"{table}.{key}" if table else key
            inner = to_toml(value, name)
            text += ("\n" if text else "") + (inner if inner.startswith(f"[{name}.") else f"[{name}]\n{inner}")
    return text


def _toml_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if value is None:
        return '"none"'
    if isinstance(value, float) and value != value:
        return "nan"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return json.dumps(value, ensure_ascii=False)
