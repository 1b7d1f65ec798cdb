"""What a recording.toml may say: which files hold what, along which axes, in which units."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from dina.checks import DataError, check_settings
from dina.recordings.pictures import Colour, Order

Missing = Literal["refuse", "drop_trial", "drop_neuron", "zero"]
ResponseAxis = Literal["trial", "stimulus", "repeat", "neuron"]
ImageAxis = Literal["stimulus", "height", "width", "channel", "pixel"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImagesTable(_Table):
    """``[images]``: pixels as a .npy file, or a folder or zip of pictures."""

    file: str | None = None  # by default the first of images.npy, images.zip, images/ that is there
    # by default stimulus, height, width and, if there is a fourth, channel; "pixel" stands for height x width, row by row
    axes: tuple[ImageAxis, ...] | None = None
    height: int | None = Field(default=None, gt=0)  # in pixels, as width; needed for an axis "pixel" only
    width: int | None = Field(default=None, gt=0)
    multiply: float = 1.0  # factor on the stored numbers, before mid_grey and contrast_scale apply
    # contrast is (pixel - mid_grey) / contrast_scale; 128 and 64 for 8-bit pixels, to be stated for all others
    mid_grey: float | None = None
    contrast_scale: float | None = Field(default=None, gt=0)
    colour: Colour = "as_stored"  # this and the order of the pictures: see `read_pictures`
    order: Order | None = None


class ResponsesTable(_Table):
    """``[responses]``: one number per neuron and trial, or per neuron, stimulus and repeat, as a .npy file."""

    file: str = "responses.npy"
    # trial and neuron (the default), stimulus and neuron, or stimulus, repeat and neuron, in any order
    axes: tuple[ResponseAxis, ...] | None = None
    n_presentations: int | str = 1  # averaged by each entry, or a .npy file with one number per row
    missing: Missing = "refuse"  # what to do with NaN in part of a trial


class StimulusTable(_Table):
    """``[stimulus_id]``: which image each trial (or each entry along the stimulus axis) showed."""

    file: str | None = None  # .npy; by default stimulus_id.npy if it is there
    index_base: Literal[0, 1] = 0  # 0 where the first image is number 0 (Python), 1 where it is number 1 (MATLAB)
    drop: tuple[int, ...] = ()  # ids, as stored, that are no image: the grey screen


class SpontaneousTable(_Table):
    """``[spontaneous]``: responses without stimulus."""

    file: str = "spontaneous.npy"
    axes: tuple[Literal["time", "neuron"], Literal["time", "neuron"]] = ("time", "neuron")


class FileTable(_Table):
    """``[neurons]`` and ``[labels]``: a table as a .csv file."""

    file: str


class RecordingLayout(_Table):
    """A whole recording.toml; every key has a default, so that an empty file stands for the plain folder."""

    name: str | None = None
    data: str | None = None
    condition: str = "natural"
    image_set: str = ""
    animal: str | None = None
    deg_per_pixel: float | None = Field(default=None, gt=0)
    images: ImagesTable = ImagesTable()
    responses: ResponsesTable = ResponsesTable()
    stimulus_id: StimulusTable = StimulusTable()
    neurons: FileTable | None = None
    spontaneous: SpontaneousTable | None = None
    labels: FileTable | None = None


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
