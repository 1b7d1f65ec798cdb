"""Checks of arguments, one function each, so that every caller gives the same error message."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

import numpy as np
from pydantic import BaseModel, ValidationError

_BELONGS = " It belongs under"
_HUGE = 2**53  # beyond it, not every whole number is a float

Model = TypeVar("Model", bound=BaseModel)


class DataError(ValueError):
    """Input that cannot be used as it is; the message says what must hold, what was found and what to do.

    The command line prints the message without a traceback and ends with exit code 2.
    """


def check_choice(name: str, value: str, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``.

    Raises
    ------
    DataError
        If it is not; the message proposes the nearest spelling and lists the choices.

    Examples
    --------
    >>> check_choice("preset", "defalt", ["default", "paper"])
    Traceback (most recent call last):
    ...
    dina.checks.DataError: Unknown preset 'defalt'. Did you mean 'default'? Choose from: default, paper.
    """
    options = sorted(choices)
    if value in options:
        return value
    raise DataError(f"Unknown {name} {value!r}.{_hint(value, options)} Choose from: {', '.join(options)}.")


def _hint(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def check_settings(model: type[Model], content: Mapping[str, Any], prefix: str = "", of: str = "") -> Model:
    """Make a settings object; each mistake becomes one sentence that names the key and the remedy.

    ``prefix`` is put before the keys, and ``of`` says in the message to which file or thing the settings belong.

    Raises
    ------
    DataError
        If a key is unknown (the message proposes the nearest) or a value does not fit.
    """
    _refuse_huge(content, [prefix] if prefix else [])
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise DataError(" ".join(_fault(model, fault, prefix, f" of {of}" if of else "") for fault in error.errors())) from error


def _refuse_huge(value: Any, places: Sequence[str]) -> None:
    """Refuse whole numbers that no later step could hold."""
    if isinstance(value, int) and abs(value) >= _HUGE:
        raise DataError(f"The setting {'.'.join(places)} must be below {_HUGE}; got {str(value)[:12]}…. Choose a smaller one.")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_huge(inner, [*places, str(key)])
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_huge(inner, places)


def _fault(model: type[BaseModel], fault: Any, prefix: str, of: str) -> str:
    places = [str(place) for place in fault["loc"]]
    named = [str(place) for place in fault["loc"] if not isinstance(place, int)]
    named = [prefix, *named] if prefix else named
    is_written = of.endswith(".toml") and bool(named)  # then a key is told as it stands there, under its table
    name = (named[-1] if is_written else ".".join(named)) or "the settings"
    table = f" under [{'.'.join(named[:-1])}]" if is_written and len(named) > 1 else ""
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, places[:-1])
        hint = _tables_of(model, places, is_written=is_written) or _hint(places[-1], known)
        listed = "" if hint.startswith(_BELONGS) else f" Choose from: {', '.join(known) or 'nothing'}."
        return f"Unknown setting {name!r}{table}{of}.{hint}{listed}"
    says = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    says = says.removeprefix("Tuple ").replace(" after validation", "")
    says = re.sub(
        r"a valid dictionary or instance of \w+", f"a table, with [{name}] on a line of its own and its keys below it", says
    )
    says = says.replace("a valid tuple", 'a list in square brackets, such as ["a", "b"]')
    is_choice = fault["type"] == "literal_error" or says.startswith("should be one of ")
    choices = re.findall(r"[\w-]+", says.removeprefix("should be")) if is_choice else []
    near = get_close_matches(str(fault["input"]), choices, n=1)
    entry = next((f"Entry {place + 1} of the" for place in fault["loc"] if isinstance(place, int)), "The")
    return f"{entry} setting {name}{table}{of} {says}; got {fault['input']!r}." + (
        f" Perhaps {near[0]!r} was meant." if near else ""
    )


def _tables_of(model: type[BaseModel], places: Sequence[str], *, is_written: bool) -> str:
    """Say in which tables a setting is known that was written beside them."""
    *above, key = places
    tables = [table for table in _keys_at(model, above) if key in _keys_at(model, [*above, table])]
    if is_written and tables:
        headings = ["[" + ".".join([*above, table]) + "]" for table in tables]
        return f"{_BELONGS} {' or '.join(headings)}."
    said = [f"{'.'.join([*above, table, key])} (in a .toml: under [{'.'.join([*above, table])}])" for table in tables]
    return f" Did you mean {' or '.join(said)}?" if said else ""


def _keys_at(model: type[BaseModel], places: Sequence[str]) -> list[str]:
    """Return the names of the settings in the table that ``places`` lead to."""
    for place in places:
        field = model.model_fields.get(place)
        candidates = () if field is None else (field.annotation, *get_args(field.annotation))
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return sorted(model.model_fields)


def check_numeric(name: str, array: np.ndarray) -> np.ndarray:
    """Return ``array`` if it holds real numbers.

    Raises
    ------
    DataError
        If its dtype is boolean, complex, text or object.
    """
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name} must hold real numbers; got dtype {array.dtype}. Convert it, for example to float32.")
    return array


def check_finite(name: str, array: np.ndarray, axes: tuple[str, ...], advice: str) -> np.ndarray:
    """Return ``array`` if every value is finite.

    The message calls the array ``name`` and its axes ``axes`` ("trial", "neuron"), and ends with ``advice`` on what to do.

    Raises
    ------
    DataError
        If any value is NaN or infinite; counts both and names the first position.
    """
    if array.dtype.kind != "f":
        return array
    bad = ~np.isfinite(array)
    if not bad.any():
        return array
    n_nan = int(np.isnan(array).sum())
    kinds = [f"{count} {kind}" for count, kind in ((n_nan, "NaN"), (int(bad.sum()) - n_nan, "infinite")) if count]
    first = np.unravel_index(int(np.argmax(bad)), array.shape)
    where = ", ".join(f"{axis} {int(i)}" for axis, i in zip(axes, first, strict=True))
    n_last = int(bad.reshape(-1, array.shape[-1]).any(axis=0).sum())
    raise DataError(
        f"{name} must be finite; got {' and '.join(kinds)} values in {n_last} of {array.shape[-1]} {axes[-1]}s"
        f" (first: {where}). {advice}"
    )


def check_count(name: str, value: object, low: int, high: int | None = None, what: str = "") -> int:
    """Return ``value`` if it is an integer in [low, high].

    Raises
    ------
    DataError
        If it is not an integer or lies outside; ``what`` explains the upper bound ("the gallery size").
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low or (high is not None and value > high):
        bound = f"at least {low}" if high is None else f"between {low} and {what + ' ' if what else ''}{high}"
        raise DataError(f"{name} must be an integer {bound}; got {value!r}.")
    return int(value)
