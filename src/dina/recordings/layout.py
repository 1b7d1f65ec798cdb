"""A recording.toml: what it may say, and the images and trials that it describes, brought into the axes of a recording."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int
from pydantic import BaseModel, ConfigDict, Field

from dina.checks import DataError, check_finite, check_settings
from dina.recordings.file_places import IMAGE_NAMES, find_images
from dina.recordings.home_folder import expand_home
from dina.recordings.image_axes import IMAGE_ORDER, ImageAxis, arrange_images, doubt_size
from dina.recordings.own_files import ENDINGS, PACKED, read_variable
from dina.recordings.pictures import Colour, Order, read_pictures
from dina.recordings.pixel_values import settle_grey
from dina.recordings.stored_ids import count_from_0
from dina.recordings.stored_numbers import read_npy, to_float32, to_index
from dina.shapes import Images, Responses

_Missing = Literal["refuse", "drop_trial", "drop_neuron", "zero"]
_ResponseAxis = Literal["trial", "stimulus", "repeat", "neuron"]
_ARRANGEMENTS: tuple[tuple[_ResponseAxis, ...], ...] = (
    ("trial", "neuron"),
    ("stimulus", "neuron"),
    ("stimulus", "repeat", "neuron"),
)


_CALLED_FILE = ("folder", "directory", "path", "zip", "pictures")  # what people write in place of file


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ImagesTable(_Table):
    """``[images]``: pixels as an array, or a folder or zip of pictures."""

    file: str | None = None  # by default the first of images.npy, images.zip, images/ that is there
    variable: str | None = None  # the name of the array in a .mat, .h5 or .npz; here and in the tables below
    # by default stimulus, height, width and, if there is a fourth, channel; "pixel" means height x width, row by row
    axes: tuple[ImageAxis, ...] | None = None
    height: int | None = Field(default=None, gt=0)  # in pixels, as width; needed for an axis "pixel" only
    width: int | None = Field(default=None, gt=0)
    multiply: float = 1.0  # factor on the stored numbers, before mid_grey and contrast_scale apply
    # contrast is (pixel - mid_grey) / contrast_scale; 128 and 64 for 8-bit pixels, to be stated for all others
    mid_grey: float | None = None
    contrast_scale: float | None = Field(default=None, gt=0)
    colour: Colour = "as_stored"  # this and the order of the pictures: see `read_pictures`
    order: Order | None = None


class _ResponsesTable(_Table):
    """``[responses]``: one number per neuron and trial, or per neuron, stimulus and repeat, as an array."""

    file: str = "responses.npy"
    variable: str | None = None
    # trial and neuron (the default), stimulus and neuron, or stimulus, repeat and neuron, in any order
    axes: tuple[_ResponseAxis, ...] | None = None
    units: str | None = None  # for example "spikes/s"
    n_presentations: int | str = 1  # averaged by each entry, or a .npy file with one number per row
    missing: _Missing = "refuse"  # what to do with NaN in part of a trial


class _StimulusTable(_Table):
    """``[stimulus_id]``: which image each trial (or each entry along the stimulus axis) showed."""

    file: str | None = None  # by default stimulus_id.npy if it is there
    variable: str | None = None
    index_base: Literal[0, 1] = 0  # 0 where the first image is number 0 (Python), 1 where it is number 1 (MATLAB)
    drop: tuple[int, ...] = ()  # ids, as stored, that are no image: the grey screen


class SpontaneousTable(_Table):
    """``[spontaneous]``: responses without stimulus."""

    file: str = "spontaneous.npy"
    variable: str | None = None
    axes: tuple[Literal["time", "neuron"], Literal["time", "neuron"]] | None = None  # by default time, neuron


class _FileTable(_Table):
    """``[neurons]``, ``[labels]`` and ``[covariates]``: a table as a .csv file."""

    file: str


class RecordingLayout(_Table):
    """A whole recording.toml; every key has a default, so an empty file means the plain folder."""

    format: Literal["arrays"] = "arrays"  # others: see `dina.recordings.description`
    name: str | None = None
    data: str | None = None
    file: str | None = None  # of every table that names a variable and no file
    condition: str | None = None
    image_set: str = ""
    animal: str | None = None
    species: str | None = None
    area: str | None = None
    indicator: str | None = None
    deg_per_pixel: float | None = Field(default=None, gt=0)
    images: _ImagesTable = _ImagesTable()
    responses: _ResponsesTable = _ResponsesTable()
    stimulus_id: _StimulusTable = _StimulusTable()
    neurons: _FileTable | None = None
    spontaneous: SpontaneousTable | None = None
    labels: _FileTable | None = None
    covariates: _FileTable | None = None


def read_layout(path: Path) -> RecordingLayout:
    """Read a recording.toml, or describe a file of `PACKED` endings whose variables have the usual names.

    Raises
    ------
    DataError
        If it is no TOML, or has an unknown key (a misspelt one gets a suggestion) or a wrong value.
    """
    if path.suffix in PACKED:
        content: dict[str, Any] = {"name": path.stem, "file": path.name}
    else:
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # -sig: some editors put a byte-order mark first
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path.name} is no valid TOML: {error}. Correct that line.") from error
    images = content.get("images")
    wrong = next((key for key in _CALLED_FILE if key in images), None) if isinstance(images, dict) else None
    if isinstance(images, dict) and wrong is not None:
        raise DataError(
            f"{path.name} must name the images by file, be they an array, a zip or a folder; it has {wrong} under [images]. Write file ="
            f" {images[wrong]!r}."
        )
    if isinstance(content.get("file"), str):
        _name_variables(content, content["file"])
    return check_settings(RecordingLayout, content, of=path.name)


def _name_variables(content: dict[str, Any], file: str) -> None:
    """Let arrays lie in the one file, under their usual names, where their tables state neither file nor variable."""
    responses = content.get("responses")
    axes = responses.get("axes") if isinstance(responses, dict) else None
    by_stimulus = isinstance(axes, list) and "stimulus" in axes
    for name in ("images", "responses", *(() if by_stimulus else ("stimulus_id",))):
        table = content.setdefault(name, {})
        if isinstance(table, dict) and "file" not in table:
            table.setdefault("variable", name)
    for table in content.values():
        if isinstance(table, dict) and "variable" in table:
            table.setdefault("file", file)


def _count_named(folder: Path, layout: RecordingLayout) -> tuple[int, ...]:
    """Return how many images trials may name, shown or not: by the largest id, or the stimulus axis of the responses; () if unknown.

    Ids that never say 0 may count from 1, stated or not.
    """
    ids, axes = folder / (layout.stimulus_id.file or "stimulus_id.npy"), layout.responses.axes
    if ids.is_file() and (axes is None or "trial" in axes or layout.stimulus_id.file):
        known = to_index("stimulus_id", read_variable(ids, layout.stimulus_id.variable))
        known = known[~np.isin(known, layout.stimulus_id.drop)]
        if not known.size:
            return ()
        most = int(known.max())
        return (most,) if layout.stimulus_id.index_base == 1 else (most + 1,) if known.min() < 1 else (most + 1, most)
    responses = folder / layout.responses.file
    if axes is None or "stimulus" not in axes or not responses.is_file():
        return ()
    shape = read_variable(responses, layout.responses.variable).shape
    return (int(shape[axes.index("stimulus")]),) if len(shape) == len(axes) else ()


def read_image_files(
    folder: Path, layout: RecordingLayout, chosen: Path | None = None, said_by: str = "[images] and file"
) -> tuple[Images, float, float, list[str], tuple[str, ...] | None]:
    """Read images as ``[images]`` of a recording.toml describes them; ``chosen`` takes the place of the file named there.

    ``said_by`` are the table and the key by which the format lets images be named, for messages.

    Returns images, grey, scale, notes and, of pictures, their file names: contrast is (pixel - grey) / scale. An array is no stack of images unless its axes are
    stated, if another axis than the first has as many entries as trials name images.

    Raises
    ------
    DataError
        If there are none, their axes are in doubt, or pixels that are not 8-bit come without their grey level.
    """
    table = layout.images
    path = chosen or _find(folder, table, said_by)
    if not path.exists():
        where = (
            "file in recording.toml"
            if chosen is None and layout.file is not None and table.file == layout.file
            else "[images] file in recording.toml, or give images=… (--images)"
        )
        raise DataError(f"Images not found at {path}. Check {where}.")
    notes: list[str] = []
    names = None
    if path.suffix in ENDINGS:
        stored = read_variable(path, None if chosen and path.suffix == ".npy" else table.variable)
        try:
            pixels = arrange_images(stored, table.axes, (table.height, table.width), path, _count_named(folder, layout))
            notes += doubt_size(pixels) if stored.ndim == 2 else []
        except DataError as error:
            besides = _say_of_trials(folder, layout)
            raise DataError(str(error) if str(error) in besides else f"{error}{besides}") from error
    elif path.is_dir() or (path.suffix == ".zip" and path.is_file()):  # a pipe of that name would be waited for
        pixels, conversions, names = read_pictures(path, table.colour, table.order)
        notes += conversions
    else:
        raise DataError(
            f"Images must be a .npy, .npz, .mat or .h5 file, a folder or a .zip of pictures; got {path.name}. Save them as such."
        )
    is_stated = table.mid_grey is not None and table.contrast_scale is not None
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.float32) if is_stated or table.multiply != 1.0 else pixels * np.uint8(255)
        if pixels.dtype == np.uint8:
            notes.append(f"Pixels of {path.name} are true or false; they were taken as white (255) and black (0).")
    if table.multiply != 1.0:
        pixels = to_float32("images", pixels * np.float64(table.multiply), IMAGE_ORDER)
    grey, scale = settle_grey(pixels, path.name, table.mid_grey, table.contrast_scale, "[images] in recording.toml")
    return np.array(pixels, order="C"), grey, scale, notes, names  # a copy: no file stays mapped


def _find(folder: Path, table: _ImagesTable, said_by: str) -> Path:
    if table.file is not None:
        return folder / expand_home(table.file)
    found = find_images(folder)
    if len(found) != 1:
        what = "none of them" if not found else " and ".join(path.name for path in found)
        names = f"{', '.join(IMAGE_NAMES[:-1])} or a folder {IMAGE_NAMES[-1]}"
        raise DataError(
            f"{folder} must hold one of {names}; it holds {what}. Say where the images are with --images PATH, or in the .toml that"
            f' describes it by two lines: {said_by} = "PATH".'
        )
    return found[0]


@dataclass(frozen=True, eq=False)
class Trials:
    """Responses with one row per trial."""

    responses: Responses  # shape (n_trials, n_kept_neurons), free of NaN
    stimulus_id: Int[np.ndarray, "trial"]  # 0-based position of each trial's image
    n_presentations: Int[np.ndarray, "trial"]  # how many presentations each row averages
    kept_trials: Bool[np.ndarray, "stored_trial"]  # which of the stored trials are in responses; empty where stored by stimulus
    kept_neurons: Bool[np.ndarray, "stored_neuron"]  # which of the stored neurons are in responses
    notes: tuple[str, ...]  # what was dropped or assumed, one sentence each


def read_trials(folder: Path, table: _ResponsesTable, stimulus: _StimulusTable, n_images: int, missing: str = "") -> Trials:
    """Read responses and stimulus ids as a recording.toml describes them.

    Responses stored by stimulus and repeat become trials in the order repeat 1 of every stimulus, repeat 2 of
    every stimulus …, since the order of presentation is not known. An entry that is NaN in every neuron is a
    trial that does not exist. ``missing`` says which pictures are missing, for messages.

    Raises
    ------
    DataError
        If axes, lengths or ids contradict each other, the orientation is in doubt, or NaN are in part of a
        trial's neurons and ``missing`` does not say what to do.
    """
    stored = read_variable(folder / table.file, table.variable)
    axes = _response_axes(stored, table)
    layout = next(known for known in _ARRANGEMENTS if set(known) == set(axes))
    arranged = np.transpose(stored, [axes.index(axis) for axis in layout])
    ids = _ids(folder, stimulus, layout, n_images)
    notes: list[str] = []
    if len(ids) != len(arranged):
        _refuse_length(arranged, layout, len(ids))
    presentations = _presentations(folder, table, len(arranged))
    if layout == ("stimulus", "neuron") and "n_presentations" not in table.model_fields_set:
        notes.append(
            "Responses by stimulus count as single trials: n_presentations under [responses] does not say how many each averages."
        )
    if len(layout) == 3:  # one row per repeat and stimulus, repeats one after the other
        n_repeats = arranged.shape[1]
        arranged = np.swapaxes(arranged, 0, 1).reshape(-1, arranged.shape[2])
        ids, presentations = np.tile(ids, n_repeats), np.tile(presentations, n_repeats)
        notes.append("Stored by stimulus and repeat: trials are in the order of repeats, as that of presentation is unknown.")
    responses = to_float32("responses", arranged, ("trial", "neuron"))
    if arranged.dtype.kind in "iu":
        notes.append(f"Responses are stored as whole numbers ({arranged.dtype}).")
    keep = ~np.isin(ids, stimulus.drop)
    if not keep.all():
        which = ", ".join(map(str, stimulus.drop))
        notes.append(f"{int((~keep).sum())} of {len(ids)} trials with id {which} were dropped, as declared.")
    if layout[0] == "stimulus":
        absent = np.isnan(responses).all(axis=1)
        if absent.any():
            notes.append(f"{int(absent.sum())} of {len(absent)} stored trials are NaN in every neuron: absent, dropped.")
        keep &= ~absent
    if not keep.any():
        raise DataError(f"No trials left: all {len(keep)} are absent or were dropped by [stimulus_id] drop. Check both.")
    ids = count_from_0(ids, keep, stimulus.index_base, n_images, missing)
    if not keep.all():
        responses, ids, presentations = responses[keep], ids[keep], presentations[keep]
    kept_trials, kept_neurons = _settle_missing(responses, table.missing, notes)
    if table.missing == "zero":
        responses = np.nan_to_num(responses, nan=0.0, posinf=np.inf, neginf=-np.inf)
    responses = np.array(responses[np.ix_(kept_trials, kept_neurons)], dtype=np.float32)  # a copy: no file stays mapped
    if layout[0] == "trial":
        keep[keep] = kept_trials
    stored_trials = keep if layout[0] == "trial" else keep[:0]
    return Trials(responses, ids[kept_trials], presentations[kept_trials], stored_trials, kept_neurons, tuple(notes))


def _say_of_trials(folder: Path, layout: RecordingLayout) -> str:
    """Say what else is to be stated about responses and ids, where images were refused, so that one reading names all; or nothing."""
    said = ""
    try:
        named, stimulus = _count_named(folder, layout), layout.stimulus_id
        if len(named) > 1:  # no id says 0, and nothing what the first image is called
            said = f" Ids run up to {named[1]} and never say 0: if they count from 1, say index_base = 1 under [stimulus_id]."
        if named:
            read_trials(folder, layout.responses, stimulus, named[0])
    except DataError as error:
        return f"{said} Besides, {error}"
    return said


def _response_axes(stored: np.ndarray, table: _ResponsesTable) -> tuple[_ResponseAxis, ...]:
    example = 'for example axes = ["neuron", "stimulus"] or ["stimulus", "repeat", "neuron"]'
    if table.axes is None:
        if stored.ndim != 2:
            raise DataError(
                f"{table.file} must be (n_trials, n_neurons); got shape {stored.shape}. Name its axes in recording.toml under"
                f" [responses], {example}."
            )
        if stored.shape[0] == stored.shape[1]:
            raise DataError(
                f"{table.file} is square ({stored.shape[0]} x {stored.shape[1]}), so trials and neurons cannot be distinguished."
                ' Say which is which in recording.toml under [responses], axes = ["trial", "neuron"] or ["neuron", "trial"].'
            )
        return ("trial", "neuron")
    if not any(set(known) == set(table.axes) and len(known) == len(table.axes) for known in _ARRANGEMENTS):
        raise DataError(
            "axes under [responses] must be trial and neuron, stimulus and neuron, or stimulus, repeat and neuron, in the order of the"
            f" array; got {', '.join(table.axes)}. Correct it, {example}."
        )
    if len(table.axes) != stored.ndim:
        names = ", ".join(table.axes)
        raise DataError(f"{table.file} must have the {len(table.axes)} axes {names}; got shape {stored.shape}. Name each once.")
    return table.axes


def _ids(folder: Path, stimulus: _StimulusTable, layout: tuple[_ResponseAxis, ...], n_images: int) -> np.ndarray:
    if layout[0] == "stimulus" and stimulus.file is None:
        return np.arange(n_images) + stimulus.index_base
    name = stimulus.file or "stimulus_id.npy"
    if not (folder / name).is_file():
        raise DataError(
            f"{folder / name} not found: each trial needs the id of its image. If responses are stored by stimulus, in the order"
            ' of the images, say so in recording.toml under [responses], axes = ["stimulus", "neuron"].'
        )
    ids = to_index("stimulus_id", read_variable(folder / name, stimulus.variable))
    if ids.ndim == 2 and 1 in ids.shape:
        ids = ids.ravel()
    if ids.ndim != 1:
        raise DataError(f"stimulus_id must be (n_trials,); got shape {ids.shape}. Give one id for each trial.")
    return ids


def _refuse_length(arranged: np.ndarray, layout: tuple[_ResponseAxis, ...], n_ids: int) -> None:
    what = "stimulus ids" if layout[0] == "trial" else "images"
    hint = "One entry is needed for each."
    for axis, size in zip(layout[1:], arranged.shape[1:], strict=True):
        if size == n_ids:
            hint = (
                f"The axis called {axis} has {n_ids}; put the axes in the order of the array in recording.toml under [responses],"
                f' for example axes = ["{axis}", "{layout[0]}"].'
            )
    raise DataError(f"responses have {len(arranged)} entries along {layout[0]}, but there are {n_ids} {what}. {hint}")


def _presentations(folder: Path, table: _ResponsesTable, n: int) -> np.ndarray:
    if isinstance(table.n_presentations, int):
        if table.n_presentations < 1:
            raise DataError(f"n_presentations must be at least 1; got {table.n_presentations}. Use 1 for single trials.")
        return np.full(n, table.n_presentations, dtype=np.int64)
    counts = to_index("n_presentations", read_npy(folder / table.n_presentations))
    if counts.shape != (n,):
        raise DataError(f"n_presentations must be ({n},), as responses are; got shape {counts.shape}. Give one for each entry.")
    return counts


def _settle_missing(responses: np.ndarray, missing: _Missing, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return which trials and which neurons stay."""
    trials, neurons = np.ones(responses.shape[0], dtype=bool), np.ones(responses.shape[1], dtype=bool)
    gap = np.isnan(responses)
    if not gap.any():
        return trials, neurons
    if missing == "refuse":
        advice = 'Say what to do in recording.toml under [responses], missing = "drop_trial", "drop_neuron" or "zero".'
        check_finite("responses", responses, ("trial", "neuron"), advice)
    if missing == "zero":
        notes.append(f"{int(gap.sum())} NaN responses were set to 0, as declared.")
    if missing == "drop_trial":
        trials = ~gap.any(axis=1)
        notes.append(f"{int((~trials).sum())} of {len(trials)} trials have NaN in some neuron and were dropped, as declared.")
    if missing == "drop_neuron":
        neurons = ~gap.any(axis=0)
        notes.append(f"{int((~neurons).sum())} of {len(neurons)} neurons have NaN in some trial and were dropped, as declared.")
    if not trials.any() or not neurons.any():
        raise DataError(f'Nothing is left: missing = "{missing}" drops everything. Choose another way or repair the file.')
    return trials, neurons
