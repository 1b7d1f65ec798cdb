"""A recording.toml: what it may say, and the images and trials that it describes, brought into the axes of a recording."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int
from pydantic import BaseModel, ConfigDict, Field

from dina.checks import DataError, check_finite, check_settings
from dina.recordings.pictures import Colour, Order, read_pictures
from dina.recordings.stored_numbers import read_npy, to_float32, to_index
from dina.shapes import Images, Responses

_Missing = Literal["refuse", "drop_trial", "drop_neuron", "zero"]
_ResponseAxis = Literal["trial", "stimulus", "repeat", "neuron"]
_ImageAxis = Literal["stimulus", "height", "width", "channel", "pixel"]
_DEFAULT_NAMES = ("images.npy", "images.zip", "images")
_IMAGE_ORDER: tuple[_ImageAxis, ...] = ("stimulus", "channel", "height", "width")
_ARRANGEMENTS: tuple[tuple[_ResponseAxis, ...], ...] = (
    ("trial", "neuron"),
    ("stimulus", "neuron"),
    ("stimulus", "repeat", "neuron"),
)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ImagesTable(_Table):
    """``[images]``: pixels as a .npy file, or a folder or zip of pictures."""

    file: str | None = None  # by default the first of images.npy, images.zip, images/ that is there
    # by default stimulus, height, width and, if there is a fourth, channel; "pixel" means height x width, row by row
    axes: tuple[_ImageAxis, ...] | None = None
    height: int | None = Field(default=None, gt=0)  # in pixels, as width; needed for an axis "pixel" only
    width: int | None = Field(default=None, gt=0)
    multiply: float = 1.0  # factor on the stored numbers, before mid_grey and contrast_scale apply
    # contrast is (pixel - mid_grey) / contrast_scale; 128 and 64 for 8-bit pixels, to be stated for all others
    mid_grey: float | None = None
    contrast_scale: float | None = Field(default=None, gt=0)
    colour: Colour = "as_stored"  # this and the order of the pictures: see `read_pictures`
    order: Order | None = None


class _ResponsesTable(_Table):
    """``[responses]``: one number per neuron and trial, or per neuron, stimulus and repeat, as a .npy file."""

    file: str = "responses.npy"
    # trial and neuron (the default), stimulus and neuron, or stimulus, repeat and neuron, in any order
    axes: tuple[_ResponseAxis, ...] | None = None
    n_presentations: int | str = 1  # averaged by each entry, or a .npy file with one number per row
    missing: _Missing = "refuse"  # what to do with NaN in part of a trial


class _StimulusTable(_Table):
    """``[stimulus_id]``: which image each trial (or each entry along the stimulus axis) showed."""

    file: str | None = None  # .npy; by default stimulus_id.npy if it is there
    index_base: Literal[0, 1] = 0  # 0 where the first image is number 0 (Python), 1 where it is number 1 (MATLAB)
    drop: tuple[int, ...] = ()  # ids, as stored, that are no image: the grey screen


class SpontaneousTable(_Table):
    """``[spontaneous]``: responses without stimulus."""

    file: str = "spontaneous.npy"
    axes: tuple[Literal["time", "neuron"], Literal["time", "neuron"]] = ("time", "neuron")


class _FileTable(_Table):
    """``[neurons]`` and ``[labels]``: a table as a .csv file."""

    file: str


class RecordingLayout(_Table):
    """A whole recording.toml; every key has a default, so an empty file means the plain folder."""

    name: str | None = None
    data: str | None = None
    condition: str = "natural"
    image_set: str = ""
    animal: str | None = None
    deg_per_pixel: float | None = Field(default=None, gt=0)
    images: _ImagesTable = _ImagesTable()
    responses: _ResponsesTable = _ResponsesTable()
    stimulus_id: _StimulusTable = _StimulusTable()
    neurons: _FileTable | None = None
    spontaneous: SpontaneousTable | None = None
    labels: _FileTable | None = None


def read_layout(path: Path) -> RecordingLayout:
    """Read a recording.toml.

    Raises
    ------
    DataError
        If it is no TOML, or has an unknown key (a misspelt one gets a suggestion) or a wrong value.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} is no valid TOML: {error}. Correct that line.") from error
    return check_settings(RecordingLayout, content, of=path.name)


