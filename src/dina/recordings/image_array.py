"""Bring images, as an array or as pictures, into (stimulus, channel, height, width) with their units stated."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dina.checks import DataError
from dina.recordings.conversion import to_float32
from dina.recordings.layout import ImageAxis, ImagesTable
from dina.recordings.npy_file import read_npy
from dina.recordings.pictures import read_pictures
from dina.shapes import Images

DEFAULT_NAMES = ("images.npy", "images.zip", "images")
_TARGET: tuple[ImageAxis, ...] = ("stimulus", "channel", "height", "width")


@dataclass(frozen=True, eq=False)
class StoredImages:
    """Images and the two numbers that turn their pixels into contrast.

    Parameters
    ----------
    images
        Shape ``(n_stimuli, n_channels, height, width)``.
    mid_grey, contrast_scale
        Contrast is ``(pixel - mid_grey) / contrast_scale``.
    """

    images: Images
    mid_grey: float
    contrast_scale: float


def read_image_files(folder: Path, table: ImagesTable, chosen: Path | None = None) -> StoredImages:
    """Read images as ``[images]`` of a recording.toml describes them.

    Parameters
    ----------
    folder
        Where the files of the recording lie.
    table
        The settings.
    chosen
        A file or folder that takes the place of the one in the settings.

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
        raise DataError(
            f"Images must be a .npy file, a folder or a .zip of pictures; got {path.name}. Save them in one of these ways."
        )
    if table.multiply != 1.0:
        pixels = to_float32("images", pixels * np.float64(table.multiply), _TARGET)
    if pixels.dtype != np.uint8 and (table.mid_grey is None or table.contrast_scale is None):
        low, high = float(pixels.min()), float(pixels.max())
        guess = "mid_grey = 0.5 and contrast_scale = 0.25" if high <= 1 else "mid_grey = 128 and contrast_scale = 64"
        raise DataError(
            f"Pixels of {path.name} are {pixels.dtype} from {low:.4g} to {high:.4g}, and only for uint8 is grey known to be 128."
            f" State both under [images] in recording.toml, for example {guess}."
        )
    grey = 128.0 if table.mid_grey is None else table.mid_grey
    scale = 64.0 if table.contrast_scale is None else table.contrast_scale
    return StoredImages(np.array(pixels, order="C"), grey, scale)  # a copy: no file stays mapped


def _find(folder: Path, table: ImagesTable) -> Path:
    if table.file is not None:
        return folder / Path(table.file).expanduser()
    found = [folder / name for name in DEFAULT_NAMES if (folder / name).exists()]
    if len(found) != 1:
        what = "none of them" if not found else " and ".join(path.name for path in found)
        raise DataError(
            f"{folder} must hold one of {', '.join(DEFAULT_NAMES)}; it holds {what}. Say which under [images] file in recording.toml."
        )
    return found[0]


def _arrange(stored: np.ndarray, table: ImagesTable, path: Path) -> np.ndarray:
    axes = _axes(stored, table, path)
    if "pixel" in axes:
        if table.height is None or table.width is None or table.height * table.width != stored.shape[axes.index("pixel")]:
            raise DataError(
                f"{path.name} has {stored.shape[axes.index('pixel')]} pixels per image, so [images] needs height and width with that"
                f" product; got {table.height} and {table.width}."
            )
        at = axes.index("pixel")
        stored = stored.reshape(*stored.shape[:at], table.height, table.width, *stored.shape[at + 1 :])  # row by row
        axes = (*axes[:at], "height", "width", *axes[at + 1 :])
    if "channel" not in axes:
        stored, axes = stored[..., None], (*axes, "channel")
    arranged = np.transpose(stored, [axes.index(axis) for axis in _TARGET])
    if arranged.shape[1] not in (1, 3):
        raise DataError(
            f"{path.name} must have 1 (grey) or 3 (colour) channels; axes {', '.join(axes)} of shape {stored.shape} give"
            f" {arranged.shape[1]}. Drop an alpha channel, or correct [images] axes."
        )
    return arranged


def _axes(stored: np.ndarray, table: ImagesTable, path: Path) -> tuple[ImageAxis, ...]:
    if table.axes is not None:
        known = ({"stimulus", "height", "width"}, {"stimulus", "height", "width", "channel"}, {"stimulus", "pixel"})
        if len(set(table.axes)) != len(table.axes) or set(table.axes) not in known or len(table.axes) != stored.ndim:
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
