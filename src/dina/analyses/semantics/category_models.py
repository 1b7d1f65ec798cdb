"""Models of responses by low-level structure, by category and by both, and the probability of each category given low-level structure."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from torch import Tensor

from dina.analyses.decoded import Decoded
from dina.checks import DataError
from dina.data.pairs import Pairs
from dina.models.encoding import EncodingModel, Windows
from dina.models.encoding_weights import LocalWeights
from dina.models.towers.image.contrast_gain import log_contrast
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.randomness import generator_for
from dina.shapes import ContrastImages

FEWEST_IMAGES = 5
"""Training images that a category needs."""

FEWEST_TEST_IMAGES = 20

WIDTHS = (0.75, 1.5)
"""Widths of the receptive-field window to choose from, in places of the map."""

FIELD_ORDER = 2
IMAGES_AT_ONCE = 64
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Of the weights of whole-image statistics, relative to the number of images."""

PRIOR_COUNT = 1.0
"""Images added to every category when its frequency is taken, so that none has probability 0."""


@dataclass(frozen=True, eq=False)
class CategorisedPairs:
    """The pairs of a decoding whose images have a category, and the categories.

    Parameters
    ----------
    names
        Of the categories, sorted.
    train, validation, test
        Pairs of labelled images only.
    train_category, validation_category, test_category
        Position in ``names`` for each image of the part.
    """

    names: tuple[str, ...]
    train: Pairs
    validation: Pairs
    test: Pairs
    train_category: Int[np.ndarray, "train_image"]
    validation_category: Int[np.ndarray, "validation_image"]
    test_category: Int[np.ndarray, "test_image"]


def categorise(decoded: Decoded) -> CategorisedPairs:
    """Keep the images whose category is known and has enough training images.

    Raises
    ------
    DataError
        If the recording has no labels, or too few categories or labelled test images are left.
    """
    labels = decoded.recording.labels
    if labels is None:
        raise DataError(
            "Semantic analyses need the category of each image; this recording has no labels. Add them as labels (one word"
            " per image) when the recording is made."
        )
    parts = (decoded.train, decoded.validation, decoded.test)
    words, counts = np.unique(labels[decoded.train.stimulus_id], return_counts=True)
    names = words[(words != "") & (counts >= FEWEST_IMAGES)]
    is_labelled = [np.isin(labels[part.stimulus_id], names) for part in parts]
    if len(names) < 2 or is_labelled[2].sum() < FEWEST_TEST_IMAGES or not is_labelled[1].any():
        raise DataError(
            f"Semantic analyses need at least two categories with {FEWEST_IMAGES} training images each, and"
            f" {FEWEST_TEST_IMAGES} labelled test images; got {len(names)} and {int(is_labelled[2].sum())}. Label more images,"
            " or merge rare categories."
        )
    kept = [_keep(part, mask) for part, mask in zip(parts, is_labelled, strict=True)]
    codes = [np.searchsorted(names, labels[part.stimulus_id]) for part in kept]
    return CategorisedPairs(tuple(map(str, names)), kept[0], kept[1], kept[2], codes[0], codes[1], codes[2])


def _keep(pairs: Pairs, is_kept: Bool[np.ndarray, "stimulus"]) -> Pairs:
    if is_kept.all():  # spares a copy of all images
        return pairs
    position = np.cumsum(is_kept) - 1
    trials = is_kept[pairs.stimulus_index]
    return replace(
        pairs,
        images=pairs.images[is_kept],
        stimulus_id=pairs.stimulus_id[is_kept],
        responses=pairs.responses[trials],
        stimulus_index=position[pairs.stimulus_index[trials]],
        n_presentations=pairs.n_presentations[trials],
        labels=None if pairs.labels is None else pairs.labels[is_kept],
    )


@dataclass(frozen=True, eq=False)
class CategoryEffects:
    """By how much responses shift with each feature of category.

    Parameters
    ----------
    centre
        Mean of the features over training images.
    intercept
        Mean response.
    weights
        After shrinkage; 0 for a neuron that category explains no better than chance.
    shrinkage
        Factor on each neuron's weights, in [0, 1].
    """

    centre: Float[Tensor, "category"]
    intercept: Float[Tensor, "neuron"]
    weights: Float[Tensor, "category neuron"]
    shrinkage: Float[Tensor, "neuron"]

    def predict(self, features: Float[Tensor, "image category"]) -> Float[Tensor, "image neuron"]:
        """Return the expected response to images with these features of category."""
        return (features - self.centre) @ self.weights + self.intercept


