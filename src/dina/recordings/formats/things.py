"""Folders in the manner of THINGS: pictures in one folder for each category, a table of trials, and an array or table of responses."""

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from dina.checks import DataError
from dina.progress import track
from dina.recordings.csv_tables import MAX_BYTES, is_number, read_columns
from dina.recordings.file_places import file_inside
from dina.recordings.large_images import MOST_PIXELS
from dina.recordings.onset_windows import drop_gaps
from dina.recordings.own_files import read_variable
from dina.recordings.pictures import FORMATS, MAX_FILE_BYTES, MAX_TOTAL_BYTES, SUFFIXES, Colour, decode_image_file
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import to_float32

TRIALS = "trials.csv"
USUAL_SIZE_PX = 128  # of pictures that differ in size, or are larger than towers can use
_MOST_PICTURES = 2**20
Axis = Literal["trial", "neuron"]


def recognises(path: Path) -> bool:
    """Tell whether the path is a folder with ``trials.csv``."""
    return (path / TRIALS).is_file()


def read(
    path: Path,
    responses: Path | None = None,
    variable: str | None = None,
    axes: tuple[Axis, Axis] = ("trial", "neuron"),
    trials: Path | None = None,
    images: Path | None = None,
    size_px: int | None = None,
    colour: Colour = "rgb",
) -> Recording:
    """Read ``images/<category>/<picture>.jpg``, ``trials.csv`` and ``responses.npy`` or ``responses.csv``.

    Parameters
    ----------
    path
        The folder.
    responses
        Another file of responses: .npy, .csv, .mat, .h5 or .npz.
    variable
        The name of the array in a .mat, .h5 or .npz.
    axes
        What its axes are, in their order.
    trials
        Another table of trials, one row for each: ``image`` (or ``stimulus``) is the picture, ``n_presentations`` how many
        presentations a row of responses averages.
    images
        Another folder of pictures; categories are the names of the folders in it.
    size_px
        Side to which pictures are brought, their middle square if they are none; by default 128 where they differ in size or have
        more pixels than towers can use, else as they are.
    colour
        "rgb" or "grey", to which pictures are converted, or "as_stored".

    Raises
    ------
    DataError
        If a file is missing, a picture is not there, or trials and responses differ in number.

    References
    ----------
    Hebart et al. (2023), eLife 12:e82580. https://doi.org/10.7554/eLife.82580
    """
    notes: list[str] = []
    table = trials or path / TRIALS
    needed = {"a column image, the picture of each trial": ("image", "stimulus")}
    columns = read_columns(table, ("image", "stimulus", "n_presentations"), notes, needed)
    words = columns["image"] if "image" in columns else columns["stimulus"]
    values = _read_responses(path, responses, variable, axes, len(words), notes)
    shown = np.array([bool(word) for word in words])
    if not shown.all():
        notes.append(f"{int((~shown).sum())} of {len(words)} trials name no picture and were dropped.")
    kept, neurons, gaps = drop_gaps(values[shown])
    rows = np.flatnonzero(shown)[kept]
    folder = images or file_inside(path, "images")
    pictures = _find_pictures(folder, [words[row] for row in rows], table.name)
    names = list(dict.fromkeys(pictures))
    number = {name: position for position, name in enumerate(names)}
    counts = columns.get("n_presentations")
    return Recording(
        name=path.name or path.resolve().name,
        images=_read_pictures(folder, names, size_px, colour, notes),
        stimulus_id=np.array([number[name] for name in pictures]),
        responses=values[rows][:, neurons],
        n_presentations=np.array(
            [_count(counts[row], table.name) for row in rows] if counts else np.ones(len(rows), dtype=np.int64)
        ),
        labels=np.array([Path(name).parts[0] if len(Path(name).parts) > 1 else "" for name in names]),
        image_names=np.array([Path(name).name for name in names]),
        notes=(*notes, *gaps),
    )


def _count(cell: str, table: str) -> int:
    if not cell.isdecimal() or not 0 < len(cell) < 7:
        raise DataError(f"{table}: n_presentations must be a whole number of 1 or more; got {cell!r}. Correct it.")
    return int(cell)


def _read_responses(
    path: Path, file: Path | None, variable: str | None, axes: tuple[Axis, Axis], n_trials: int, notes: list[str]
) -> np.ndarray:
    if file is None:
        file = next((path / n for n in ("responses.npy", "responses.csv") if (path / n).is_file()), path / "responses.npy")
    stored = _read_csv(file, notes) if file.suffix == ".csv" else read_variable(file, variable)
    if stored.ndim != 2 or set(axes) != {"trial", "neuron"}:
        raise DataError(
            f"{file.name} must have two axes, trial and neuron; got shape {stored.shape} and axes {', '.join(axes)}. Name both."
        )
    turned = stored.T if axes[0] == "neuron" else stored
    if len(turned) != n_trials:
        hint = (
            " Say axes = ['neuron', 'trial'] under [options]."
            if turned.shape[1] == n_trials
            else " Each trial needs a row in both."
        )
        raise DataError(f"{file.name} holds {len(turned)} trials, the table of trials {n_trials}.{hint}")
    return np.array(to_float32("responses", turned, ("trial", "neuron")))


