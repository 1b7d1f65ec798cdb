"""The RMS contrast of images: measured, and brought to that of other images."""

import numpy as np
from jaxtyping import Float

from dina.shapes import ContrastImages


def rms_contrast(images: ContrastImages) -> Float[np.ndarray, "stimulus"]:
    """Return the standard deviation of each image about its own mean, in units of contrast.

    Examples
    --------
    >>> rms_contrast(np.array([[[[-1.0, 1.0]]]], dtype=np.float32))
    array([1.])
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    return flat.std(axis=1)


def match_contrast(images: ContrastImages, like: ContrastImages) -> ContrastImages:
    """Bring each image to the mean, channel by channel, and the RMS contrast of another; blank images stay blank.

    Examples
    --------
    >>> dark, light = np.array([[[[-1.0, 1.0]]]], dtype=np.float32), np.array([[[[5.0, 9.0]]]], dtype=np.float32)
    >>> match_contrast(dark, light).tolist()
    [[[[5.0, 9.0]]]]
    """
    own = images.mean(axis=(2, 3), keepdims=True)
    spread = (images - own).reshape(len(images), -1).std(axis=1)
    goal = (like - like.mean(axis=(2, 3), keepdims=True)).reshape(len(like), -1).std(axis=1)
    factor = np.where(spread > 1e-9, goal / np.where(spread > 1e-9, spread, 1.0), 0.0)[:, None, None, None]
    return np.asarray(like.mean(axis=(2, 3), keepdims=True) + factor * (images - own), dtype=np.float32)
