"""Features of images that a user gives for objectives that are told more than pairs: one row for each image, checked."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from dina.checks import DataError
from dina.recordings.recording import Recording
from dina.recordings.stored_numbers import read_npy


def read_image_features(path: Path, recording: Recording) -> Float[np.ndarray, "image feature"]:
    """Read a .npy file of features, and hold it against the recording whose images it describes.

    Parameters
    ----------
    path
        Real numbers, shape ``(n_stimuli, n_features)``, rows in the order of stimulus ids; images never shown may have NaN.
    recording
        Whose images they are.

    Returns
    -------
    features
        In single precision, in any unit: objectives z-score each column over the training images.

    Raises
    ------
    DataError
        If the file cannot be read, is no table of real numbers, has another number of rows than the recording has images,
        or is not finite for an image that was shown.
    """
    values = read_npy(path)
    if values.dtype.kind not in "fiu":
        raise DataError(f"Features of images must be real numbers; {path.name} holds {values.dtype}. Save them as float32.")
    if values.ndim != 2 or len(values) != recording.n_stimuli:
        raise DataError(
            f"Features of images must have shape (n_stimuli, n_features), here ({recording.n_stimuli}, any), a row for each image"
            f" in the order of stimulus ids; {path.name} has {values.shape}. Compute the features of all images of the recording."
        )
    with np.errstate(over="ignore"):  # what single precision cannot hold is named below
        features = np.ascontiguousarray(values, dtype=np.float32)
    wrong = np.flatnonzero(~np.isfinite(features).all(axis=1) & (recording.repeats_per_stimulus() > 0))
    if len(wrong):
        raise DataError(
            f"Features of images that were shown must be finite in single precision; in {path.name} those of {len(wrong)} images"
            f" are not, the first of stimulus id {wrong[0]}. Compute their features again."
        )
    return features