def fit_category_effects(
    features: Float[Tensor, "train_image category"], responses: Float[Tensor, "train_image neuron"]
) -> CategoryEffects:
    r"""Fit category features to responses by least squares, and shrink each neuron's weights towards 0.

    Parameters
    ----------
    features
        One-hot categories, or these less the probability that low-level structure gives them.
    responses
        Averaged training responses, or the residuals of another model.

    Notes
    -----
    Weights are multiplied by :math:`\max(0, 1 - 1/F)` with :math:`F` the neuron's ratio of explained to unexplained
    mean squares: the positive-part James–Stein rule for an effect of unknown size.

    References
    ----------
    Efron & Morris (1973), J. Am. Stat. Assoc. 68:117. https://doi.org/10.1080/01621459.1973.10481350

    Examples
    --------
    >>> effects = fit_category_effects(torch.eye(2).repeat(50, 1), torch.tensor([[1.0], [3.0]]).repeat(50, 1))
    >>> effects.predict(torch.eye(2)).round().flatten().tolist()
    [1.0, 3.0]
    """
    centre, intercept = features.mean(0), responses.mean(0)
    centred = features - centre
    cross = centred.T @ responses
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    kept = values > 1e-5 * values[-1].clamp_min(1e-12)  # the features of all categories sum to a constant
    rank = int(kept.sum())
    weights = vectors[:, kept] @ ((vectors[:, kept].T @ cross) / values[kept, None])
    explained = (weights * cross).sum(0)
    left = responses.square().sum(0) - len(responses) * intercept.square() - explained
    chance = left.clamp_min(0) / max(1, len(responses) - 1 - rank) * rank
    shrinkage = (1 - chance / explained.clamp_min(1e-12)).clamp(0, 1)
    return CategoryEffects(centre, intercept, weights * shrinkage, shrinkage)


def left_out_effects(
    features: Float[Tensor, "train_image category"],
    responses: Float[Tensor, "train_image neuron"],
    effects: CategoryEffects,
) -> Float[Tensor, "train_image neuron"]:
    """Return the expected response to each training image from effects fitted without it, shrunk alike."""
    centred = features - effects.centre
    inverse = torch.linalg.pinv(centred.T @ centred, hermitian=True, rtol=1e-5)
    hat = (1 / len(features) + ((centred @ inverse) * centred).sum(1))[:, None].clamp_max(0.999)
    fitted = centred @ (inverse @ (centred.T @ responses)) + effects.intercept
    unseen = responses - (responses - fitted) / (1 - hat)
    return effects.intercept + effects.shrinkage * (unseen - effects.intercept)


@dataclass(frozen=True, eq=False)
class LinearPart:
    """Ridge weights from z-scored statistics of whole images; each column has the penalty that left-out images prefer.

    Parameters
    ----------
    mean, deviation
        Of the statistics over training images.
    intercept, weights
        Of every column; 0 where no penalty predicts better than the mean.
    left_out
        Prediction for each training image from all others.
    """

    mean: Float[Tensor, "statistic"]
    deviation: Float[Tensor, "statistic"]
    intercept: Float[Tensor, "column"]
    weights: Float[Tensor, "statistic column"]
    left_out: Float[Tensor, "train_image column"]

    def predict(self, statistics: Float[Tensor, "image statistic"]) -> Float[Tensor, "image column"]:
        """Return the expected columns for images with these statistics."""
        return (statistics - self.mean) / self.deviation @ self.weights + self.intercept


