"""Partial least squares: the directions of responses that covary most with image components, one after the other."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from sklearn.cross_decomposition import PLSRegression
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import cosine_similarity

from dina.retrieval.decoder import Setting
from dina.rivals.validated_decoder import ImageDeviation, ImageRows, LinearRival, ResponseRows, ResponseVariance
from dina.shapes import Scores

# Numbers of latent directions tried on the validation images, times two descriptions of images times two scales.
RANKS = (5, 10, 20, 40, 60)

# Powers of their variance by which image components are scaled before: z-scored, or coarse ones larger.
SCALE_POWERS = (0.0, 0.5)


@dataclass(frozen=True, eq=False)
class LeastSquaresMap:
    """The steps of one fit; the first few of them make the regression of lower rank.

    Image components are multiplied by ``scale``, then ``mean`` is subtracted. ``rotations`` lead from response components to
    latent directions, ``loadings`` from these to image components.
    """

    scale: ImageDeviation
    mean: ImageDeviation
    rotations: Float32[np.ndarray, "response_component direction"]
    loadings: Float32[np.ndarray, "component direction"]

    @classmethod
    def fit(cls, responses: ResponseRows, images: ImageRows, scale: ImageDeviation) -> "LeastSquaresMap":
        """Find as many directions as are ever used; ``scale`` multiplies each image component."""
        targets = images * scale
        model = PLSRegression(min(max(RANKS), *responses.shape, *targets.shape), scale=False, tol=1e-4)
        with warnings.catch_warnings():
            # directions of nearly equal covariance converge slowly and serve as they are; few targets are used up early
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", message=".* residual is constant at iteration")
            model.fit(responses, targets)
        rotations, loadings = (part.astype(np.float32) for part in (model.x_rotations_, model.y_loadings_))
        return cls(scale, targets.mean(axis=0), rotations, loadings)

    def of_rank(self, rank: int) -> "LeastSquaresMap":
        """Return the map through the first few directions."""
        return replace(self, rotations=self.rotations[:, :rank], loadings=self.loadings[:, :rank])

    def compare(self, responses: ResponseRows, images: ImageRows) -> Scores:
        """Return the cosine of predicted and candidate components, in [-1, 1]."""
        predicted, shown = responses @ self.rotations @ self.loadings.T, images * self.scale - self.mean
        return np.asarray(cosine_similarity(predicted.astype(np.float64), shown.astype(np.float64)))


class PartialLeastSquares(LinearRival):
    r"""Regression of image components on response components through directions of largest covariance.

    Twenty settings are tried on the validation images: two descriptions of images (pixels; Gabor features) × two scales
    of their components × five numbers of directions. A candidate's score is the cosine between its components and the
    predicted ones. Responses enter by their 400 largest components, images by their 100 largest.

    References
    ----------
    Wold, Sjöström & Eriksson (2001), Chemom. Intell. Lab. Syst. 58:109. https://doi.org/10.1016/S0169-7439(01)00155-1

    Pedregosa et al. (2011), J. Mach. Learn. Res. 12:2825, whose ``PLSRegression`` does the work.
    """

    n_image_components: ClassVar[int] = 100
    n_response_components: ClassVar[int | None] = 400

    def __init__(self) -> None:
        super().__init__("partial_least_squares")

    def maps(
        self, variance: ResponseVariance, responses: ResponseRows, images: ImageRows, deviation: ImageDeviation
    ) -> Iterator[tuple[LeastSquaresMap, Setting]]:
        """Yield maps of every scale and number of directions."""
        for power in SCALE_POWERS:
            full = LeastSquaresMap.fit(responses, images, deviation ** np.float32(2 * power))
            for rank in sorted({min(rank, full.rotations.shape[1]) for rank in RANKS}):
                yield full.of_rank(rank), {"scale_power": power, "n_directions": rank}