def read_image_files(folder: Path, table: _ImagesTable, chosen: Path | None = None) -> tuple[Images, float, float]:
    """Read images as ``[images]`` of a recording.toml describes them; ``chosen`` takes the place of the file named there.

    Returns images, grey and scale: contrast is (pixel - grey) / scale.

    Raises
    ------
    DataError
        If there are none, their axes are in doubt, or pixels that are not 8-bit come without their grey level.
    """
    path = chosen or _find(folder, table)
    if not path.exists():
        raise DataError(f"Images not found at {path}. Check [images] file in recording.toml, or give images=… (--images).")
    if path.suffix == ".npy":
        pixels = _arrange(read_npy(path), table, path)
    elif path.is_dir() or path.suffix == ".zip":
        pixels = read_pictures(path, table.colour, table.order)
    else:
        raise DataError(f"Images must be a .npy file, a folder or a .zip of pictures; got {path.name}. Save them as such.")
    if table.multiply != 1.0:
        pixels = to_float32("images", pixels * np.float64(table.multiply), _IMAGE_ORDER)
    if pixels.dtype != np.uint8 and (table.mid_grey is None or table.contrast_scale is None):
        low, high = float(pixels.min()), float(pixels.max())
        guess = "mid_grey = 0.5 and contrast_scale = 0.25" if high <= 1 else "mid_grey = 128 and contrast_scale = 64"
        raise DataError(
            f"Pixels of {path.name} are {pixels.dtype} from {low:.4g} to {high:.4g}, and only for uint8 is grey known to be 128."
            f" State both under [images] in recording.toml, for example {guess}."
        )
    grey = 128.0 if table.mid_grey is None else table.mid_grey
    scale = 64.0 if table.contrast_scale is None else table.contrast_scale
    return np.array(pixels, order="C"), grey, scale  # a copy: no file stays mapped


def _find(folder: Path, table: _ImagesTable) -> Path:
    if table.file is not None:
        return folder / Path(table.file).expanduser()
    found = [folder / name for name in _DEFAULT_NAMES if (folder / name).exists()]
    if len(found) != 1:
        what = "none of them" if not found else " and ".join(path.name for path in found)
        raise DataError(f"{folder} must hold one of {', '.join(_DEFAULT_NAMES)}; it holds {what}. Set file under [images].")
    return found[0]


def _arrange(stored: np.ndarray, table: _ImagesTable, path: Path) -> np.ndarray:
    axes = _image_axes(stored, table, path)
    if "pixel" in axes:
        at = axes.index("pixel")
        if table.height is None or table.width is None or table.height * table.width != stored.shape[at]:
            raise DataError(
                f"{path.name} has {stored.shape[at]} pixels per image, so [images] needs height and width with that product;"
                f" got {table.height} and {table.width}. Correct them."
            )
        stored = stored.reshape(*stored.shape[:at], table.height, table.width, *stored.shape[at + 1 :])  # row by row
        axes = (*axes[:at], "height", "width", *axes[at + 1 :])
    if "channel" not in axes:
        stored, axes = stored[..., None], (*axes, "channel")
    arranged = np.transpose(stored, [axes.index(axis) for axis in _IMAGE_ORDER])
    if arranged.shape[1] not in (1, 3):
        raise DataError(
            f"{path.name} must have 1 (grey) or 3 (colour) channels; axes {', '.join(axes)} of shape {stored.shape} give"
            f" {arranged.shape[1]}. Drop an alpha channel, or correct [images] axes."
        )
    return arranged


