"""Linear models of responses and categories: shifts by category, low-level structure, and the probability of each category."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from torch import Tensor

from dina.models.encoding import EncodingModel, Windows
from dina.models.local_ridge import LocalWeights
from dina.models.penalties import check_penalties
from dina.models.towers.image.contrast_gain import log_contrast
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.shapes import ContrastImages

# Widths of the receptive-field window to choose from, in places of the map.
WIDTHS = (0.75, 1.5)

FIELD_ORDER = 2
IMAGES_AT_ONCE = 64
# Of the weights of whole-image statistics, relative to the number of images.
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

# Images added to every category when its frequency is taken, so that none has probability 0.
PRIOR_COUNT = 1.0


def one_hot(category: Int[np.ndarray, "image"], n_categories: int) -> Float[Tensor, "image category"]:
    """Return a row for each image with 1 at its category."""
    return torch.eye(n_categories)[torch.from_numpy(np.asarray(category, dtype=np.int64))]


@dataclass(frozen=True, eq=False)
class _CategoryEffects:
    """By how much each response shifts with each feature of category; weights are already shrunk, by a factor in [0, 1]."""

    centre: Float[Tensor, "category"]
    intercept: Float[Tensor, "neuron"]
    weights: Float[Tensor, "category neuron"]
    shrinkage: Float[Tensor, "neuron"]

    def predict(self, features: Float[Tensor, "image category"]) -> Float[Tensor, "image neuron"]:
        """Return the expected response to images with these features of category."""
        return (features - self.centre) @ self.weights + self.intercept


def fit_category_effects(
    features: Float[Tensor, "train_image category"], responses: Float[Tensor, "train_image neuron"]
) -> _CategoryEffects:
    r"""Fit category features to responses (or residuals) by least squares, and shrink each neuron's weights towards 0.

    Features are one-hot categories, or these minus their probability given low-level structure.

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
    return _CategoryEffects(centre, intercept, weights * shrinkage, shrinkage)


def left_out_effects(
    features: Float[Tensor, "train_image category"], responses: Float[Tensor, "train_image neuron"], effects: _CategoryEffects
) -> Float[Tensor, "train_image neuron"]:
    """Return the expected response to each training image from effects fitted without it, shrunk alike."""
    centred = features - effects.centre
    inverse = torch.linalg.pinv(centred.T @ centred, hermitian=True, rtol=1e-5)
    hat = (1 / len(features) + ((centred @ inverse) * centred).sum(1))[:, None].clamp_max(0.999)
    fitted = centred @ (inverse @ (centred.T @ responses)) + effects.intercept
    unseen = responses - (responses - fitted) / (1 - hat)
    return effects.intercept + effects.shrinkage * (unseen - effects.intercept)


@dataclass(frozen=True, eq=False)
class _LinearPart:
    """Ridge weights from z-scored statistics of whole images; ``left_out`` predicts each training image from all others."""

    mean: Float[Tensor, "statistic"]
    deviation: Float[Tensor, "statistic"]
    intercept: Float[Tensor, "column"]
    weights: Float[Tensor, "statistic column"]
    left_out: Float[Tensor, "train_image column"]

    def predict(self, statistics: Float[Tensor, "image statistic"]) -> Float[Tensor, "image column"]:
        """Return the expected columns for images with these statistics."""
        return (statistics - self.mean) / self.deviation @ self.weights + self.intercept


@dataclass(frozen=True, eq=False)
class _LowLevelModel:
    """An encoding model of low-level image structure alone.

    Gabor channels of ``tower`` predict responses inside each neuron's field (``local``), whole-image statistics the residuals
    (``whole``). ``statistics`` are those of the training images: mean and deviation over places of each channel, luminance
    and logarithm of contrast. ``left_out`` predicts each training image by a model that has not seen it.
    """

    tower: GaborEnergy
    local: EncodingModel[LocalWeights]
    whole: _LinearPart
    statistics: Float[Tensor, "train_image statistic"]
    left_out: Float[Tensor, "train_image column"]

    @torch.no_grad()
    def predict(self, images: ContrastImages) -> tuple[Float[Tensor, "image column"], Float[Tensor, "image statistic"]]:
        """Return the columns that low-level structure predicts, and the whole-image statistics."""
        predicted, statistics = [], []
        for chunk in torch.split(torch.from_numpy(images), IMAGES_AT_ONCE):
            maps = self.tower(chunk)
            statistics.append(_whole_image_statistics(maps, chunk))
            predicted.append(self.local.weights.predict(maps) + self.whole.predict(statistics[-1]))
        return torch.cat(predicted), torch.cat(statistics)


