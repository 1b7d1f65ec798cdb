"""The test images as small pictures beside the scores, so that a report can show what was retrieved."""

import numpy as np
import xarray as xr
from jaxtyping import Int
from PIL import Image

from dina.recordings.recording import Recording

MAX_WIDTH, MAX_HEIGHT = 135, 96


def gallery_dataset(recording: Recording, test: Int[np.ndarray, "n_test"]) -> xr.Dataset:
    """Return the shown test images as 8-bit thumbnails with identity and label.

    The pixel values of the whole gallery are stretched together to 0 … 255, so that contrasts stay comparable;
    8-bit images stay as they are.

    Parameters
    ----------
    recording
        Where the images are from.
    test
        Ids of the test images, shape ``(n_test,)``.

    Returns
    -------
    dataset
        ``thumbnail`` (gallery, thumbnail_height, thumbnail_width[, colour]), ``stimulus_id`` and ``label``
        (gallery); label is "" where unknown.
    """
    shown = test[np.isin(test, recording.stimulus_id)]
    pixels = recording.images[shown]
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = np.round((pixels - low) * (255 / (high - low if high > low else 1.0))).astype(np.uint8)
    height, width = pixels.shape[2:]
    shrink = min(1.0, MAX_HEIGHT / height, MAX_WIDTH / width)
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    pictures = np.moveaxis(pixels, 1, -1)
    pictures = pictures[..., 0] if pictures.shape[-1] == 1 else pictures
    thumbnails = np.stack([_resize(picture, size) for picture in pictures])
    axes = ("gallery", "thumbnail_height", "thumbnail_width", "colour")[: thumbnails.ndim]
    labels = np.full(len(shown), "", dtype=object) if recording.labels is None else recording.labels[shown].astype(object)
    return xr.Dataset({"thumbnail": (axes, thumbnails), "stimulus_id": ("gallery", shown), "label": ("gallery", labels)})


def _resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape[1::-1] == size:
        return picture
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BOX))
