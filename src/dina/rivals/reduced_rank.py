"""Reduced-rank regression: responses predict image components through a few directions that matter for all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from sklearn.metrics.pairwise import cosine_similarity

from dina.models.global_ridge import eigenvectors_of
from dina.retrieval.decoder import Setting
from dina.rivals.validated_decoder import ImageDeviation, ImageRows, LinearRival, ResponseRows, ResponseVariance
from dina.shapes import Scores

N_COMPONENTS = 400
# Ranks tried on the validation images, times two descriptions of images times two scales of their components.
RANKS = (8, 25, 75, 200, N_COMPONENTS)

# Powers of their variance by which components are scaled before the regression: z-scored, or coarse ones larger.
SCALE_POWERS = (0.0, 0.5)

# Ridge penalties tried by leave-one-out, relative to the mean variance of a response component.
PENALTIES = np.logspace(-3, 3, 13)


@dataclass(frozen=True, eq=False)
class ReducedRankMap:
    """A ridge regression whose predictions are confined to their main directions.

    Image components are multiplied by ``scale``, then ``mean`` is subtracted. ``weights`` lead from response components to
    coordinates along ``directions``: orthonormal, by falling strength of the predictions. The penalty has the lowest
    leave-one-out error.
    """

    scale: ImageDeviation
    mean: ImageDeviation
    weights: Float32[np.ndarray, "response_component direction"]
    directions: Float32[np.ndarray, "component direction"]
    penalty: float

    @classmethod
    def fit(
        cls, responses: ResponseRows, variance: ResponseVariance, images: ImageRows, scale: ImageDeviation
    ) -> "ReducedRankMap":
        """Regress scaled components on response components, which are orthogonal, so that every penalty is a division."""
        scaled = images * scale
        mean = scaled.mean(axis=0)
        centred, n = scaled - mean, len(scaled)
        covariance = responses.T @ centred / n
        leverage = responses**2 / n
        best = (np.inf, 0.0)
        for penalty in PENALTIES:
            inverse = (1 / (variance + penalty * variance.mean())).astype(np.float32)
            # without image i: the residual divided by one minus its leverage, the mean included
            residual = centred - responses @ (inverse[:, None] * covariance)
            left_out = residual / np.maximum(1 - leverage @ inverse - 1 / n, 1e-3)[:, None]
            best = min(best, (float((left_out**2).mean()), float(penalty)))
        weights = covariance / (variance + best[1] * variance.mean()).astype(np.float32)[:, None]
        predicted = torch.from_numpy(responses @ weights)
        values, vectors = eigenvectors_of(predicted.T @ predicted)
        directions = vectors.flip(1)[:, : int((values > 1e-6 * values[-1]).sum())].numpy()
        return cls(scale, mean, weights @ directions, directions, best[1])

    def of_rank(self, rank: int) -> "ReducedRankMap":
        """Return the map along the first few directions."""
        return replace(self, weights=self.weights[:, :rank], directions=self.directions[:, :rank])

    def compare(self, responses: ResponseRows, images: ImageRows) -> Scores:
        """Return the cosine of predicted and candidate coordinates, in [-1, 1]."""
        shown = (images * self.scale - self.mean) @ self.directions
        return np.asarray(cosine_similarity((responses @ self.weights).astype(np.float64), shown.astype(np.float64)))


class ReducedRankRegression(LinearRival):
    r"""Ridge regression from responses to image components whose predictions are confined to their main directions.

    Twenty settings are tried on the validation images: two descriptions of images (pixels; Gabor features) × two scales
    of their components × five ranks. A candidate's score is the cosine, over the directions kept, of its
    coordinates with the predicted ones.

    Notes
    -----
    With the ridge predictions :math:`\hat Y` of the training images and the leading right singular vectors :math:`V_r`
    of :math:`\hat Y` the prediction is :math:`\hat Y V_r V_r^T`. The penalty has the lowest leave-one-out error.

    References
    ----------
    Izenman (1975), J. Multivar. Anal. 5:248. https://doi.org/10.1016/0047-259X(75)90042-1

    Mukherjee & Zhu (2011), Stat. Anal. Data Min. 4:612. https://doi.org/10.1002/sam.10138
    """

    n_image_components: ClassVar[int] = N_COMPONENTS
    penalties = PENALTIES

    def __init__(self) -> None:
        super().__init__("reduced_rank")

    def maps(
        self, variance: ResponseVariance, responses: ResponseRows, images: ImageRows, deviation: ImageDeviation
    ) -> Iterator[tuple[ReducedRankMap, Setting]]:
        """Yield maps of every scale and rank."""
        for power in SCALE_POWERS:
            full = ReducedRankMap.fit(responses, variance, images, deviation ** np.float32(2 * power))
            for rank in sorted({min(rank, full.directions.shape[1]) for rank in RANKS}):
                yield full.of_rank(rank), {"scale_power": power, "rank": rank, "penalty": full.penalty}
