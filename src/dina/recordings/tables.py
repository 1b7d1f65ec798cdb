"""Read the two small tables that may come with arrays: neurons.csv and labels.csv."""

import csv
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from dina.checks import DataError

MAX_BYTES = 2**26
_POSITION = ("x_um", "y_um", "z_um")
_TRUE, _FALSE = ("1", "true", "yes", "1.0"), ("0", "false", "no", "0.0", "")


def read_neurons(path: Path, n_neurons: int) -> tuple[Float32[np.ndarray, "neuron 3"] | None, Bool[np.ndarray, "neuron"] | None]:
    """Read positions (x_um, y_um, z_um, in micrometres, empty where unknown) and is_red from a table of neurons.

    Returns
    -------
    position, is_red
        Each None where the table has no such column. Other columns are passed over.

    Raises
    ------
    DataError
        If the table has another number of rows, none of these columns, or an entry that is no number.
    """
    rows = _read_rows(path)
    if len(rows) != n_neurons:
        raise DataError(
            f"{path.name} must have one row per neuron, {n_neurons}; it has {len(rows)}. Write them in the order of responses."
        )
    columns = [name for name in (*_POSITION, "is_red") if name in rows[0]]
    if not columns:
        raise DataError(f"{path.name} must have columns x_um, y_um, z_um or is_red; it has {', '.join(rows[0])}. Rename them.")
    position = None
    if set(columns) & set(_POSITION):
        position = np.full((n_neurons, 3), np.nan, dtype=np.float32)
        for axis, name in enumerate(_POSITION):
            if name in columns:
                position[:, axis] = [_number(row[name], name, i, path) for i, row in enumerate(rows)]
    red = np.array([_flag(row["is_red"], i, path) for i, row in enumerate(rows)]) if "is_red" in columns else None
    return position, red


def read_labels_table(path: Path, n_stimuli: int) -> Shaped[np.ndarray, "stimulus"]:
    """Read the category of each image from the column ``label``, empty where unknown.

    With a column ``stimulus_id`` (0-based) rows may come in any order and images may be left out; without it
    there is one row per image, in their order.

    Raises
    ------
    DataError
        If the column is missing, the number of rows does not fit, or an id is out of range or comes twice.
    """
    rows = _read_rows(path)
    if "label" not in rows[0]:
        raise DataError(f"{path.name} must have a column label; it has {', '.join(rows[0])}. Name the column in the first line.")
    if "stimulus_id" not in rows[0]:
        if len(rows) != n_stimuli:
            raise DataError(
                f"{path.name} must have one row per image, {n_stimuli}; it has {len(rows)}. Add a column stimulus_id if some have none."
            )
        return np.array([row["label"] for row in rows])
    labels = [""] * n_stimuli
    seen: set[int] = set()
    for i, row in enumerate(rows):
        number = _number(row["stimulus_id"], "stimulus_id", i, path)
        if not (number.is_integer() and 0 <= number < n_stimuli) or int(number) in seen:
            raise DataError(
                f"{path.name}: stimulus_id must be 0 to {n_stimuli - 1}, each once; got {row['stimulus_id']!r} in row {i + 1}. Correct it."
            )
        seen.add(int(number))
        labels[int(number)] = row["label"]
    return np.array(labels)


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise DataError(f"{path} not found. Check the name in recording.toml.")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path.name} is larger than {MAX_BYTES // 2**20} MiB, which is no such table. Check the file.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:  # -sig: spreadsheets put a byte-order mark first
            rows = [
                {str(key).strip(): str(value or "").strip() for key, value in row.items()}
                for row in csv.DictReader(stream, strict=True)
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read as a table: {error}. Save it as CSV, comma separated, in UTF-8.") from error
    if not rows:
        raise DataError(f"{path.name} holds no rows. The first line names the columns; one line for each entry follows.")
    return rows


def _number(text: str, column: str, row: int, path: Path) -> float:
    if not text:
        return float("nan")
    try:
        return float(text)
    except ValueError as error:
        raise DataError(
            f"{path.name}: {column} must be a number; got {text!r} in row {row + 1}. Leave it empty if unknown."
        ) from error


def _flag(text: str, row: int, path: Path) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise DataError(f"{path.name}: is_red must be 1 or 0; got {text!r} in row {row + 1}. Correct it.")
    return text.lower() in _TRUE
