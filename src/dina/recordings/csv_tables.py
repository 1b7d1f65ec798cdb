"""Read tables beside a recording, neurons.csv and labels.csv: nothing in them is left out or taken as unknown in silence."""

import csv
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped

from dina.checks import DataError

MAX_BYTES = 2**26
_POSITION = ("x_um", "y_um", "z_um")
_TRUE, _FALSE = ("1", "true", "yes", "1.0"), ("0", "false", "no", "0.0")
_UNKNOWN = ("na", "n/a", "#n/a", "<na>", "nan", "null", "none", "unknown", "?", "-", "--")


def read_neurons(
    path: Path, n_neurons: int, notes: list[str], row_is: str = "neuron", order_of: str = "responses"
) -> tuple[Float32[np.ndarray, "neuron 3"] | None, Bool[np.ndarray, "neuron"] | None]:
    """Read positions (x_um, y_um, z_um, empty where unknown) and is_red of neurons; None where there is no such column.

    ``notes`` receives a sentence for all that was passed over or taken as unknown. ``row_is`` and ``order_of``
    say in messages what has a row, and in which order.

    Raises
    ------
    DataError
        If the table has other rows than neurons, or a cell cannot be read.
    """
    rows = _read_rows(path, (*_POSITION, "is_red"), notes)
    columns = [name for name in (*_POSITION, "is_red") if name in rows[0]]
    if not columns:
        raise DataError(f"{path.name} must have columns x_um, y_um, z_um or is_red; it has {', '.join(rows[0])}. Rename them.")
    rows = _of_length(rows, n_neurons, path, row_is, f"Write them in the order of {order_of}.")
    position = red = None
    if columns != ["is_red"]:
        _note_unknown([row[name] for row in rows for name in columns if name != "is_red"], "positions", path, notes)
        values = [[_read_number(row.get(name, ""), name, i, path) for name in _POSITION] for i, row in enumerate(rows)]
        position = np.array(values, dtype=np.float32)
    if "is_red" in columns:
        unknown = sum(_is_unknown(row["is_red"]) for row in rows)
        if unknown:
            notes.append(f"{path.name} does not say of {unknown} neurons whether they are red; they were taken as not red.")
        red = np.array([_flag(row["is_red"], i, path) for i, row in enumerate(rows)])
    return position, red


def read_labels(path: Path, n_stimuli: int, notes: list[str], index_base: int = 0) -> Shaped[np.ndarray, "stimulus"]:
    """Read the category of each image from the column ``label``, empty where unknown.

    With a column ``stimulus_id``, which counts from ``index_base`` as that of the trials does, rows may come in any order and
    images may be left out; without it there is one row per image, in their order. ``notes`` is as in `read_neurons`.

    Raises
    ------
    DataError
        If there is no column ``label``, or rows and images do not fit together.
    """
    rows = _read_rows(path, ("label", "stimulus_id"), notes)
    if "label" not in rows[0]:
        raise DataError(f"{path.name} must have a column label; it has {', '.join(rows[0])}. Name the column in the first line.")
    if "stimulus_id" not in rows[0]:
        rows = _of_length(rows, n_stimuli, path, "image", "Add a column stimulus_id if some have none.")
        words = [row["label"] for row in rows]
    else:
        labels = _by_stimulus(rows, n_stimuli, path, index_base)
        if labels and 0 not in labels and index_base == 0:
            notes.append(f"{path.name} leaves image 0 out: if its ids count from 1, say index_base = 1 under [stimulus_id].")
        words = [labels.get(stimulus, "") for stimulus in range(n_stimuli)]
    _note_unknown(words, "labels", path, notes)
    words = ["" if _is_unknown(word) else word for word in words]
    if not all(words):
        notes.append(f"{sum(not word for word in words)} of {n_stimuli} images have no label.")
    return np.array(words)


