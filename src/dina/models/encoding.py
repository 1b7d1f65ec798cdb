"""Encoding models: the response that an image is expected to evoke, and how probable a measured response then is."""

import math
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from dina.large_arrays import blocks_of
from dina.models.field_centres import estimate_centres
from dina.models.global_ridge import GlobalWeights, fit_global_ridge
from dina.models.local_ridge import FITTING, LocalWeights, choose_width, fit_local_ridge
from dina.models.noise import NEURONS_AT_ONCE, LowRankNoise, ResidualComponents, Residuals
from dina.models.towers.image.contrast_gain import expect_by_place

# Most images over which evidence is averaged; with a quarter of them, retrieval of responses is noticeably worse.
N_TYPICAL = 2048
IMAGES_AT_ONCE = 256  # whose responses of many neurons are divided by the noise

Weights = TypeVar("Weights", LocalWeights, GlobalWeights)


@dataclass(frozen=True, eq=False)
class Windows:
    """Where on the map each neuron's weights may lie: Gaussian windows of one width, centres and width in places of the map.

    ``order`` is the highest order of the patterns inside (`dina.models.towers.field_basis.hermite_fields`).
    """

    centre: Float[Tensor, "neuron 2"]
    width: float
    order: int

    @classmethod
    def find(
        cls,
        maps: Float[Tensor, "stimulus channel height width"],
        responses: Float[Tensor, "stimulus neuron"],
        widths: tuple[float, ...],
        order: int,
    ) -> Self:
        """Estimate the centres from training images, and choose the width that predicts left-out training images best.

        A map of a single place has a single pattern; there the first width and order 0 are taken.
        """
        centre = estimate_centres(maps, responses)
        if maps.shape[2] * maps.shape[3] == 1:
            return cls(centre, widths[0], 0)
        width = choose_width(maps, responses, centre, widths, order) if len(widths) > 1 else widths[0]
        return cls(centre, width, order)


@dataclass(frozen=True, eq=False)
class EncodingModel(Generic[Weights]):
    """What drives every neuron, and the noise about it; after `fit` the noise is that of each neuron alone.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> maps = torch.randn(50, 1, 5, 5, generator=generator)
    >>> responses = maps[:, 0, 2, 2:4].clone()
    >>> windows = Windows.find(maps, responses, (0.5, 1.0), 1)
    >>> model = EncodingModel.fit(maps, responses, windows)
    >>> bool((model.weights.explained > 0.9).all())
    True
    >>> model.log_likelihood(responses, model.weights.predict(maps[:3])).shape
    torch.Size([50, 3])
    """

    weights: Weights
    noise: LowRankNoise

    @staticmethod
    def fit(
        maps: Float[Tensor, "stimulus channel height width"],
        responses: Float[Tensor, "stimulus neuron"],
        windows: Windows,
        prior: Float[Tensor, "feature feature"] | None = None,
        words: str = FITTING,
    ) -> "EncodingModel[LocalWeights]":
        """Fit ridge weights of every neuron inside its window to averaged training responses.

        ``prior`` comes from `dina.models.local_ridge.learn_prior`; None means independent weights. Progress calls the fit ``words``.
        """
        weights = fit_local_ridge(maps, responses, windows.centre[:, None], windows.width, windows.order, prior, words)
        return EncodingModel(weights, ResidualComponents.none(Residuals(responses, weights.predicted)).noise(0, 1.0))

    @staticmethod
    def fit_everywhere(
        maps: Float[Tensor, "stimulus channel height width"], responses: Float[Tensor, "stimulus neuron"]
    ) -> "EncodingModel[GlobalWeights]":
        """Fit ridge weights of every neuron over the whole map."""
        weights = fit_global_ridge(maps, responses)
        return EncodingModel(weights, ResidualComponents.none(Residuals(responses, weights.predicted)).noise(0, 1.0))

    def log_likelihood(
        self, responses: Float[Tensor, "query neuron"], expected: Float[Tensor, "image neuron"]
    ) -> Float[Tensor, "query image"]:
        """Return the log likelihood of responses given expected ones, up to a term of the response alone."""
        return self.noise.log_likelihood(responses, expected)

    def information(
        self,
        responses: Float[Tensor, "query neuron"],
        expected: Float[Tensor, "image neuron"],
        relative_presentations: Float[Tensor, "query"],
    ) -> Float[Tensor, "query image"]:
        """Return log p(response | image) − log p(response), the second averaged over the training images (`log_evidence`)."""
        typical = self.log_likelihood(responses, choose_typical(self.weights.predicted))
        evidence = log_evidence(typical, relative_presentations)
        return self.log_likelihood(responses, expected) - evidence[:, None]