@dataclass(frozen=True, eq=False)
class LowLevelModel:
    """An encoding model made of low-level image structure alone.

    Parameters
    ----------
    tower
        Gives the Gabor channels; holds statistics of training images only.
    local
        Encoding model on the channels inside each neuron's field.
    whole
        Weights of whole-image statistics, fitted to the residuals of the local part.
    statistics
        Whole-image statistics of the training images: mean and deviation over places of each channel, luminance and
        logarithm of contrast.
    left_out
        Prediction for each training image by a model that has not seen it.
    """

    tower: GaborEnergy
    local: EncodingModel[LocalWeights]
    whole: LinearPart
    statistics: Float[Tensor, "train_image statistic"]
    left_out: Float[Tensor, "train_image column"]

    @torch.no_grad()
    def predict(self, images: ContrastImages) -> tuple[Float[Tensor, "image column"], Float[Tensor, "image statistic"]]:
        """Return the columns that low-level structure predicts, and the whole-image statistics."""
        predicted, statistics = [], []
        for first in range(0, len(images), IMAGES_AT_ONCE):
            chunk = torch.from_numpy(images[first : first + IMAGES_AT_ONCE])
            maps = self.tower(chunk)
            statistics.append(_whole_image_statistics(maps, chunk))
            predicted.append(self.local.weights.predict(maps) + self.whole.predict(statistics[-1]))
        return torch.cat(predicted), torch.cat(statistics)


@torch.no_grad()
def fit_low_level(images: ContrastImages, columns: Float[Tensor, "train_image column"]) -> LowLevelModel:
    """Fit ridge weights of Gabor channels inside receptive fields, then of whole-image statistics, to every column.

    Leave-one-out over the training images chooses penalties, places and the window. The channels are those of the
    default image tower, also where other towers are interpreted.

    Parameters
    ----------
    images
        Training images in units of contrast.
    columns
        To be predicted, for example averaged responses.

    References
    ----------
    Naselaris et al. (2011), NeuroImage 56:400. https://doi.org/10.1016/j.neuroimage.2010.07.073
    """
    shape = images.shape[1:]
    tower = GaborEnergy((int(shape[0]), int(shape[1]), int(shape[2])), n_contrasts=0)
    maps = tower.learn_statistics(torch.from_numpy(images))
    statistics = torch.cat(
        [
            _whole_image_statistics(maps[i : i + IMAGES_AT_ONCE], torch.from_numpy(images[i : i + IMAGES_AT_ONCE]))
            for i in range(0, len(images), IMAGES_AT_ONCE)
        ]
    )
    local = EncodingModel.fit(maps, columns, Windows.find(maps, columns, WIDTHS, FIELD_ORDER))
    left_out = local.weights.predicted
    whole = fit_linear_part(statistics, columns - left_out)
    return LowLevelModel(tower, local, whole, statistics, left_out + whole.left_out)


def fit_linear_part(
    statistics: Float[Tensor, "train_image statistic"], columns: Float[Tensor, "train_image column"]
) -> LinearPart:
    """Fit ridge regression; every column takes the penalty with the lowest leave-one-out error, or weights of 0."""
    n_images = len(statistics)
    mean, deviation = statistics.mean(0), statistics.std(0).clamp_min(1e-6)
    left, singular, right = torch.linalg.svd((statistics - mean) / deviation, full_matrices=False)
    intercept = columns.mean(0)
    centred = columns - intercept
    projected = left.T @ centred
    lowest = centred.square().mean(0)
    weights = centred.new_zeros(statistics.shape[1], columns.shape[1])
    predicted = torch.zeros_like(centred)
    for penalty in PENALTIES:
        shrunk = singular.square() / (singular.square() + penalty * n_images)
        hat = (1 / n_images + left.square() @ shrunk)[:, None]
        left_out = (left @ (shrunk[:, None] * projected) - hat * centred) / (1 - hat).clamp_min(1e-3)
        loss = (centred - left_out).square().mean(0)
        better = loss < lowest
        lowest[better] = loss[better]
        predicted[:, better] = left_out[:, better]
        coefficient = (shrunk / singular.clamp_min(1e-12))[:, None] * projected[:, better]
        weights[:, better] = right.T @ coefficient
    return LinearPart(mean, deviation, intercept, weights, intercept + predicted)


