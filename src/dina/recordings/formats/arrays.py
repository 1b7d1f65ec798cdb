"""A laboratory's own arrays: a folder of .npy files and pictures, described by a recording.toml where needed."""

import csv
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from dina.checks import DataError
from dina.recordings.layout import RecordingLayout, SpontaneousTable, read_image_files, read_layout, read_trials
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import read_npy, to_float32

LAYOUT_NAME = "recording.toml"
MAX_BYTES = 2**26
_POSITION = ("x_um", "y_um", "z_um")
_TRUE, _FALSE = ("1", "true", "yes", "1.0"), ("0", "false", "no", "0.0", "")


def recognises(path: Path) -> bool:
    """Tell whether the path is a ``.toml`` file, or a folder that holds a recording.toml or arrays of the usual names."""
    return path.suffix == ".toml" or any((path / name).is_file() for name in (LAYOUT_NAME, "responses.npy", "stimulus_id.npy"))


def read(path: Path, images: Path | None = None, labels: Path | None = None) -> Recording:
    """Read a folder of arrays, or the recording.toml that describes one.

    Without a recording.toml a folder holds ``images.npy`` (n_stimuli, height, width[, 3]; uint8) or pictures in ``images/`` or
    ``images.zip``, ``responses.npy`` (n_trials, n_neurons) and 0-based ``stimulus_id.npy`` (n_trials,); and, if there are any,
    ``spontaneous.npy`` (n_times, n_neurons), ``neurons.csv`` and ``labels.csv``.

    Parameters
    ----------
    path
        The folder, or a ``.toml`` file anywhere; its ``data`` key, relative to itself, says where the files lie.
    images, labels
        A file or folder that takes the place of the images of the recording; a table that takes the place of ``labels.csv``.

    Raises
    ------
    DataError
        If a file is missing or contradicts another; the message says which and what to write.
    """
    layout_file = path if path.is_file() else path / LAYOUT_NAME
    layout = read_layout(layout_file) if layout_file.is_file() else RecordingLayout()
    folder = layout_file.parent / Path(layout.data or ".").expanduser()
    if not folder.is_dir():
        raise DataError(f"{layout_file.name}: data must be a folder, as seen from the file; got {folder}. Correct that line.")
    pixels, mid_grey, contrast_scale = read_image_files(folder, layout.images, images)
    trials = read_trials(folder, layout.responses, layout.stimulus_id, len(pixels))
    keep, n_stored = trials.kept_neurons, len(trials.kept_neurons)
    neurons = _companion(folder, layout.neurons.file if layout.neurons else None, "neurons.csv")
    position, red = _read_neurons(neurons, n_stored) if neurons is not None else (None, None)
    labels_file = labels or _companion(folder, layout.labels.file if layout.labels else None, "labels.csv")
    spontaneous = _spontaneous(folder, layout.spontaneous, n_stored)
    return Recording(
        name=layout.name or folder.resolve().name,
        images=pixels,
        stimulus_id=trials.stimulus_id,
        responses=trials.responses,
        n_presentations=trials.n_presentations,
        condition=layout.condition,
        image_set=layout.image_set,
        animal=layout.animal,
        mid_grey=mid_grey,
        contrast_scale=contrast_scale,
        deg_per_pixel=layout.deg_per_pixel,
        neuron_position_um=None if position is None else position[keep],
        is_red=None if red is None else red[keep],
        spontaneous=None if spontaneous is None else spontaneous[:, keep],
        labels=None if labels_file is None else _read_labels(labels_file, len(pixels)),
        notes=trials.notes,
    )


def _companion(folder: Path, stated: str | None, usual: str) -> Path | None:
    """Return the file that was stated, which must be there, or the usual one if it is there."""
    if stated is not None:
        return folder / stated
    return folder / usual if (folder / usual).is_file() else None