def log_evidence(
    log_likelihood: Float[Tensor, "query typical"], relative_presentations: Float[Tensor, "query"]
) -> Float[Tensor, "query"]:
    r"""Return log p(response), averaged over typical images, in the units of the scores.

    Scores minus this are pointwise mutual information, by which images find their responses as well as responses their images.
    It is the same for all candidates, so their order stays. The likelihood is that for the noise of a training average;
    ``relative_presentations`` is presentations behind each response ÷ those behind a training average.

    Notes
    -----
    :math:`\frac1a \log \frac1n \sum_j e^{a \ell_j}` with :math:`a` the relative number of presentations.

    Examples
    --------
    >>> log_evidence(torch.full((1, 4), 3.0), torch.ones(1))
    tensor([3.])
    """
    weight = relative_presentations[:, None]
    total = torch.logsumexp(weight * log_likelihood.double(), dim=1) - math.log(log_likelihood.shape[1])
    return (total / relative_presentations).to(log_likelihood.dtype)


def choose_typical(
    expected: Float[Tensor, "stimulus neuron"], dtype: torch.dtype | None = None
) -> Float[Tensor, "typical neuron"]:
    """Return the expected responses to at most `N_TYPICAL` images, evenly spaced; as numbers of their own kind, or of another."""
    rows = torch.linspace(0, len(expected) - 1, min(len(expected), N_TYPICAL)).round().long().to(expected.device)
    typical = torch.empty(len(rows), expected.shape[1], dtype=dtype or expected.dtype, device=expected.device)
    for some in blocks_of(len(rows), IMAGES_AT_ONCE):
        typical[some] = expected[rows[some]]
    return typical


def calibrate_by_contrast(
    responses: Float[Tensor, "stimulus neuron"],
    predicted: Float[Tensor, "stimulus neuron"],
    noise: LowRankNoise,
    knot_weights: Float[Tensor, "stimulus knot"],
) -> Float[Tensor, "knot"]:
    r"""Return the gain of the leave-one-out predictions at each knot of contrast, at least 0.

    Ridge weights are shrunk for the average image: predictions are too large for faint images, too small for strong ones.
    ``responses`` and ``predicted`` are relative to the mean at their contrast; dividing by the noise makes reliable neurons
    count.

    Notes
    -----
    Minimises :math:`\sum_i \lVert y_i - g_i p_i \rVert^2_{\Sigma^{-1}}` over :math:`g_i` piecewise linear in the
    logarithm of contrast.
    """
    at_once = len(responses) if responses.shape[1] <= NEURONS_AT_ONCE else IMAGES_AT_ONCE
    agreement, power = predicted.new_empty(len(predicted)), predicted.new_empty(len(predicted))
    for some in blocks_of(len(predicted), at_once):
        whitened = noise.divide(predicted[some])
        agreement[some], power[some] = (whitened * responses[some]).sum(1), (whitened * predicted[some]).sum(1)
    gram = knot_weights.T @ (knot_weights * power[:, None])
    ridge = 1e-4 * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device)
    # the pull is towards 1: where no image tells, predictions are taken as they are
    right = knot_weights.T @ agreement + ridge.diagonal()
    return torch.linalg.solve(gram + ridge, right).clamp_min(0.0)


def shift_by_contrast(
    maps: Float[Tensor, "stimulus channel height width"],
    knots: Float[Tensor, "stimulus knot"],
    expected: Float[Tensor, "knot channel height width"],
    chunk: int = 64,
) -> None:
    """Add to every map, in place, the map expected at its contrast."""
    for some, part in zip(torch.split(knots, chunk), torch.split(maps.permute(2, 3, 0, 1), chunk, dim=2), strict=True):
        part += expect_by_place(some, expected).to(maps.dtype)
