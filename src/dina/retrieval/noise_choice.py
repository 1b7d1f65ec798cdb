"""Which noise model of an encoding model finds images best: judged on training images, each left out, and on validation images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.models.noise import LowRankNoise, ResidualComponents, Residuals, decompose_residuals
from dina.retrieval.decoder import Candidate, Setting
from dina.retrieval.ranks import target_ranks

COMPONENT_COUNTS = (0, 2, 4, 8, 16, 32, 128)
"""Numbers of shared components that are tried."""

SHRINKAGES = (0.0, 0.3, 0.6)
"""Shrinkages of the correlations that they make."""

N_FOLDS = 4
MANY_IMAGES = 1000  # from which two folds are enough: half of them give nearly the same noise
MOST_QUERIES = 600
"""Training images that are found among each other, evenly spaced; with so many, differences of a hundredth can be seen."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Averaged responses and what the model expects: of training images, each predicted without itself, and of others."""

    responses: Float[Tensor, "stimulus neuron"]
    expected: Float[Tensor, "stimulus neuron"]
    other_responses: Float[Tensor, "other neuron"]
    other_expected: Float[Tensor, "other neuron"]

    @property
    def residuals(self) -> Float[Tensor, "stimulus neuron"]:
        """What left-out predictions leave unexplained."""
        return self.responses - self.expected


def judge_noises(
    predictions: Predictions,
    most: int | None = None,
    residuals: Float[Tensor, "row neuron"] | None = None,
    *,
    is_left_out: bool = True,
) -> Iterator[Candidate[LowRankNoise]]:
    """Yield noise models of every size and shrinkage, with scores of validation images and ranks of left-out training images.

    The noise under which a training image is looked for is estimated without that image's fold. At most ``most`` components are
    kept. ``residuals`` are taken in place of those of the predictions; differences between repeats need no folds, since they
    are independent of the averages. Training images take no part where they were not left out of what predicts them.
    """
    given = None if residuals is None else decompose_residuals(residuals)
    nobody = np.empty((len(COMPONENT_COUNTS) * len(SHRINKAGES), 0))
    ranks = _left_out_ranks(predictions, most, given) if is_left_out else nobody
    components = (
        decompose_residuals(Residuals(predictions.responses, predictions.expected), max(COMPONENT_COUNTS))
        if given is None
        else given
    )
    measured, expected = predictions.other_responses, predictions.other_expected
    left_out = iter(ranks)
    for noise, setting in _noises(components, most):  # neither enumerate nor zip: both hold on to the last one
        scores = noise.log_likelihood(measured, expected).cpu().numpy()
        # without what it has computed: the best one is kept beside others, for many neurons in hundreds of megabytes
        kept = LowRankNoise(noise.private, noise.loadings)
        del noise
        yield Candidate(kept, setting, scores, next(left_out))
        del kept


def _noises(components: ResidualComponents, most: int | None) -> Iterator[tuple[LowRankNoise, Setting]]:
    return components.noises(COMPONENT_COUNTS, SHRINKAGES, most)


def _left_out_ranks(
    predictions: Predictions, most: int | None, given: ResidualComponents | None
) -> Float[np.ndarray, "setting query"]:
    """Return the natural logarithm of the rank of every queried training image, for every noise model."""
    n_images = len(predictions.responses)
    queried = torch.linspace(0, n_images - 1, min(n_images, MOST_QUERIES)).round().long().to(predictions.responses.device)
    gallery = predictions.expected[queried]
    n_folds = N_FOLDS if n_images < MANY_IMAGES else 2
    fold = torch.arange(n_images, device=queried.device) * n_folds // n_images
    found: list[list[np.ndarray]] = []
    for number in range(n_folds):
        target = torch.where(fold[queried] == number)[0]
        others = Residuals(predictions.responses, predictions.expected, kept=fold != number)
        components = decompose_residuals(others, max(COMPONENT_COUNTS)) if given is None else given
        responses = predictions.responses[queried[target]]
        ranks: list[np.ndarray] = []
        for noise, _ in _noises(components, most):
            scores = noise.log_likelihood(responses, gallery)
            del noise  # before the next is made
            ranks.append(np.log(target_ranks(scores.cpu().numpy(), target.cpu().numpy())))
        found.append(ranks)
        del components
    return np.concatenate([np.stack(each) for each in found], axis=1)
