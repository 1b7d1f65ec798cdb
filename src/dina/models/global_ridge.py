"""Encoding weights over the whole map, for neurons whose fields are not assumed to be local."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dina.models.eigenvectors import eigenvectors_of

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Ridge penalties tried for every neuron, relative to the mean power of the kernel."""


@dataclass(frozen=True, eq=False)
class GlobalWeights:
    """Ridge weights in dual form: one coefficient per training image and neuron.

    Parameters
    ----------
    maps
        Of the training images, shape ``(n_stimuli, n_channels, height, width)``.
    dual
        Shape ``(n_stimuli, n_neurons)``.
    intercept
        Mean response of each neuron, shape ``(n_neurons,)``.
    predicted
        Expected response to every training image from weights fitted on the other ones (leave-one-out), around the
        mean response to all of them, shape ``(n_stimuli, n_neurons)``.
    explained
        Fraction of the variance of the training responses that ``predicted`` explains, shape ``(n_neurons,)``.
    """

    maps: Float[Tensor, "stimulus channel height width"]
    dual: Float[Tensor, "stimulus neuron"]
    intercept: Float[Tensor, "neuron"]
    predicted: Float[Tensor, "stimulus neuron"]
    explained: Float[Tensor, "neuron"]

    def predict(self, maps: Float[Tensor, "image channel height width"]) -> Float[Tensor, "image neuron"]:
        """Return the expected response of every neuron to images with these maps."""
        return multiply_maps(maps, self.maps) @ self.dual + self.intercept


def fit_global_ridge(
    maps: Float[Tensor, "stimulus channel height width"], responses: Float[Tensor, "stimulus neuron"]
) -> GlobalWeights:
    """Fit kernel ridge regression from all channels and places to every neuron.

    Every neuron takes the penalty with the lowest leave-one-out error, which has a closed form.

    Parameters
    ----------
    maps
        Feature maps of the training images, standardised.
    responses
        Averaged responses to the same images.
    """
    mean = responses.mean(0)
    centred = responses - mean
    power = centred.square().mean(0).clamp_min(1e-12)
    is_active = power > 1e-12  # nothing of a neuron that never varies can be explained
    kernel = multiply_maps(maps, maps)
    values, vectors = eigenvectors_of(kernel)
    projected = vectors.T @ centred
    explained = torch.full_like(power, -torch.inf)
    predicted, dual = torch.zeros_like(centred), torch.zeros_like(centred)
    for penalty in PENALTIES:
        inverse = 1 / (values.clamp_min(0) + penalty * values.mean())
        coefficient = vectors @ (inverse[:, None] * projected)
        left_out = centred - coefficient / (vectors.square() @ inverse)[:, None]
        accuracy = is_active * (1 - (centred - left_out).square().mean(0) / power)
        better = accuracy > explained
        explained[better] = accuracy[better]
        predicted[:, better], dual[:, better] = left_out[:, better], coefficient[:, better]
    return GlobalWeights(maps, dual, mean, mean + predicted, explained)


def multiply_maps(
    first: Float[Tensor, "image channel height width"], second: Float[Tensor, "stimulus channel height width"]
) -> Float[Tensor, "image stimulus"]:
    """Return all inner products of two sets of maps, channel by channel, in single precision."""
    total = torch.zeros(len(first), len(second), device=first.device)
    for channel in range(first.shape[1]):
        total += first[:, channel].float().flatten(1) @ second[:, channel].float().flatten(1).T
    return total
