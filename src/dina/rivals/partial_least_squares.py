"""Partial least squares: the directions of responses that covary most with image components, one after the other."""

import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float32
from sklearn.cross_decomposition import PLSRegression
from sklearn.exceptions import ConvergenceWarning

from dina.checks import DataError
from dina.data.pairs import Gallery, Pairs, Queries
from dina.retrieval.choice import mean_log_rank
from dina.rivals.cosine import cosine_all_rows
from dina.rivals.gabor_components import DESCRIPTIONS, ImageDescription
from dina.rivals.response_components import ResponseComponents
from dina.shapes import Scores

N_RESPONSE_COMPONENTS, N_IMAGE_COMPONENTS = 400, 100
RANKS = (5, 10, 20, 40, 60)
"""Numbers of latent directions tried on the validation images, times two descriptions of images times two scales."""

SCALE_POWERS = (0.0, 0.5)
"""Powers of their variance by which image components are scaled before: z-scored, or coarse ones larger."""


@dataclass(frozen=True, eq=False)
class _Fit:
    """The steps of one fit; the first few of them make the regression of lower rank."""

    description: ImageDescription
    scale: Float32[np.ndarray, "component"]
    mean: Float32[np.ndarray, "component"]
    rotations: Float32[np.ndarray, "response_component direction"]
    loadings: Float32[np.ndarray, "component direction"]


class PartialLeastSquares:
    r"""Regression of image components on response components through directions of largest covariance.

    Twenty settings are tried on the validation images: two descriptions of images (pixels; Gabor features) × two scales
    of their components × five numbers of directions. A candidate's score is the cosine between its components and the
    predicted ones. Responses enter by their 400 largest components, images by their 100 largest.

    Attributes
    ----------
    chosen
        The setting that validation chose, after `fit`.

    References
    ----------
    Wold, Sjöström & Eriksson (2001), Chemom. Intell. Lab. Syst. 58:109. https://doi.org/10.1016/S0169-7439(01)00155-1

    Pedregosa et al. (2011), J. Mach. Learn. Res. 12:2825, whose ``PLSRegression`` does the work.
    """

    reads: ClassVar[Literal["images", "templates", "truth"]] = "images"

    def __init__(self) -> None:
        self.name = "partial_least_squares"
        self.chosen: dict[str, str | float] = {}
        self._fitted: _Fit | None = None
        self._rank = 0

    def fit(self, train: Pairs, validation: Pairs) -> Self:
        """Learn from ``train``; choose description, scale and number of directions by ``validation``.

        Raises
        ------
        DataError
            If there are fewer than three training images, or responses do not vary.
        """
        self._responses = ResponseComponents.learn(train, N_RESPONSE_COMPONENTS)
        known, asked = (self._responses.encode(pairs.averaged()) for pairs in (train, validation))
        lowest = np.inf
        for name, kind in DESCRIPTIONS.items():
            description = kind.learn(train.images, min(N_IMAGE_COMPONENTS, train.n_stimuli - 1))
            shown, candidates = description.encode(train.images), description.encode(validation.images)
            for power in SCALE_POWERS:
                fitted = _regress(known, shown, description, power)
                for rank in sorted({min(rank, fitted.rotations.shape[1]) for rank in RANKS}):
                    loss = mean_log_rank(_compare(asked, candidates, fitted, rank))
                    if loss < lowest:
                        lowest, self._fitted, self._rank = loss, fitted, rank
                        self.chosen = {"images_as": name, "scale_power": power, "n_directions": rank}
        return self

    def score(self, queries: Queries, gallery: Gallery) -> Scores:
        """Return the cosine of predicted and candidate components, in [-1, 1].

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
    shown: Float32[np.ndarray, "stimulus component"],
    description: ImageDescription,
    power: float,
) -> _Fit:
    scale = description.deviation ** np.float32(2 * power)
    targets = shown * scale
    n_directions = min(max(RANKS), *known.shape, *targets.shape)
    model = PLSRegression(n_directions, scale=False, tol=1e-4)
    with warnings.catch_warnings():
        # directions of nearly equal covariance converge slowly and serve as they are; few targets are used up early
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message=".* residual is constant at iteration")
        model.fit(known, targets)
    rotations, loadings = (part.astype(np.float32) for part in (model.x_rotations_, model.y_loadings_))
    return _Fit(description, scale, targets.mean(axis=0), rotations, loadings)


def _compare(
    asked: Float32[np.ndarray, "query response_component"],
    candidates: Float32[np.ndarray, "gallery component"],
    fitted: _Fit,
    rank: int,
) -> Scores:
    predicted = asked @ fitted.rotations[:, :rank] @ fitted.loadings[:, :rank].T
    return cosine_all_rows(predicted, candidates * fitted.scale - fitted.mean)
