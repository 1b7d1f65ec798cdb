"""Principal components of averaged training responses: where linear maps with more neurons than images are solved."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.eigenvectors import eigenvectors_of
from dina.shapes import StimulusResponses


@dataclass(frozen=True, eq=False)
class ResponseComponents:
    """Orthogonal directions of the training responses, by falling variance.

    Parameters
    ----------
    mean
        Of the averaged training responses, shape ``(n_neurons,)``.
    directions
        Orthonormal, shape ``(n_neurons, n_components)``.
    variance
        Of the training responses along each direction, positive, shape ``(n_components,)``.
    """

    mean: Float32[np.ndarray, "neuron"]
    directions: Float32[np.ndarray, "neuron component"]
    variance: Float32[np.ndarray, "component"]

    @classmethod
    def learn(cls, train: Pairs, n_components: int | None = None) -> "ResponseComponents":
        """Find the directions with variance, at most ``n_components`` of them.

        Raises
        ------
        DataError
            If there are fewer than three images, or responses do not vary over them.
        """
        if train.n_stimuli < 3:
            raise DataError(f"Linear decoding needs at least three training images; got {train.n_stimuli}. Take a larger split.")
        responses = train.averaged()
        mean = responses.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = torch.from_numpy(responses - mean)
        n, by_image = len(centred), len(centred) <= centred.shape[1]
        values, vectors = eigenvectors_of((centred @ centred.T if by_image else centred.T @ centred) / n)
        keep = torch.where(values > 1e-6 * values[-1].clamp_min(1e-12))[0].flip(0)[:n_components]
        if not len(keep):
            raise DataError("Linear decoding needs responses that vary over the training images; all are constant.")
        directions = vectors[:, keep]
        if by_image:
            directions = centred.T @ directions / (values[keep] * n).sqrt()
        return cls(mean, directions.numpy(), values[keep].numpy())

    def encode(self, responses: StimulusResponses) -> Float32[np.ndarray, "query component"]:
        """Return the components of responses; their training variances are ``variance``."""
        return (responses.astype(np.float32) - self.mean) @ self.directions