def _whole_image_statistics(maps: Tensor, images: Tensor) -> Tensor:
    """Mean and deviation over places of each channel, luminance, logarithm of contrast: texture without place."""
    values = maps.float().flatten(2)
    luminance = images.flatten(1).mean(1, keepdim=True)
    return torch.cat([values.mean(2), values.std(2), luminance, log_contrast(images)[:, None]], dim=1)


@dataclass(frozen=True, eq=False)
class CategoryPosterior:
    r"""A classifier of images by low-level statistics, with calibrated probabilities.

    Parameters
    ----------
    linear
        Ridge regression on one-hot categories.
    slope, offset
        Turn its outputs into logits; fitted on left-out training images.
    train
        Probabilities of each training image from all others, rows sum to 1.

    Notes
    -----
    :math:`p(c \mid x) \propto \exp(a f_c(x) + b_c)`, with :math:`f` the ridge regression. The second stage fits only one
    slope and one offset for each category, so that probabilities are calibrated and not overfitted.
    """

    linear: LinearPart
    slope: float
    offset: Float[np.ndarray, "category"]
    train: Float[np.ndarray, "train_image category"]

    def predict(self, statistics: Float[Tensor, "image statistic"]) -> Float[np.ndarray, "image category"]:
        """Return the probability of each category, rows sum to 1."""
        outputs = self.linear.predict(statistics).double().numpy()
        return np.asarray(softmax(self.slope * outputs + self.offset, axis=1))


def fit_posterior(
    statistics: Float[Tensor, "train_image statistic"], category: Int[np.ndarray, "train_image"], n_categories: int
) -> CategoryPosterior:
    """Learn the probability of each category given low-level statistics, from training images.

    Parameters
    ----------
    statistics
        Of the training images.
    category
        Of each, from 0.
    n_categories
        How many there are.
    """
    linear = fit_linear_part(statistics, one_hot(category, n_categories))
    outputs = linear.left_out.double().numpy()
    image = np.arange(len(outputs))
    start = np.log(np.bincount(category, minlength=n_categories) + PRIOR_COUNT)

    def loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        logits = free[0] * outputs + free[1:]
        wrong = softmax(logits, axis=1)
        value = -float(log_softmax(logits, axis=1)[image, category].mean())
        wrong[image, category] -= 1
        return value, np.concatenate([[(wrong * outputs).sum()], wrong.sum(0)]) / len(outputs)

    fitted = minimize(loss, np.concatenate([[1.0], start - start.mean()]), jac=True, method="L-BFGS-B")
    slope, offset = float(max(fitted.x[0], 0.0)), np.asarray(fitted.x[1:])
    return CategoryPosterior(linear, slope, offset, np.asarray(softmax(slope * outputs + offset, axis=1)))


def draw_categories(
    probability: Float[np.ndarray, "image category"], n_draws: int, generator: np.random.Generator
) -> Int[np.ndarray, "draw image"]:
    """Draw a category for every image from its probabilities, independently, ``n_draws`` times.

    Where responses depend on the image only through its low-level structure, the true categories are one such draw, so
    that any statistic of theirs lies among its values over the draws (the conditional randomisation test).

    References
    ----------
    Candès et al. (2018), J. R. Stat. Soc. B 80:551. https://doi.org/10.1111/rssb.12265

    Examples
    --------
    >>> draw_categories(np.array([[1.0, 0.0], [0.0, 1.0]]), 2, np.random.default_rng(0))
    array([[0, 1],
           [0, 1]])
    """
    cumulative = np.cumsum(probability, axis=1)
    cumulative[:, -1] = 1.0  # rounding must not leave a gap above the last category
    uniform = generator.random((n_draws, len(probability)))
    drawn: np.ndarray = (uniform[:, :, None] >= cumulative[None]).sum(2)
    return drawn


