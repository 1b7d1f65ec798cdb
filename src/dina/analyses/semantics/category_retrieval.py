"""Retrieval by decoders that use category, low-level structure or both, and the information of each about the image, in bits."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from torch import Tensor

from dina.analyses.semantics.category_models import CategoryModels, ModelledImages
from dina.analyses.semantics.linear_models import fit_category_effects, left_out_effects
from dina.models.noise import LowRankNoise, decompose_residuals
from dina.shapes import Scores

COMPONENT_COUNTS = (0, 32, 128)
SHRINKAGE = 0.3
LAPSE = 0.02
"""Probability that a decoder guesses: no query, however surely misread, then weighs more than a few bits."""

DECODERS = ("low_level", "category", "joint")
DRAWN = "categories drawn from the probabilities that low-level structure gives them"
EXCHANGED = "low-level structure of other images of the same category"
ELSEWHERE = "pairs permuted over images"


@dataclass(frozen=True, eq=False)
class LikelihoodDecoder:
    """The noise about an encoding model, of the residuals on training images left out of its fit, and how far to trust it.

    The log likelihood is multiplied by ``sharpness``, in (0, 1] and chosen on validation images, before it is turned into a
    probability.
    """

    noise: LowRankNoise
    sharpness: float

    def score(self, responses: Float[Tensor, "query neuron"], evoked: Float[Tensor, "gallery neuron"]) -> Scores:
        """Return the log likelihood of every candidate up to a term of the query alone."""
        return _score(responses, evoked, self.noise)

    def information(self, scores: Scores) -> Float[np.ndarray, "query gallery"]:
        """Return the bits by which each candidate became more probable; the target of each query is on the diagonal."""
        return _bits(self.sharpness * scores)


@torch.no_grad()
def fit_likelihood(
    residuals: Float[Tensor, "train_image neuron"],
    responses: Float[Tensor, "validation_image neuron"],
    evoked: Float[Tensor, "validation_image neuron"],
) -> LikelihoodDecoder:
    """Learn the noise from training residuals; choose its size and the sharpness by the bits on validation images."""
    components = decompose_residuals(residuals)
    tried = []
    for n_components in COMPONENT_COUNTS:
        noise = components.noise(n_components, SHRINKAGE)
        scores = _score(responses, evoked, noise)
        found = minimize_scalar(
            lambda free, scores=scores: -np.diagonal(_bits(np.exp(free) * scores)).mean(), bounds=(-12.0, 0.0), method="bounded"
        )
        tried.append((float(found.fun), LikelihoodDecoder(noise, float(np.exp(found.x)))))
    return min(tried, key=lambda one: one[0])[1]


@dataclass(frozen=True, eq=False)
class CategoryRetrieval:
    """Retrieval with the averaged test responses by the three `DECODERS` on the same gallery.

    Parameters
    ----------
    low_level_noise
        Noise about the low-level model.
    joint
        The decoder of both descriptions.
    scores
        Of each decoder.
    bits
        Information about the image shown.
    low_level_bits_given_category
        Of the decoder that uses category, and low-level structure for its residuals.
    bits_null
        Mean bits of each decoder when queries are assigned to other images.
    gain_null
        Mean bits that categories drawn from low-level structure add to low-level structure.
    low_level_gain_null
        Mean bits that the low-level structure of other images of the same category adds to category.
    """

    low_level_noise: LowRankNoise
    joint: LikelihoodDecoder
    scores: Float[np.ndarray, "decoder query gallery"]
    bits: Float[np.ndarray, "decoder query"]
    low_level_bits_given_category: Float[np.ndarray, "query"]
    bits_null: Float[np.ndarray, "decoder draw"]
    gain_null: Float[np.ndarray, "draw"]
    low_level_gain_null: Float[np.ndarray, "draw"]


@torch.no_grad()
def retrieve_by_category(models: CategoryModels, generator: np.random.Generator) -> CategoryRetrieval:
    r"""Score the test gallery by each description of the images and by both; the generator draws the nulls.

    Notes
    -----
    The information in a query is :math:`\log_2 G + \log_2 p_t`, with :math:`p = 0.98\,\mathrm{softmax}(a s) + 0.02 / G`
    over the :math:`G` candidates and one sharpness :math:`a` for each decoder, chosen on validation images. Its mean is a
    lower bound of the mutual information between response and image in this gallery. Unlike top-1 accuracy it also varies
    where retrieval is nearly perfect or nearly hopeless.
    """
    train, validation, test = models.train, models.validation, models.test
    left = train.responses - train.low_level
    effects = fit_category_effects(train.residual_category(), left)
    added = [left_out_effects(train.residual_category(), left, effects)]
    added += [effects.predict(part.residual_category()) for part in (validation, test)]
    parts = (train, validation, test)
    expected = {
        "low_level": [part.low_level for part in parts],
        "category": [part.category_only for part in parts],
        "joint": [part.low_level + more for part, more in zip(parts, added, strict=True)],
        "given_category": [part.category_only + part.category_then_low_level for part in parts],
    }
    fitted = {
        name: fit_likelihood(train.responses - of_train, validation.responses, of_validation)
        for name, (of_train, of_validation, _) in expected.items()
    }
    scores = {name: fitted[name].score(test.responses, evoked[2]) for name, evoked in expected.items()}
    everywhere = {name: fitted[name].information(scores[name]) for name in expected}
    bits = {name: np.diagonal(matrix) for name, matrix in everywhere.items()}
    n_draws = len(models.test_draws)
    return CategoryRetrieval(
        fitted["low_level"].noise,
        fitted["joint"],
        np.stack([scores[name] for name in DECODERS]),
        np.stack([bits[name] for name in DECODERS]),
        bits["given_category"],
        np.stack([_shuffled(everywhere[name], n_draws, generator) for name in DECODERS]),
        _drawn(models, fitted["joint"]) - bits["low_level"].mean(),
        _exchanged(test, fitted["given_category"], n_draws, generator) - bits["category"].mean(),
    )


def _shuffled(
    bits: Float[np.ndarray, "query gallery"], n_draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draw"]:
    queries = np.arange(len(bits))
    return np.array([bits[queries, generator.permutation(len(bits))].mean() for _ in range(n_draws)])


@torch.no_grad()
def score_drawn(models: CategoryModels, decoder: LikelihoodDecoder, draw: int) -> Scores:
    """Score the test gallery by low-level structure and the categories of one draw, their effects fitted anew.

    Noise and sharpness of the decoder of both descriptions are kept.
    """
    train, test = models.train, models.test
    effects = fit_category_effects(train.residual_category(models.train_draws[draw]), train.responses - train.low_level)
    return decoder.score(test.responses, test.low_level + effects.predict(test.residual_category(models.test_draws[draw])))


def _drawn(models: CategoryModels, decoder: LikelihoodDecoder) -> Float[np.ndarray, "draw"]:
    draws = range(len(models.test_draws))
    return np.array([np.diagonal(decoder.information(score_drawn(models, decoder, draw))).mean() for draw in draws])


def _exchanged(
    test: ModelledImages, decoder: LikelihoodDecoder, n_draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draw"]:
    found = []
    for _ in range(n_draws):
        other = exchange_within(test.category, generator)
        scores = decoder.score(test.responses, test.category_only + test.category_then_low_level[other])
        found.append(np.diagonal(decoder.information(scores)).mean())
    return np.array(found)


def _score(responses: Tensor, evoked: Tensor, noise: LowRankNoise) -> Scores:
    return np.asarray(noise.log_likelihood(responses, evoked).double().numpy())


def _bits(logits: Scores) -> Float[np.ndarray, "query gallery"]:
    n_gallery = logits.shape[1]
    probability = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    bits: np.ndarray = np.log2(n_gallery * ((1 - LAPSE) * probability + LAPSE / n_gallery))
    return bits


def exchange_within(category: Int[np.ndarray, "image"], generator: np.random.Generator) -> Int[np.ndarray, "image"]:
    """Permute images at random among those of their own category.

    Examples
    --------
    >>> exchange_within(np.array([0, 1, 0, 2]), np.random.default_rng(1))[[1, 3]]
    array([1, 3])
    """
    shuffled = generator.permutation(len(category))
    other = np.empty(len(category), dtype=np.int64)
    other[np.argsort(category, kind="stable")] = shuffled[np.argsort(category[shuffled], kind="stable")]
    return other
