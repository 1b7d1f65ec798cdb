"""The images and the manual image classes of the Stringer et al. 2018 deposit."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Shaped

from dina.checks import DataError, check_choice
from dina.recordings.cache import data_folder
from dina.recordings.conversion import to_float32
from dina.recordings.mat_file import field, read_mat
from dina.shapes import Images

Screens = Literal["all", "left", "centre", "right", "left_centre"]

SCREEN_COLUMNS: dict[Screens, slice] = {
    "all": slice(0, 270),
    "left": slice(0, 90),
    "centre": slice(90, 180),
    "right": slice(180, 270),
    "left_centre": slice(0, 180),
}
"""Columns of each choice of screens; receptive fields lie on the left and centre one (Stringer et al. 2019)."""

IMAGE_FILES: dict[str, str] = {
    "natimg2800": "images_natimg2800_all.mat",
    "natimg2800_white": "images_natimg2800_white_all.mat",
    "natimg2800_8D": "images_{recording}.mat",
    "natimg2800_4D": "images_{recording}.mat",
    "natimg2800_small": "images_{recording}.mat",
    "ori32": "images_ori_all.mat",
    "natimg32": "images_natimg32_all.mat",
}
"""Name of the image file of each stimulus set: shared by all mice, or belonging to one recording."""

LABEL_FILE = "stimuli_class_assignment_confident.mat"


def find_file(names: list[str], beside: Path, chosen: Path | None, what: str) -> Path | None:
    """Find a companion file: the one the user names, else beside the recording, else in the cache of fetched data.

    What the user names must be there: its absence is an error rather than a reason to look elsewhere.

    Raises
    ------
    DataError
        If ``chosen`` is given and holds none of the names.
    """
    folders = [beside, data_folder("stringer2018")]
    if chosen is not None:
        if chosen.is_file():
            return chosen
        folders = [chosen]
    for folder in folders:
        for name in names:
            if (folder / name).is_file():
                return folder / name
    if chosen is not None:
        raise DataError(f"{what} must be a file, or a folder that holds {' or '.join(names)}; got {chosen}. Check the path.")
    return None


def read_images(path: Path, screens: Screens) -> Images:
    """Read ``imgs`` (68 degrees by 270 degrees by number of images), shape ``(n, 1, 68, width)``.

    Whole numbers from 0 to 255 come as uint8; anything else in that range of values as float32.

    Parameters
    ----------
    path
        A file ``images_*.mat`` of the deposit.
    screens
        Which of the three screens to keep: each is 90 columns wide, left to right, 1 degree per column.

    Raises
    ------
    DataError
        If the array is not (height, 270, n), or its values lie between -1 and 1 and so are no 8-bit grey levels.
    """
    check_choice("screens", screens, get_args(Screens))
    stored = field(read_mat(path, ["imgs"]), "imgs", path)
    if not isinstance(stored, np.ndarray) or stored.ndim != 3 or stored.shape[1] != 270 or stored.shape[0] == 270:
        shape = getattr(stored, "shape", type(stored).__name__)
        raise DataError(
            f"{path.name}: imgs must be (68, 270, number of images), image number last; got {shape}. Move the axes before saving."
        )
    pixels = np.moveaxis(stored[:, SCREEN_COLUMNS[screens], :], -1, 0)[:, None]
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    pixels = np.ascontiguousarray(to_float32("imgs", pixels, ("image", "channel", "row", "column")))
    low, high = float(pixels.min()), float(pixels.max())
    if low >= -1 and high <= 1:
        raise DataError(
            f"{path.name}: imgs must be 0 to 255 with grey at 128; got {low:g} to {high:g}. Bring them to that range before saving."
        )
    is_8_bit = low >= 0 and high <= 255 and bool((pixels == np.round(pixels)).all())
    return pixels.astype(np.uint8) if is_8_bit else pixels


def read_labels(path: Path, n_stimuli: int) -> Shaped[np.ndarray, "stimulus"]:
    """Read the manual class of each image as a word, "" where unknown.

    Raises
    ------
    DataError
        If the file holds another number of images, or a number that no name belongs to.
    """
    content = read_mat(path, ["class_assignment", "class_names"])
    numbers = np.ravel(field(content, "class_assignment", path)).astype(np.int64)
    names = field(content, "class_names", path)
    names = [names] if isinstance(names, str) else [str(name) for name in names]
    if len(numbers) != n_stimuli:
        raise DataError(
            f"{path.name} must name a class for each of {n_stimuli} images; it holds {len(numbers)}. Leave labels out or give the right file."
        )
    if numbers.min() < 0 or numbers.max() >= len(names):
        raise DataError(
            f"{path.name}: classes must be 0 to {len(names) - 1}, one per name; got {numbers.min()} to {numbers.max()}. Fetch it again."
        )
    return np.array(["" if number == 0 else names[number] for number in numbers])
