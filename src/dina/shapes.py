"""The vocabulary of array shapes: which axes images, responses and score matrices have, and the coordinates along them.

Arrays are numpy at every public door; torch is used inside towers, alignment and heavy linear algebra.
This file imports no torch, so that reading a recording stays quick.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float32, Int, Num

# Pixels as stored (uint8 or float32); one channel for grey, three for colour.
Images = Num[np.ndarray, "stimulus channel height width"]

# Pixels in units of contrast: (pixel − mid grey) / scale, dimensionless, 0 = grey screen.
ContrastImages = Float32[np.ndarray, "stimulus channel height width"]

# One value per neuron and trial.
Responses = Float32[np.ndarray, "trial neuron"]

# One value per neuron and stimulus, averaged over the trials of that stimulus.
StimulusResponses = Float32[np.ndarray, "stimulus neuron"]

# For every trial the position of its stimulus along the stimulus axis, 0-based.
StimulusIndex = Int[np.ndarray, "trial"]

# How well each gallery item fits each query; larger is better; dimensionless.
Scores = Float[np.ndarray, "query gallery"]

Coordinate = tuple[str, np.ndarray, dict[str, str]]


def stimulus_coordinates(ids: Mapping[str, Int[np.ndarray, "_image"]]) -> dict[str, Coordinate]:
    """Say which images, by position on the recording's stimulus axis, stand along each axis of a dataset.

    Returns
    -------
    coordinates
        ``stimulus_id`` along ``image`` or ``query``, ``<axis>_stimulus_id`` along any other.

    Examples
    --------
    >>> list(stimulus_coordinates({"image": np.array([4, 9]), "example": np.array([9])}))
    ['stimulus_id', 'example_stimulus_id']
    """
    attributes = {"units": "1", "long_name": "position on the stimulus axis of the recording"}
    names = {axis: "stimulus_id" if axis in ("image", "query") else f"{axis}_stimulus_id" for axis in ids}
    return {names[axis]: (axis, np.asarray(numbers), attributes) for axis, numbers in ids.items()}


def place_coordinates(
    shape: tuple[int, int], extent: tuple[int, int] | None = None, names: tuple[str, str] = ("height", "width")
) -> dict[str, Coordinate]:
    """Return the centres of a map's places, or of pixels, in pixels from the upper and the left border of the image.

    The rows and columns of ``shape`` share an image of ``extent`` pixels evenly; without it the places are the pixels.

    Examples
    --------
    >>> place_coordinates((2, 3), (8, 6))["width"][1].tolist()
    [1.0, 3.0, 5.0]
    """
    found = {}
    for name, n, length, border in zip(names, shape, extent or shape, ("upper", "left"), strict=True):
        centres = (np.arange(n) + 0.5) * length / n
        found[name] = (name, centres, {"units": "pixel", "long_name": f"distance of the centre from the {border} border"})
    return found
