"""Which category a description of images speaks for: Gaussian classes with one shared covariance, read from main components."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int

MOST_COMPONENTS = 256
SHRINKAGE = 0.1


@dataclass(frozen=True, eq=False)
class CategoryReadout:
    """A linear readout of category in which every category is equally probable beforehand.

    Parameters
    ----------
    mean
        Of the features over training images.
    weights, offset
        Of the linear discriminants, one for each category.
    """

    mean: Float[np.ndarray, "feature"]
    weights: Float[np.ndarray, "feature category"]
    offset: Float[np.ndarray, "category"]

    @classmethod
    def fit(cls, features: Float[np.ndarray, "image feature"], category: Int[np.ndarray, "image"]) -> Self:
        """Learn class means and their shared covariance from training images.

        Parameters
        ----------
        features
            In any unit, shape ``(n_images, n_features)``; their largest principal components are used.
        category
            Of each image, from 0, none without images.

        Examples
        --------
        >>> features = np.array([[0.0, 5.0], [0.2, 5.0], [2.0, 5.0], [2.2, 5.0]])
        >>> CategoryReadout.fit(features, np.array([0, 0, 1, 1])).guess(np.array([[0.1, 5.0], [1.9, 5.0]]))
        array([0, 1])
        """
        values = features.astype(np.float64)
        mean = values.mean(axis=0)
        directions = _principal_directions(values - mean)
        components = (values - mean) @ directions
        members = np.eye(int(category.max()) + 1)[category]
        centres = members.T @ components / members.sum(axis=0)[:, None]
        left = components - centres[category]
        covariance = left.T @ left / max(1, len(left) - len(centres))
        size = np.trace(covariance) / len(covariance)
        shrunk = (1 - SHRINKAGE) * covariance + (SHRINKAGE * size + 1e-12) * np.eye(len(covariance))
        weights = np.linalg.solve(shrunk, centres.T)
        return cls(mean, directions @ weights, -0.5 * (centres.T * weights).sum(axis=0))

    def guess(self, features: Float[np.ndarray, "image feature"]) -> Int[np.ndarray, "image"]:
        """Return the most probable category of each image."""
        return np.asarray(((features - self.mean) @ self.weights + self.offset).argmax(axis=1))


def _principal_directions(centred: np.ndarray) -> Float[np.ndarray, "feature component"]:
    """Return the directions of largest variance, from the smaller of the two Gram matrices."""
    n_images, n_features = centred.shape
    if n_features <= n_images:
        return np.asarray(np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :MOST_COMPONENTS])
    variance, vectors = np.linalg.eigh(centred @ centred.T)
    kept = (variance > 1e-10 * variance[-1]).nonzero()[0][::-1][:MOST_COMPONENTS]
    return np.asarray(centred.T @ vectors[:, kept] / np.sqrt(variance[kept]))
