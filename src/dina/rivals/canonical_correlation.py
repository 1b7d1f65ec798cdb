"""Regularised canonical correlation: the directions of responses and of images that vary together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from sklearn.model_selection import KFold

from dina.models.global_ridge import eigenvectors_of
from dina.randomness import seed_for
from dina.retrieval.decoder import Setting
from dina.rivals.validated_decoder import ImageDeviation, ImageRows, LinearRival, ResponseRows, ResponseVariance
from dina.shapes import Scores

COMPONENT_COUNTS = (100, 400)
# Penalties on directions of the responses, relative to their mean variance; tried on the validation images, times two
# numbers of image components times two descriptions of images.
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)

N_FOLDS = 5
HIGHEST_CORRELATION = 0.99

Variates = Float32[np.ndarray, "variate"]


class CanonicalDirections(NamedTuple):
    """What turns response components and image components into canonical variates."""

    responses: Float32[np.ndarray, "response_component variate"]
    images: Float32[np.ndarray, "component variate"]

    @classmethod
    def solve(
        cls, responses: ResponseRows, variance: ResponseVariance, images: ImageRows, penalty: float
    ) -> "CanonicalDirections":
        """Find the directions between orthogonal components of responses and orthogonal, unit-variance ones of images.

        The penalty on directions of the responses is relative to their mean ``variance``.
        """
        whitening = (1 / np.sqrt(variance + penalty * variance.mean())).astype(np.float32)[:, None]
        coupling = torch.from_numpy(whitening * (responses.T @ (images - images.mean(axis=0)) / np.float32(len(responses))))
        _, vectors = eigenvectors_of(coupling.T @ coupling)
        of_images = vectors.flip(1)
        of_responses = coupling @ of_images
        of_responses = of_responses / of_responses.norm(dim=0).clamp_min(1e-12)
        return cls(whitening * of_responses.numpy(), of_images.numpy())


@dataclass(frozen=True, eq=False)
class CanonicalMap:
    """Canonical variates, with their correlations and standard deviations over left-out images."""

    directions: CanonicalDirections
    correlation: Variates
    response_deviation: Variates
    image_deviation: Variates

    def compare(self, responses: ResponseRows, images: ImageRows) -> Scores:
        """Return the pointwise mutual information of responses and candidates, up to a constant, in nats."""
        first = responses @ self.directions.responses / self.response_deviation
        second = images[:, : len(self.directions.images)] @ self.directions.images / self.image_deviation
        strength = self.correlation / (1 - self.correlation**2)
        power = 0.5 * strength * self.correlation
        return (first * strength) @ second.T - (first**2 @ power)[:, None] - (second**2 @ power)[None, :]


class CanonicalCorrelation(LinearRival):
    r"""Canonical variates of responses and images, and the probability that two of them belong together.

    The linear limit of two aligned towers. Twenty settings are tried on the validation images: two descriptions of
    images (pixels; Gabor features) × two numbers of their components × five ridge penalties on the responses.

    With more neurons than images, variates of the training images correlate almost perfectly whatever the penalty.
    Correlations and deviations therefore come from images left out of five folds inside the training images.

    Parameters
    ----------
    seed
        Of the folds.

    Notes
    -----
    With variates :math:`a_k` of the response and :math:`b_k` of the image, standardised, and their correlation
    :math:`\rho_k` over left-out images, the score is the pointwise mutual information of jointly Gaussian variates, up
    to a constant,

    .. math:: \sum_k \frac{\rho_k a_k b_k - \tfrac12 \rho_k^2 (a_k^2 + b_k^2)}{1 - \rho_k^2}

    References
    ----------
    Hotelling (1936), Biometrika 28:321. https://doi.org/10.1093/biomet/28.3-4.321; with a ridge: Vinod (1976), J.
    Econometrics 4:147. https://doi.org/10.1016/0304-4076(76)90010-5
    """

    n_image_components: ClassVar[int] = max(COMPONENT_COUNTS)
    penalties = PENALTIES

    def __init__(self, seed: int = 0) -> None:
        super().__init__("canonical_correlation")
        self.seed = seed

    def maps(
        self, variance: ResponseVariance, responses: ResponseRows, images: ImageRows, deviation: ImageDeviation
    ) -> Iterator[tuple[CanonicalMap, Setting]]:
        """Yield maps of every number of image components and penalty."""
        folds = CanonicalFolds.learn(responses, self.seed)
        for count in sorted({min(count, images.shape[1]) for count in COMPONENT_COUNTS}):
            for penalty in PENALTIES:
                directions = CanonicalDirections.solve(responses, variance, images[:, :count], penalty)
                linear_map = CanonicalMap(directions, *folds.left_out(images[:, :count], penalty))
                yield linear_map, {"image_components": count, "penalty": penalty}


class CanonicalFolds:
    """Response components of parts of the training images, each left out in turn to test variates learnt from the others."""

    def __init__(self, folds: "list[_Fold]") -> None:
        self.folds = folds

    @classmethod
    def learn(cls, responses: ResponseRows, seed: int) -> "CanonicalFolds":
        """Divide the images at random, and learn response components inside each fold."""
        folds = KFold(min(N_FOLDS, len(responses)), shuffle=True, random_state=seed_for(seed, "canonical folds") % 2**32)
        return cls([_Fold.learn(responses, inside, outside) for inside, outside in folds.split(responses)])

    def left_out(self, images: ImageRows, penalty: float) -> tuple[Variates, Variates, Variates]:
        """Return correlation and deviations of the variates of images left out of each fold, matched by their order."""
        product, of_responses, of_images = (np.zeros(images.shape[1]) for _ in range(3))
        n = sum(len(fold.rows_out) for fold in self.folds)
        for fold in self.folds:
            directions = CanonicalDirections.solve(fold.inside, fold.variance, images[fold.rows], penalty)
            first = fold.outside @ directions.responses
            second = (images[fold.rows_out] - images[fold.rows].mean(axis=0)) @ directions.images
            product += (first * second).sum(axis=0)
            of_responses += (first**2).sum(axis=0)
            of_images += (second**2).sum(axis=0)
        spread = np.sqrt(of_responses * of_images)
        correlation = np.divide(product, spread, out=np.zeros_like(spread), where=spread > 0)
        first, second = (np.sqrt(np.maximum(each / n, 1e-12)).astype(np.float32) for each in (of_responses, of_images))
        return np.clip(correlation, 0.0, HIGHEST_CORRELATION).astype(np.float32), first, second


@dataclass(frozen=True, eq=False)
class _Fold:
    """Response components learnt inside a fold, of the images inside and of those left out."""

    rows: np.ndarray
    rows_out: np.ndarray
    inside: ImageRows
    outside: Float32[np.ndarray, "row_out component"]
    variance: Float32[np.ndarray, "component"]

    @classmethod
    def learn(cls, known: ResponseRows, rows: np.ndarray, rows_out: np.ndarray) -> "_Fold":
        inside = torch.from_numpy(known[rows])
        mean = inside.mean(0)
        inside = inside - mean
        values, vectors = eigenvectors_of(inside @ inside.T / len(rows))
        keep = values > 1e-6 * values[-1]
        deviation = (values[keep] * len(rows)).sqrt()
        directions = inside.T @ vectors[:, keep] / deviation
        outside = (torch.from_numpy(known[rows_out]) - mean) @ directions
        return cls(rows, rows_out, (vectors[:, keep] * deviation).numpy(), outside.numpy(), values[keep].numpy())