@torch.no_grad()
def fit_low_level(images: ContrastImages, columns: Float[Tensor, "train_image column"]) -> _LowLevelModel:
    """Fit ridge weights of Gabor channels inside receptive fields, then of whole-image statistics, to every column.

    Columns are, for example, averaged responses. Leave-one-out over the training images chooses penalties, places and the
    window. The channels are those of the default image tower, also where other towers are interpreted.

    References
    ----------
    Naselaris et al. (2011), NeuroImage 56:400. https://doi.org/10.1016/j.neuroimage.2010.07.073
    """
    shape = images.shape[1:]
    tower = GaborEnergy((int(shape[0]), int(shape[1]), int(shape[2])), n_contrasts=0)
    maps = tower.learn_statistics(torch.from_numpy(images))
    chunks = zip(torch.split(maps, IMAGES_AT_ONCE), torch.split(torch.from_numpy(images), IMAGES_AT_ONCE), strict=True)
    statistics = torch.cat([_whole_image_statistics(*chunk) for chunk in chunks])
    local = EncodingModel.fit(maps, columns, Windows.find(maps, columns, WIDTHS, FIELD_ORDER))
    left_out = local.weights.predicted
    whole = fit_linear_part(statistics, columns - left_out)
    return _LowLevelModel(tower, local, whole, statistics, left_out + whole.left_out)


def fit_linear_part(
    statistics: Float[Tensor, "train_image statistic"], columns: Float[Tensor, "train_image column"]
) -> _LinearPart:
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
    for penalty in check_penalties(PENALTIES).tolist():
        shrunk = singular.square() / (singular.square() + penalty * n_images)
        hat = (1 / n_images + left.square() @ shrunk)[:, None]
        left_out = (left @ (shrunk[:, None] * projected) - hat * centred) / (1 - hat).clamp_min(1e-3)
        loss = (centred - left_out).square().mean(0)
        better = loss < lowest
        lowest[better] = loss[better]
        predicted[:, better] = left_out[:, better]
        coefficient = (shrunk / singular.clamp_min(1e-12))[:, None] * projected[:, better]
        weights[:, better] = right.T @ coefficient
    return _LinearPart(mean, deviation, intercept, weights, intercept + predicted)


def _whole_image_statistics(maps: Tensor, images: Tensor) -> Tensor:
    """Mean and deviation over places of each channel, luminance, logarithm of contrast: texture without place."""
    values = maps.float().flatten(2)
    luminance = images.flatten(1).mean(1, keepdim=True)
    return torch.cat([values.mean(2), values.std(2), luminance, log_contrast(images)[:, None]], dim=1)


@dataclass(frozen=True, eq=False)
class _CategoryPosterior:
    r"""A classifier of images by low-level statistics, with calibrated probabilities; those of training images are left out.

    :math:`p(c \mid x) \propto \exp(a f_c(x) + b_c)`, with :math:`f` the ridge regression on one-hot categories. The second
    stage fits only one slope and one offset for each category, so that probabilities are calibrated and not overfitted.
    """

    linear: _LinearPart
    slope: float
    offset: Float[np.ndarray, "category"]
    train: Float[np.ndarray, "train_image category"]

    def predict(self, statistics: Float[Tensor, "image statistic"]) -> Float[np.ndarray, "image category"]:
        """Return the probability of each category, rows sum to 1."""
        outputs = self.linear.predict(statistics).double().numpy()
        return np.asarray(softmax(self.slope * outputs + self.offset, axis=1))


def fit_posterior(
    statistics: Float[Tensor, "train_image statistic"], category: Int[np.ndarray, "train_image"], n_categories: int
) -> _CategoryPosterior:
    """Learn the probability of each category (counted from 0) given low-level statistics, from training images."""
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
    return _CategoryPosterior(linear, slope, offset, np.asarray(softmax(slope * outputs + offset, axis=1)))
