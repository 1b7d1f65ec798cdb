"""What low-level structure of images predicts of each response: Gabor channels at each place, then whole-image statistics."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.models.encoding import EncodingModel, Windows
from dina.models.encoding_weights import LocalWeights
from dina.models.towers.image.contrast_gain import log_contrast
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.shapes import ContrastImages

WIDTHS = (0.75, 1.5)
"""Widths of the receptive-field window to choose from, in places of the map."""

FIELD_ORDER = 2
IMAGES_AT_ONCE = 64
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Of the weights of whole-image statistics, relative to the number of images."""


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
        Weights of whole-image statistics for what the local part leaves.
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
        """Return what low-level structure lets expect of every column, and the whole-image statistics."""
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

    Penalties, places and the window come from the training images by leave-one-out. The channels are those of the
    default image tower, whatever towers are being interpreted.

    Parameters
    ----------
    images
        Training images in units of contrast.
    columns
        What is to be predicted, for example averaged responses.

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


def luminance_and_contrast(statistics: Float[Tensor, "image statistic"]) -> Float[np.ndarray, "image 2"]:
    """Return only luminance and logarithm of contrast of the whole-image statistics."""
    return np.asarray(statistics[:, -2:].numpy())