def read_columns(
    path: Path, known: tuple[str, ...], notes: list[str], needed: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """Read the columns of a table that have known names, as they are written; ``notes`` is as in `read_neurons`.

    Of each group of names in ``needed`` one must be there; its key says so in words, for the message.

    Raises
    ------
    DataError
        If there is no such table, it is no CSV, a column is missing or has nearly a known name.
    """
    rows = _read_rows(path, known, notes)
    if not all(any(name in rows[0] for name in names) for names in needed.values()):
        raise DataError(
            f"{path.name} must have {' and '.join(needed)}; it has {', '.join(rows[0])}. Rename a column, or add one."
        )
    return {name: [row[name] for row in rows] for name in known if name in rows[0]}


def read_numbers(texts: list[str], column: str, path: Path, notes: list[str]) -> Float[np.ndarray, "row"]:
    """Return the numbers in the cells of a column; NaN where one is empty or a word for unknown, which ``notes`` receives.

    Raises
    ------
    DataError
        If a cell is another word; the message counts rows from 1.
    """
    _note_unknown(texts, f"cells of {column}", path, notes)
    return np.array([_read_number(text, column, row, path) for row, text in enumerate(texts)])


def _read_number(text: str, column: str, row: int, path: Path) -> float:
    if _is_unknown(text):
        return float("nan")
    try:
        return float(text)
    except ValueError as error:
        found = f"a number; got {text!r} in row {row + 1}"
        raise DataError(f"{path.name}: {column} must be {found}. Leave it empty if unknown.") from error


def is_number(text: str) -> bool:
    """Tell whether a word is a number; an empty one is not."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _by_stimulus(rows: list[dict[str, str]], n_stimuli: int, path: Path, index_base: int) -> dict[int, str]:
    labels: dict[int, str] = {}
    for i, row in enumerate(rows):
        number = _read_number(row["stimulus_id"], "stimulus_id", i, path) - index_base
        if not (number.is_integer() and 0 <= number < n_stimuli) or int(number) in labels:
            counted = ", counted from 1 as index_base = 1 says" if index_base else ""
            found = f"{index_base} to {n_stimuli - 1 + index_base}, each once{counted}; got {row['stimulus_id']!r} in row {i + 1}"
            raise DataError(f"{path.name}: stimulus_id must be {found}. Correct it.")
        labels[int(number)] = row["label"]
    return labels


def _read_rows(path: Path, known: tuple[str, ...], notes: list[str]) -> list[dict[str, str]]:
    """Return the rows by the names of their columns; empty lines count only where there is one column."""
    if not path.is_file():
        raise DataError(f"{path} not found. Check the name in recording.toml.")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path.name} is larger than {MAX_BYTES // 2**20} MiB, which is no such table. Check the file.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:  # -sig: spreadsheets put a byte-order mark first
            lines = [[cell.strip() for cell in line] for line in csv.reader(stream, strict=True)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read as a table: {error}. Save it as CSV, comma separated, in UTF-8.") from error
    heading, *body = lines or [[]]
    _check_heading(heading, known, path)
    if len(heading) == 1:
        body = [line or [""] for line in body]
    rows = [line for line in body if line]
    if not rows:
        raise DataError(f"{path.name} holds no rows. The first line names the columns; one line for each entry follows.")
    for number, line in enumerate(rows, 1):
        if len(line) != len(heading):
            raise DataError(
                f"{path.name}: every row must have {len(heading)} fields, as the first line has; row {number} has {len(line)}"
                f" ({', '.join(line)[:60]}). Write decimal points, and put words with commas between double quotes."
            )
    unused = [name for name in heading if name and name not in known]
    if unused and any(name in known for name in heading):
        notes.append(f"Columns of {path.name} that mean nothing here were passed over: {', '.join(unused)[:200]}.")
    return [{name: cell for name, cell in zip(heading, line, strict=True) if name} for line in rows]


def _check_heading(heading: list[str], known: tuple[str, ...], path: Path) -> None:
    twice = [name for number, name in enumerate(heading) if name and name in heading[:number]]
    if twice:
        raise DataError(f"{path.name}: every column must have a name of its own; {twice[0]} is there twice. Remove one.")
    if len(heading) == 1 and any(mark in heading[0] for mark in ";\t"):
        mark = "semicolons" if ";" in heading[0] else "tabs"
        raise DataError(f"{path.name} must be separated by commas; its first line has {mark}. Save it as CSV, comma separated.")
    for name in heading:
        plain = name.lower().replace(" ", "_").replace("-", "_")
        near = [] if name in known else get_close_matches(plain, [word for word in known if word not in heading], 1, 0.8)
        if near and plain.endswith("_ms") and near[0].endswith("_s"):
            raise DataError(
                f"{path.name}: {near[0]!r} must be in seconds; got a column {name!r}. Divide it by 1000 and rename it."
            )
        if near:
            raise DataError(f"{path.name}: unknown column {name!r}. Did you mean {near[0]!r}? Rename it, or remove it.")


def _of_length(rows: list[dict[str, str]], n: int, path: Path, each: str, advice: str) -> list[dict[str, str]]:
    """Return the rows without empty lines at the end that no neuron or image needs."""
    while len(rows) > n and not any(rows[-1].values()):
        rows = rows[:-1]
    if len(rows) != n:
        raise DataError(f"{path.name} must have one row per {each}, {n}; it has {len(rows)}. {advice}")
    return rows


def _is_unknown(text: str) -> bool:
    return not text or text.lower() in _UNKNOWN


def _note_unknown(cells: list[str], what: str, path: Path, notes: list[str]) -> None:
    words = [cell for cell in cells if cell and _is_unknown(cell)]
    if words:
        notes.append(f"{len(words)} {what} of {path.name} were taken as unknown: they say {', '.join(sorted(set(words)))}.")


def _flag(text: str, row: int, path: Path) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE) and not _is_unknown(text):
        raise DataError(f"{path.name}: is_red must be 1 or 0; got {text!r} in row {row + 1}. Correct it.")
    return text.lower() in _TRUE
