"""Reduced-rank regression: responses predict image components through a few directions that matter for all of them."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from jaxtyping import Float32

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.models.eigenvectors import eigenvectors_of
from dina.retrieval.choice import mean_log_rank
from dina.rivals.cosine import cosine_all_rows
from dina.rivals.gabor_components import DESCRIPTIONS, ImageDescription
from dina.rivals.response_components import ResponseComponents
from dina.shapes import Scores

N_COMPONENTS = 400
RANKS = (8, 25, 75, 200, N_COMPONENTS)
"""Ranks tried on the validation images, times two descriptions of images times two scales of their components."""

SCALE_POWERS = (0.0, 0.5)
"""Powers of their variance by which components are scaled before the regression: z-scored, or coarse ones larger."""

PENALTIES = np.logspace(-3, 3, 13)
"""Ridge penalties tried by leave-one-out, relative to the mean variance of a response component."""


@dataclass(frozen=True, eq=False)
class _Fit:
    """One regression with all its directions; of these, validation chooses how many are kept."""

    description: ImageDescription
    scale: Float32[np.ndarray, "component"]
    mean: Float32[np.ndarray, "component"]
    weights: Float32[np.ndarray, "response_component direction"]
    directions: Float32[np.ndarray, "component direction"]


class ReducedRankRegression:
    r"""Ridge regression from responses to image components whose predictions are confined to their main directions.

    Twenty settings are tried on the validation images: two descriptions of images (pixels; Gabor features) × two scales
    of their components × five ranks. A candidate's score is the cosine, over the directions kept, of its
    coordinates with the predicted ones.

    Attributes
    ----------
    chosen
        The setting that validation chose, after `fit`.

    Notes
    -----
    With the ridge predictions :math:`\hat Y` of the training images and the leading right singular vectors :math:`V_r`
    of :math:`\hat Y` the prediction is :math:`\hat Y V_r V_r^T`. The penalty has the lowest leave-one-out error.

    References
    ----------
    Izenman (1975), J. Multivar. Anal. 5:248. https://doi.org/10.1016/0047-259X(75)90042-1

    Mukherjee & Zhu (2011), Stat. Anal. Data Min. 4:612. https://doi.org/10.1002/sam.10138
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self) -> None:
        self.name = "reduced_rank"
        self.chosen: dict[str, str | float] = {}
        self._fitted: _Fit | None = None
        self._rank = 0

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn from ``train``; choose description, scale and rank by ``validation``.

        Raises
        ------
        DataError
            If there are fewer than three training images, or responses do not vary.
        """
        self._responses = ResponseComponents.learn(train)
        known, asked = (self._responses.encode(pairs.averaged()) for pairs in (train, validation))
        lowest = np.inf
        for name, kind in DESCRIPTIONS.items():
            description = kind.learn(train.images, min(N_COMPONENTS, train.n_stimuli - 1))
            targets, candidates = description.encode(train.images), description.encode(validation.images)
            for power in SCALE_POWERS:
                fitted, penalty = _regress(known, self._responses.variance, targets, description, power)
                for rank in sorted({min(rank, fitted.directions.shape[1]) for rank in RANKS}):
                    loss = mean_log_rank(_compare(asked, candidates, fitted, rank))
                    if loss < lowest:
                        lowest, self._fitted, self._rank = loss, fitted, rank
                        self.chosen = {"images_as": name, "scale_power": power, "rank": rank, "penalty": penalty}
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the cosine of predicted and candidate coordinates, in [-1, 1].

        Raises
        ------
        DataError
            If `fit` was not called.
        """
        if self._fitted is None:
            raise DataError("A decoder must be fitted before it scores; call fit(train, validation) first.")
        asked = self._responses.encode(queries.responses)
        return _compare(asked, self._fitted.description.encode(gallery.images), self._fitted, self._rank)


def _regress(
    known: Float32[np.ndarray, "stimulus response_component"],
    variance: Float32[np.ndarray, "response_component"],
    targets: Float32[np.ndarray, "stimulus component"],
    description: ImageDescription,
    power: float,
) -> tuple[_Fit, float]:
    """Regress scaled components on response components, which are orthogonal, so that every penalty is a division."""
    scale = description.deviation ** np.float32(2 * power)
    scaled = targets * scale
    mean = scaled.mean(axis=0)
    centred, n = scaled - mean, len(scaled)
    covariance = known.T @ centred / n
    leverage = known**2 / n
    best = (np.inf, 0.0)
    for penalty in PENALTIES:
        inverse = (1 / (variance + penalty * variance.mean())).astype(np.float32)
        # without image i: the residual divided by one minus its leverage, the mean included
        left_out = (centred - known @ (inverse[:, None] * covariance)) / np.maximum(1 - leverage @ inverse - 1 / n, 1e-3)[:, None]
        best = min(best, (float((left_out**2).mean()), float(penalty)))
    weights = covariance / (variance + best[1] * variance.mean()).astype(np.float32)[:, None]
    predicted = torch.from_numpy(known @ weights)
    values, vectors = eigenvectors_of(predicted.T @ predicted)
    directions = vectors.flip(1)[:, : int((values > 1e-6 * values[-1]).sum())].numpy()
    return _Fit(description, scale, mean, weights @ directions, directions), best[1]


def _compare(
    asked: Float32[np.ndarray, "query response_component"],
    candidates: Float32[np.ndarray, "gallery component"],
    fitted: _Fit,
    rank: int,
) -> Scores:
    predicted = asked @ fitted.weights[:, :rank]
    shown = (candidates * fitted.scale - fitted.mean) @ fitted.directions[:, :rank]
    return cosine_all_rows(predicted, shown)
