"""Short representations of objects that hold arrays, tables or many settings: one line that fits a notebook."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

LONGEST, LONGEST_VALUE = 300, 48  # letters of the whole line, and of one value


def brief(self: Any) -> str:
    """Return the class of a dataclass or of settings, and the fields that differ from their defaults; arrays by type and shape.

    It is meant to be used as a method: ``__repr__ = brief``. At most 300 letters.
    """
    shown = [f"{name}={_words(value)}" for name, value, default in _fields(self) if not _is_same(value, default)]
    return one_bracket(type(self).__name__, ", ".join(shown))


def one_bracket(name: str, content: str) -> str:
    """Return ``name(content)``, the content cut where the line would have more than 300 letters."""
    line = f"{name}({content})"
    return line if len(line) <= LONGEST else line[: LONGEST - 2] + "…)"


def _fields(of: Any) -> list[tuple[str, Any, Any]]:
    """List name, value and default of every field."""
    if isinstance(of, BaseModel):
        known = type(of).model_fields.items()
        return [(name, getattr(of, name), field.get_default(call_default_factory=True)) for name, field in known]
    if is_dataclass(of):
        return [(each.name, getattr(of, each.name, None), each.default) for each in fields(of) if each.repr]
    return [(name, value, MISSING) for name, value in vars(of).items() if not name.startswith("_")]


def _is_same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and not hasattr(value, "shape") and bool(value == default))


def _words(value: Any) -> str:
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"{len(value)} entries"
    if isinstance(value, float):
        return f"{value:.4g}"
    is_plain = value is None or isinstance(value, str | int | list | tuple | frozenset | set)
    words = repr(value) if is_plain and (isinstance(value, str | int) or value is None or len(value) <= 12) else ""
    if is_plain and 0 < len(words) <= LONGEST_VALUE:
        return words
    if isinstance(value, str):
        return words[: LONGEST_VALUE - 2] + "…'"
    return f"{len(value)} entries" if is_plain and not isinstance(value, int) else f"{type(value).__name__}(…)"
