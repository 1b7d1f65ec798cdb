"""Accuracies as shares of what the unaltered gallery has above chance."""

import numpy as np
from jaxtyping import Float

NULL = "queries assigned to other images at random"
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
    whole = full - 1 / n_images
    first_of_null = 1 + (len(full) - 1) // 2
    whole = np.where(np.arange(len(full)) < first_of_null, whole, whole[0])
    shares: np.ndarray = above / np.where(whole > 1e-12, whole, np.nan)[:, None]
    return shares


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
