"""How responses shift with the category of the image: least squares, shrunk where it is no better than chance."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class CategoryEffects:
    """What each feature of category adds to each response.

    Parameters
    ----------
    centre
        Mean of the features over training images.
    intercept
        Mean response.
    weights
        After shrinkage; 0 for a neuron that category explains no better than chance.
    shrinkage
        What each neuron's weights were multiplied by, in [0, 1].
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
        One-hot categories, or one-hot categories less the probability that low-level structure gives them.
    responses
        Averaged training responses, or what another model leaves of them.

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
