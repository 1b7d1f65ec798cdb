"""Regularised canonical correlation: the directions of responses and of images that vary together."""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Float32
from sklearn.model_selection import KFold

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.eigenvectors import eigenvectors_of
from dina.randomness import seed_for
from dina.retrieval.choice import mean_log_rank
from dina.rivals.gabor_components import DESCRIPTIONS, ImageDescription
from dina.rivals.response_components import ResponseComponents
from dina.shapes import Scores

COMPONENT_COUNTS = (100, 400)
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Penalties on directions of the responses, relative to their mean variance; tried on the validation images, times two
numbers of image components times two descriptions of images."""

N_FOLDS = 5
HIGHEST_CORRELATION = 0.99

Rows = Float32[np.ndarray, "row component"]


class _Directions(NamedTuple):
    """What turns response components and image components into canonical variates."""

    responses: Float32[np.ndarray, "response_component variate"]
    images: Float32[np.ndarray, "component variate"]


@dataclass(frozen=True, eq=False)
class _Fit:
    description: ImageDescription
    n_components: int
    directions: _Directions
    correlation: Float32[np.ndarray, "variate"]
    response_deviation: Float32[np.ndarray, "variate"]
    image_deviation: Float32[np.ndarray, "variate"]


class CanonicalCorrelation:
    r"""Canonical variates of responses and images, and the probability that two of them belong together.

    The linear limit of two aligned towers. Twenty settings are tried on the validation images: two descriptions of
    images (pixels; Gabor features) × two numbers of their components × five ridge penalties on the responses.

    With more neurons than images, variates of the training images correlate almost perfectly whatever the penalty.
    Correlations and deviations therefore come from images left out of five folds inside the training images.

    Parameters
    ----------
    seed
        Of the folds.

    Attributes
    ----------
    chosen
        The setting that validation chose, after `fit`.

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

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self, seed: int = 0) -> None:
        self.name = "canonical_correlation"
        self.seed = seed
        self.chosen: dict[str, str | float] = {}
        self._fitted: _Fit | None = None

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn from ``train``; choose description, number of components and penalty by ``validation``.

        Raises
        ------
        DataError
            If there are fewer than three training images, or responses do not vary.
        """
        self._responses = ResponseComponents.learn(train)
        known, asked = (self._responses.encode(pairs.averaged()) for pairs in (train, validation))
        folds = self._split(known)
        lowest = np.inf
        for name, kind in DESCRIPTIONS.items():
            description = kind.learn(train.images, min(max(COMPONENT_COUNTS), train.n_stimuli - 1))
            shown, candidates = description.encode(train.images), description.encode(validation.images)
            for count in sorted({min(count, shown.shape[1]) for count in COMPONENT_COUNTS}):
                for penalty in PENALTIES:
                    directions = _solve(known, self._responses.variance, shown[:, :count], penalty)
                    fitted = _Fit(description, count, directions, *_left_out(folds, shown[:, :count], penalty))
                    loss = mean_log_rank(_compare(asked, candidates, fitted))
                    if loss < lowest:
                        lowest, self._fitted = loss, fitted
                        self.chosen = {"images_as": name, "image_components": count, "penalty": penalty}
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the pointwise mutual information of responses and candidates, up to a constant, in nats.

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self._fitted is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        asked = self._responses.encode(queries.responses)
        return _compare(asked, self._fitted.description.encode(gallery.images), self._fitted)

    def _split(self, known: Rows) -> "list[_Fold]":
        folds = KFold(min(N_FOLDS, len(known)), shuffle=True, random_state=seed_for(self.seed, "canonical folds") % 2**32)
        return [_Fold.learn(known, inside, outside) for inside, outside in folds.split(known)]


@dataclass(frozen=True, eq=False)
class _Fold:
    """Response components learnt inside a fold, of the images inside and of those left out."""

    rows: np.ndarray
    rows_out: np.ndarray
    inside: Rows
    outside: Float32[np.ndarray, "row_out component"]
    variance: Float32[np.ndarray, "component"]

    @classmethod
    def learn(cls, known: Rows, rows: np.ndarray, rows_out: np.ndarray) -> "_Fold":
        inside = torch.from_numpy(known[rows])
        mean = inside.mean(0)
        inside = inside - mean
        values, vectors = eigenvectors_of(inside @ inside.T / len(rows))
        keep = values > 1e-6 * values[-1]
        deviation = (values[keep] * len(rows)).sqrt()
        directions = inside.T @ vectors[:, keep] / deviation
        outside = (torch.from_numpy(known[rows_out]) - mean) @ directions
        return cls(rows, rows_out, (vectors[:, keep] * deviation).numpy(), outside.numpy(), values[keep].numpy())


def _solve(
    known: Float32[np.ndarray, "row response_component"],
    variance: Float32[np.ndarray, "response_component"],
    shown: Rows,
    penalty: float,
) -> _Directions:
    """Find canonical directions; response components are orthogonal, image components too and of unit variance."""
    whitening = (1 / np.sqrt(variance + penalty * variance.mean())).astype(np.float32)[:, None]
    coupling = torch.from_numpy(whitening * (known.T @ (shown - shown.mean(axis=0)) / np.float32(len(known))))
    _, vectors = eigenvectors_of(coupling.T @ coupling)
    images = vectors.flip(1)
    responses = coupling @ images
    responses = responses / responses.norm(dim=0).clamp_min(1e-12)
    return _Directions(whitening * responses.numpy(), images.numpy())


def _left_out(
    folds: list[_Fold], shown: Rows, penalty: float
) -> tuple[Float32[np.ndarray, "variate"], Float32[np.ndarray, "variate"], Float32[np.ndarray, "variate"]]:
    """Return correlation and deviations of the variates of images left out of each fold, matched by their order."""
    product, of_responses, of_images = (np.zeros(shown.shape[1]) for _ in range(3))
    n = sum(len(fold.rows_out) for fold in folds)
    for fold in folds:
        directions = _solve(fold.inside, fold.variance, shown[fold.rows], penalty)
        first = fold.outside @ directions.responses
        second = (shown[fold.rows_out] - shown[fold.rows].mean(axis=0)) @ directions.images
        product += (first * second).sum(axis=0)
        of_responses += (first**2).sum(axis=0)
        of_images += (second**2).sum(axis=0)
    spread = np.sqrt(of_responses * of_images)
    correlation = np.divide(product, spread, out=np.zeros_like(spread), where=spread > 0)
    first, second = (np.sqrt(np.maximum(each / n, 1e-12)).astype(np.float32) for each in (of_responses, of_images))
    return np.clip(correlation, 0.0, HIGHEST_CORRELATION).astype(np.float32), first, second


def _compare(
    asked: Float32[np.ndarray, "query response_component"], candidates: Float32[np.ndarray, "gallery component"], fitted: _Fit
) -> Scores:
    first = asked @ fitted.directions.responses / fitted.response_deviation
    second = candidates[:, : fitted.n_components] @ fitted.directions.images / fitted.image_deviation
    strength = fitted.correlation / (1 - fitted.correlation**2)
    own = 0.5 * strength * fitted.correlation
    return (first * strength) @ second.T - (first**2 @ own)[:, None] - (second**2 @ own)[None, :]