def _read_csv(file: Path, notes: list[str]) -> np.ndarray:
    """Read a table of numbers, with or without a line of names; an empty cell is unknown. Numbers of rows, as pandas writes, are left out."""
    if not file.is_file():
        raise DataError(f"{file} not found. Correct responses under [options].")
    if file.stat().st_size > 16 * MAX_BYTES:
        raise DataError(f"{file.name} is larger than {16 * MAX_BYTES // 2**20} MiB. Save it as .npy.")
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in csv.reader(stream, strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file.name} cannot be read as a table: {error}. Save it as CSV, comma separated, in UTF-8.") from error
    body = lines[1:] if lines and not all(is_number(cell or "nan") for cell in lines[0]) else lines
    if lines and not lines[0][0].strip() and [line[0] for line in lines[1:]] == [str(row) for row in range(len(lines) - 1)]:
        notes.append(f"The first column of {file.name} numbers the rows, below an empty name; it is no neuron and was left out.")
        body = [line[1:] for line in lines[1:]]
    widths = {len(line) for line in body}
    if len(widths) != 1:
        raise DataError(
            f"{file.name} must have as many numbers in each row; rows have {sorted(widths)[:4] or 'none'}. Correct it."
        )
    bad = next((cell for line in body for cell in line if not is_number(cell or "nan")), None)
    if bad is not None:
        raise DataError(f"{file.name} must hold numbers; got {bad!r}. Remove columns of words; leave cells empty where unknown.")
    return np.array([[float(cell or "nan") for cell in line] for line in body])


def _find_pictures(folder: Path, words: list[str], table: str) -> list[str]:
    """Return the picture of each trial as a path in the folder: named so, or by its file name with or without ending."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} not found: it must hold the pictures, a folder for each category. Name it with images under [options]."
        )
    present: list[str] = []
    for place, _, files in os.walk(folder):  # links to folders are not followed
        pictures = [Path(place, file) for file in files if file.lower().endswith(SUFFIXES)]
        present += [file.relative_to(folder).as_posix() for file in pictures if file.is_file()]  # a pipe would be waited for
        if len(present) > _MOST_PICTURES:
            raise DataError(f"{folder.name} holds more than {_MOST_PICTURES} pictures. Give the folder of those that were shown.")
    known: dict[str, str] = {}
    twice = Counter[str]()
    for name in sorted(present):
        for short in {Path(name).name, Path(name).stem, name, Path(name).with_suffix("").as_posix()}:
            twice[short] += 1
            known[short] = name
    unknown = [word for word in dict.fromkeys(words) if known.get(word) is None]
    doubtful = [word for word in dict.fromkeys(words) if twice[word] > 1]
    if unknown or doubtful:
        others = f" and {len(unknown) - 1} more that are" if len(unknown) > 1 else ", which is"
        what = f"{unknown[0]!r}{others} not" if unknown else f"{doubtful[0]!r}, which is there more than once,"
        raise DataError(
            f"{table} names {what} among the {len(present)} pictures of {folder.name}. Write category/picture, or add them."
        )
    return [known[word] for word in words]


def _read_pictures(folder: Path, names: list[str], size_px: int | None, colour: Colour, notes: list[str]) -> np.ndarray:
    """Read the pictures that were shown, at one size."""
    if size_px is not None and not 4 <= size_px <= 1024:
        raise DataError(f"size_px must be between 4 and 1024; got {size_px}. Correct it.")
    sizes = {size for size in (_size(folder, name) for name in names)}
    width, height = max(sizes)
    if size_px is None and (len(sizes) > 1 or width * height > MOST_PIXELS):
        size_px = USUAL_SIZE_PX
    images: list[np.ndarray] = []
    conversions = Counter[str]()
    for name in track(names, "Reading pictures"):
        with file_inside(folder, name).open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise DataError(f"{folder.name}/{name} is larger than {MAX_FILE_BYTES // 2**20} MiB. Make the pictures smaller.")
        picture, done = decode_image_file(content, name, folder, colour)
        conversions.update(done)
        images.append(picture if size_px is None else _bring_to(picture, size_px))
        if images[-1].nbytes * len(images) > MAX_TOTAL_BYTES or images[-1].shape != images[0].shape:
            raise DataError(
                f"{folder.name}: pictures must agree in colour and fit into 16 GiB; {name} does not. Set colour or size_px."
            )
    notes += [f"{n} of {len(names)} pictures were converted: {what}." for what, n in conversions.items()]
    if size_px is not None:
        kinds = f"of {len(sizes)} sizes " if len(sizes) > 1 else ""
        notes.append(f"Pictures {kinds}were brought to {size_px} x {size_px} pixels (their middle square).")
    return np.stack(images)


def _size(folder: Path, name: str) -> tuple[int, int]:
    """Return width and height as the head of the file states them."""
    try:
        with Image.open(file_inside(folder, name), formats=FORMATS) as picture:
            return picture.size
    except DataError:
        raise
    except Exception as error:  # Pillow answers a damaged picture with errors of many kinds
        raise DataError(f"{folder.name}/{name} cannot be read as a picture. Save it again as PNG, JPEG, BMP or TIFF.") from error


def _bring_to(picture: np.ndarray, size_px: int) -> np.ndarray:
    _, height, width = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.moveaxis(picture[:, top : top + side, left : left + side], 0, -1)
    small = Image.fromarray(square[..., 0] if square.shape[2] == 1 else square).resize(
        (size_px, size_px), Image.Resampling.LANCZOS
    )
    pixels = np.asarray(small)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