def _spontaneous(folder: Path, table: SpontaneousTable | None, n_neurons: int) -> np.ndarray | None:
    if table is None:
        if not (folder / "spontaneous.npy").is_file():
            return None
        table = SpontaneousTable()
    stored = read_npy(folder / table.file)
    if stored.ndim != 2 or set(table.axes) != {"time", "neuron"}:
        wanted = f"(n_times, n_neurons), axes time and neuron; got shape {stored.shape}"
        raise DataError(f"{table.file} must be {wanted}. Correct [spontaneous] axes.")
    values = stored if table.axes == ("time", "neuron") else stored.T
    if values.shape[1] != n_neurons:
        raise DataError(
            f"{table.file} must be (n_times, {n_neurons}), with the neurons of responses; got shape {stored.shape}."
            ' If neurons come first, say so under [spontaneous], axes = ["neuron", "time"].'
        )
    return np.array(to_float32("spontaneous", values, ("time", "neuron")))


def _read_neurons(path: Path, n_neurons: int) -> tuple[Float32[np.ndarray, "neuron 3"] | None, Bool[np.ndarray, "neuron"] | None]:
    """Read positions (x_um, y_um, z_um, empty where unknown) and is_red of neurons; None where there is no such column."""
    rows = _read_rows(path)
    if len(rows) != n_neurons:
        found = f"one row per neuron, {n_neurons}; it has {len(rows)}"
        raise DataError(f"{path.name} must have {found}. Write them in the order of responses.")
    columns = [name for name in (*_POSITION, "is_red") if name in rows[0]]
    if not columns:
        raise DataError(f"{path.name} must have columns x_um, y_um, z_um or is_red; it has {', '.join(rows[0])}. Rename them.")
    position = None
    if columns != ["is_red"]:
        values = [[_number(row.get(name, ""), name, i, path) for name in _POSITION] for i, row in enumerate(rows)]
        position = np.array(values, dtype=np.float32)
    red = np.array([_flag(row["is_red"], i, path) for i, row in enumerate(rows)]) if "is_red" in columns else None
    return position, red


def _read_labels(path: Path, n_stimuli: int) -> Shaped[np.ndarray, "stimulus"]:
    """Read the category of each image from the column ``label``, empty where unknown.

    With a column ``stimulus_id`` (0-based) rows may come in any order and images may be left out; without it
    there is one row per image, in their order.
    """
    rows = _read_rows(path)
    if "label" not in rows[0]:
        raise DataError(f"{path.name} must have a column label; it has {', '.join(rows[0])}. Name the column in the first line.")
    if "stimulus_id" not in rows[0]:
        if len(rows) != n_stimuli:
            found = f"one row per image, {n_stimuli}; it has {len(rows)}"
            raise DataError(f"{path.name} must have {found}. Add a column stimulus_id if some have none.")
        return np.array([row["label"] for row in rows])
    labels: dict[int, str] = {}
    for i, row in enumerate(rows):
        number = _number(row["stimulus_id"], "stimulus_id", i, path)
        if not (number.is_integer() and 0 <= number < n_stimuli) or int(number) in labels:
            found = f"0 to {n_stimuli - 1}, each once; got {row['stimulus_id']!r} in row {i + 1}"
            raise DataError(f"{path.name}: stimulus_id must be {found}. Correct it.")
        labels[int(number)] = row["label"]
    return np.array([labels.get(stimulus, "") for stimulus in range(n_stimuli)])


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise DataError(f"{path} not found. Check the name in recording.toml.")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path.name} is larger than {MAX_BYTES // 2**20} MiB, which is no such table. Check the file.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:  # -sig: spreadsheets put a byte-order mark first
            table = csv.DictReader(stream, strict=True)
            rows = [{str(key).strip(): str(value or "").strip() for key, value in row.items()} for row in table]
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
        found = f"a number; got {text!r} in row {row + 1}"
        raise DataError(f"{path.name}: {column} must be {found}. Leave it empty if unknown.") from error


def _flag(text: str, row: int, path: Path) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise DataError(f"{path.name}: is_red must be 1 or 0; got {text!r} in row {row + 1}. Correct it.")
    return text.lower() in _TRUE