@dataclass(frozen=True, eq=False)
class ModelledImages:
    """One part of the split, and the predictions of all models; each training image is predicted by models that left it out.

    Parameters
    ----------
    responses
        Averaged, standardised.
    category
        Number of the category of each image.
    probability
        Of each category given low-level structure alone.
    by_luminance
        The same given only mean luminance and contrast.
    low_level
        Responses predicted by low-level structure.
    category_only
        Responses predicted by category.
    category_then_low_level
        What low-level structure predicts of the residuals of category.
    statistics
        Whole-image low-level statistics, z-scored by training images.
    """

    responses: Float[Tensor, "image neuron"]
    category: Int[np.ndarray, "image"]
    probability: Float[np.ndarray, "image category"]
    by_luminance: Float[np.ndarray, "image category"]
    low_level: Float[Tensor, "image neuron"]
    category_only: Float[Tensor, "image neuron"]
    category_then_low_level: Float[Tensor, "image neuron"]
    statistics: Float[Tensor, "image statistic"]

    def residual_category(self, category: Int[np.ndarray, "image"] | None = None) -> Float[Tensor, "image category"]:
        """Return one-hot categories less the probability that low-level structure gives them: the residual category."""
        chosen = self.category if category is None else category
        return one_hot(chosen, self.probability.shape[1]) - torch.from_numpy(self.probability).float()


@dataclass(frozen=True, eq=False)
class CategoryModels:
    """The categories and models from which all statistics of category are computed.

    Parameters
    ----------
    names
        Of the categories.
    train, validation, test
        The parts of the split; all models were fitted on the first.
    train_draws, test_draws
        Categories drawn anew from ``probability``: if responses depended on low-level structure alone, they would be as
        good as the true ones.
    """

    names: tuple[str, ...]
    train: ModelledImages
    validation: ModelledImages
    test: ModelledImages
    train_draws: Int[np.ndarray, "draw train_image"]
    test_draws: Int[np.ndarray, "draw test_image"]


def one_hot(category: Int[np.ndarray, "image"], n_categories: int) -> Float[Tensor, "image category"]:
    """Return a row for each image with 1 at its category."""
    return torch.eye(n_categories)[torch.from_numpy(np.asarray(category, dtype=np.int64))]


@torch.no_grad()
def fit_category_models(parts: CategorisedPairs, n_draws: int, seed: int) -> CategoryModels:
    """Fit the three models on the training images and apply them to all parts.

    Parameters
    ----------
    parts
        Labelled images of the three parts of a split.
    n_draws
        How often categories are drawn anew.
    seed
        Of these draws.
    """
    n_categories, n_neurons = len(parts.names), parts.train.n_neurons
    responses = torch.from_numpy(parts.train.averaged())
    known = one_hot(parts.train_category, n_categories)
    effects = fit_category_effects(known, responses)
    without = left_out_effects(known, responses, effects)
    # one fit serves both orders: low-level structure first, and low-level structure of the residuals of category
    model = fit_low_level(parts.train.images, torch.cat([responses, responses - without], dim=1))
    posterior = fit_posterior(model.statistics, parts.train_category, n_categories)
    luminance = fit_posterior(_luminance_and_contrast(model.statistics), parts.train_category, n_categories)

    def apply(averaged: Tensor, category: np.ndarray, columns: Tensor, statistics: Tensor, *, is_train: bool) -> ModelledImages:
        return ModelledImages(
            responses=averaged,
            category=category,
            probability=posterior.train if is_train else posterior.predict(statistics),
            by_luminance=luminance.train if is_train else luminance.predict(_luminance_and_contrast(statistics)),
            low_level=columns[:, :n_neurons],
            category_only=without if is_train else effects.predict(one_hot(category, n_categories)),
            category_then_low_level=columns[:, n_neurons:],
            statistics=(statistics - posterior.linear.mean) / posterior.linear.deviation,
        )

    others = [
        apply(torch.from_numpy(part.averaged()), category, *model.predict(part.images), is_train=False)
        for part, category in ((parts.validation, parts.validation_category), (parts.test, parts.test_category))
    ]
    train = apply(responses, parts.train_category, model.left_out, model.statistics, is_train=True)
    draws = [
        draw_categories(part.probability, n_draws, generator_for(seed, f"categories of {name}"))
        for name, part in (("train", train), ("test", others[1]))
    ]
    return CategoryModels(parts.names, train, others[0], others[1], draws[0], draws[1])


def _luminance_and_contrast(statistics: Tensor) -> Tensor:
    """Return luminance and logarithm of contrast with their squares, so that middling contrast can stand for a category."""
    plain = statistics[:, -2:]
    return torch.cat([plain, plain.square()], dim=1)


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
