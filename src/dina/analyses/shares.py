"""Accuracies as shares of what the unaltered gallery has above chance."""

import numpy as np
from jaxtyping import Float

NULL = "queries assigned to other images at random"
EXCHANGED = "the two exchanged at random, image by image"
FOREIGN_EXCHANGED = "the gallery and one of foreign images alone exchanged at random, image by image"
ONLY_CONTRAST = (
    "The unaltered gallery is searched no better than one of foreign images of the same contrast, so that there is nothing of"
    " which a share could be kept."
)
NOTHING_READ = "The unaltered gallery is searched no better than chance, so that there is nothing of which a share could be kept."


def share_of_above_chance(
    above: Float[np.ndarray, "row place"], full: Float[np.ndarray, "row"], n_images: int
) -> Float[np.ndarray, "row place"]:
    """Divide accuracies above chance, or differences of accuracies, by what the unaltered gallery has above chance.

    Rows under the null are divided by what the data's own gallery has: it is a null of the numerator.

    Parameters
    ----------
    above
        The value, then the resamples, then as many values under the null.
    full
        Top-1 accuracy of the unaltered gallery in the same rows.
    n_images
        Number of candidates: chance is one over it.

    Returns
    -------
    share
        NaN in rows in which the unaltered gallery has nothing above chance.

    Examples
    --------
    >>> full = np.array([0.6, 0.35, 0.1])
    >>> share_of_above_chance(np.array([[0.25], [0.25], [0.1]]), full, 10).round(2).ravel().tolist()
    [0.5, 1.0, 0.2]
    """
    return share_of(above, full - 1 / n_images)


def kept(
    accuracy: Float[np.ndarray, "row place"], full: Float[np.ndarray, "row"], n_images: int
) -> Float[np.ndarray, "row place"]:
    """Return the share of the unaltered gallery's accuracy above chance that other galleries keep.

    Parameters
    ----------
    accuracy
        Top-1 accuracy of other galleries; rows as in `share_of_above_chance`.
    full, n_images
        As there.
    """
    return share_of_above_chance(accuracy - 1 / n_images, full, n_images)


def share_of(above: Float[np.ndarray, "row place"], whole: Float[np.ndarray, "row"]) -> Float[np.ndarray, "row place"]:
    """Divide what galleries have above some floor by what the unaltered gallery has above it.

    Parameters
    ----------
    above
        The value, then the resamples, then as many values under the null, which are divided by the whole of the data.
    whole
        The same of the unaltered gallery, in the same rows; where it is not above 0 there is no share (NaN).
    """
    first_of_null = 1 + (len(whole) - 1) // 2
    whole = np.where(np.arange(len(whole)) < first_of_null, whole, whole[0])
    shares: np.ndarray = above / np.where(whole > 1e-12, whole, np.nan)[:, None]
    return shares