def _image_axes(stored: np.ndarray, table: _ImagesTable, path: Path) -> tuple[_ImageAxis, ...]:
    if table.axes is not None:
        known = ({"stimulus", "height", "width"}, {"stimulus", "height", "width", "channel"}, {"stimulus", "pixel"})
        if set(table.axes) not in known or not len(set(table.axes)) == len(table.axes) == stored.ndim:
            raise DataError(
                "images.axes must be stimulus, height, width and perhaps channel, or stimulus and pixel, one for each axis of the"
                f" array; got {', '.join(table.axes)} for {path.name} of shape {stored.shape}. Correct it."
            )
        return table.axes
    if stored.ndim == 2 and table.height is not None:
        return ("stimulus", "pixel")
    if stored.ndim == 4:
        return ("stimulus", "height", "width", "channel")
    if stored.ndim == 3 and stored.shape[2] > 4 * max(stored.shape[0], stored.shape[1]):
        raise DataError(
            f"{path.name} has shape {stored.shape}, which looks like height x width x number of images. Say so in recording.toml"
            ' under [images], axes = ["height", "width", "stimulus"], or ["stimulus", "height", "width"] if it is not so.'
        )
    if stored.ndim == 3:
        return ("stimulus", "height", "width")
    raise DataError(
        f"{path.name} must be (n_stimuli, height, width) or (n_stimuli, height, width, 3); got shape {stored.shape}."
        " Name its axes in recording.toml under [images]; flat images also need height and width."
    )


@dataclass(frozen=True, eq=False)
class Trials:
    """Responses with one row per trial."""

    responses: Responses  # shape (n_trials, n_kept_neurons), free of NaN
    stimulus_id: Int[np.ndarray, "trial"]  # 0-based position of each trial's image
    n_presentations: Int[np.ndarray, "trial"]  # how many presentations each row averages
    kept_neurons: Bool[np.ndarray, "stored_neuron"]  # which of the stored neurons are in responses
    notes: tuple[str, ...]  # what was dropped or assumed, one sentence each


def read_trials(folder: Path, table: _ResponsesTable, stimulus: _StimulusTable, n_images: int) -> Trials:
    """Read responses and stimulus ids as a recording.toml describes them.

    Responses stored by stimulus and repeat become trials in the order repeat 1 of every stimulus, repeat 2 of
    every stimulus …, since the order of presentation is not known. An entry that is NaN in every neuron is a
    trial that does not exist.

    Raises
    ------
    DataError
        If axes, lengths or ids contradict each other, the orientation is in doubt, or NaN are in part of a
        trial's neurons and ``missing`` does not say what to do.
    """
    stored = read_npy(folder / table.file)
    axes = _response_axes(stored, table)
    layout = next(known for known in _ARRANGEMENTS if set(known) == set(axes))
    arranged = np.transpose(stored, [axes.index(axis) for axis in layout])
    ids = _ids(folder, stimulus, layout, n_images)
    notes: list[str] = []
    if len(ids) != len(arranged):
        _refuse_length(arranged, layout, len(ids))
    presentations = _presentations(folder, table, len(arranged))
    if len(layout) == 3:  # one row per repeat and stimulus, repeats one after the other
        n_repeats = arranged.shape[1]
        arranged = np.swapaxes(arranged, 0, 1).reshape(-1, arranged.shape[2])
        ids, presentations = np.tile(ids, n_repeats), np.tile(presentations, n_repeats)
        notes.append("Stored by stimulus and repeat: trials are in the order of repeats, as that of presentation is unknown.")
    responses = to_float32("responses", arranged, ("trial", "neuron"))
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
    if not keep.all():
        responses, ids, presentations = responses[keep], ids[keep], presentations[keep]
    kept_trials, kept_neurons = _settle_missing(responses, table.missing, notes)
    if table.missing == "zero":
        responses = np.nan_to_num(responses, nan=0.0, posinf=np.inf, neginf=-np.inf)
    responses = np.array(responses[np.ix_(kept_trials, kept_neurons)], dtype=np.float32)  # a copy: no file stays mapped
    return Trials(responses, _to_base_0(ids[kept_trials], stimulus), presentations[kept_trials], kept_neurons, tuple(notes))


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
            "responses.axes must be trial and neuron, stimulus and neuron, or stimulus, repeat and neuron, in the order of the"
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
    ids = to_index("stimulus_id", read_npy(folder / name))
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


def _to_base_0(ids: np.ndarray, stimulus: _StimulusTable) -> np.ndarray:
    if stimulus.index_base == 1 and ids.min() < 1:
        first = int(np.argmin(ids))
        raise DataError(
            f"stimulus_id must be at least 1 with index_base = 1; got {int(ids[first])} at trial {first}. Set index_base = 0."
        )
    return np.asarray(ids - stimulus.index_base)
