"""Which axis of stored images is which: as stated, or the usual ones unless these are in doubt."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Shaped

from dina.checks import DataError

ImageAxis = Literal["stimulus", "height", "width", "channel", "pixel"]
_PIXELS_COMPARED = 2**22
_CLEARLY_SMOOTHER = 0.6  # squared differences from row to row; of photographs read with the right size they are 1.4 and more
_CLEAR_BREAKS = 1.5  # squared differences at the ends of rows against all others; of scrambled rows they are 1
IMAGE_ORDER: tuple[ImageAxis, ...] = ("stimulus", "channel", "height", "width")


def arrange_images(
    stored: Shaped[np.ndarray, "..."],
    axes: tuple[ImageAxis, ...] | None,
    size: tuple[int | None, int | None],
    path: Path,
    named: Collection[int],
) -> Shaped[np.ndarray, "stimulus channel height width"]:
    """Return stored images as (stimulus, channel, height, width).

    Parameters
    ----------
    stored
        As in the file.
    axes
        What its axes are; None for the usual ones, unless these are in doubt.
    size
        Height and width in pixels, needed where images are stored flat.
    path
        Of the file, for messages.
    named
        How many images trials may name; empty if unknown.

    Raises
    ------
    DataError
        If the axes do not fit the array, or are in doubt.
    """
    axes = _image_axes(stored, axes, size, path, named)
    if "pixel" in axes:
        at, (height, width) = axes.index("pixel"), size
        if height is None or width is None or height * width != stored.shape[at]:
            raise DataError(
                f"{path.name} has {stored.shape[at]} pixels per image, so [images] needs height and width with that product;"
                f" got {height} and {width}. Correct them."
            )
        stored = stored.reshape(*stored.shape[:at], height, width, *stored.shape[at + 1 :])  # row by row
        axes = (*axes[:at], "height", "width", *axes[at + 1 :])
    if "channel" not in axes:
        stored, axes = stored[..., None], (*axes, "channel")
    arranged = np.transpose(stored, [axes.index(axis) for axis in IMAGE_ORDER])
    if arranged.shape[1] not in (1, 3):
        first = stored.ndim == 4 and stored.shape[1] in (1, 3)  # as PyTorch keeps them
        advice = (
            'Write axes = ["stimulus", "channel", "height", "width"] under [images] in recording.toml.'
            if first
            else "Drop an alpha channel, or correct [images] axes."
        )
        raise DataError(
            f"{path.name} must have 1 (grey) or 3 (colour) channels; axes {', '.join(axes)} of shape {stored.shape} give"
            f" {arranged.shape[1]}. {advice}"
        )
    return arranged


def doubt_size(images: Shaped[np.ndarray, "stimulus channel height width"]) -> list[str]:
    """Return a sentence if images that were stored flat are clearly smoother with height and width the other way round.

    Ends of rows that are breaks, as those of whole images are, speak for the size that was stated, whatever else is smoother.

    Parameters
    ----------
    images
        As arranged.
    """
    height, width = images.shape[2:]
    most = max(1, min(len(images), _PIXELS_COMPARED // (height * width)))
    flat = images[:most].reshape(most, -1).astype(np.float32)
    if height == width or min(height, width) < 2:
        return []
    steps = np.square(np.diff(flat)).mean(axis=0)
    ends = np.arange(width, height * width, width)
    own = ends[ends % height > 0]  # where rows end only if the size is the one that was stated
    breaks = steps[(own if own.size else ends) - 1].mean()
    as_stated, other = (float(np.square(flat[:, row:] - flat[:, :-row]).mean()) for row in (width, height))
    if not (other < _CLEARLY_SMOOTHER * as_stated and breaks < _CLEAR_BREAKS * steps.mean()):  # also where a pixel is NaN
        return []
    return [
        f"Images look sheared at {height} x {width} pixels (height x width), and much smoother at {width} x {height}: swap"
        " height and width under [images]; or, if pixels are stored column by column, as MATLAB does, save the images with three axes and state"
        " these."
    ]


def _image_axes(
    stored: np.ndarray,
    axes: tuple[ImageAxis, ...] | None,
    size: tuple[int | None, int | None],
    path: Path,
    named: Collection[int],
) -> tuple[ImageAxis, ...]:
    if axes is not None:
        known = ({"stimulus", "height", "width"}, {"stimulus", "height", "width", "channel"}, {"stimulus", "pixel"})
        if set(axes) not in known or not len(set(axes)) == len(axes) == stored.ndim:
            raise DataError(
                "images.axes must be stimulus, height, width and perhaps channel, or stimulus and pixel, one for each axis of the"
                f" array; got {', '.join(axes)} for {path.name} of shape {stored.shape}. Correct it."
            )
        return axes
    if stored.ndim == 2 and size[0] is not None:
        return _unless_doubtful(stored, ("stimulus", "pixel"), path, named)
    if stored.ndim == 4:
        return _unless_doubtful(stored, ("stimulus", "height", "width", "channel"), path, named)
    if stored.ndim == 3:
        return _unless_doubtful(stored, ("stimulus", "height", "width"), path, named)
    raise DataError(
        f"{path.name} must be (n_stimuli, height, width) or (n_stimuli, height, width, 3); got shape {stored.shape}."
        " Name its axes in recording.toml under [images]; flat images also need height and width."
    )


def _unless_doubtful(
    stored: np.ndarray, usual: tuple[ImageAxis, ...], path: Path, named: Collection[int]
) -> tuple[ImageAxis, ...]:
    """Return the usual axes, unless a later axis has as many entries as there are images, or looks as if it had."""
    if named and stored.shape[0] < min(named) - 1:  # too few images come first, even if the largest id is a grey screen
        named = {n - grey for n in named for grey in (0, 1)}
    others = [at for at, n in enumerate(stored.shape) if at and n in named and not (usual[at] == "channel" and n in (1, 3))]
    if not others and not (stored.ndim == 3 and stored.shape[2] > 4 * max(stored.shape[:2])):
        return usual
    at = others[-1] if others else 2
    rest = [axis for axis in usual if axis != "stimulus"]
    proposal = ", ".join(f'"{axis}"' for axis in (*rest[:at], "stimulus", *rest[at:]))
    why = (
        f"and trials name {stored.shape[at]} images, as many as axis {at + 1} has"
        if others
        else "which looks like height x width x number of images"
    )
    default = ", ".join(f'"{axis}"' for axis in usual)
    raise DataError(
        f"{path.name} has shape {stored.shape}, {why}. Say which axis is which in recording.toml under [images], axes = [{proposal}],"
        f" or [{default}] if images come first."
    )
