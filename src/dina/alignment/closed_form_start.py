"""Towers that begin at the noise-aware encoding model: everything that has a closed form, before any gradient."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dina.dataset.pairs import Pairs
from dina.encoding.contrast_calibration import calibrate_by_contrast
from dina.encoding.local_ridge import LocalWeights, choose_width, fit_local_ridge, learn_prior
from dina.encoding.noise_covariance import estimate_noise
from dina.encoding.receptive_fields import estimate_centres
from dina.towers.field_basis import hermite_fields
from dina.towers.image.contrast_gain import solve_knots
from dina.towers.image.gabor_energy import GaborEnergy
from dina.towers.neural.projective_fields import ProjectiveFields
from dina.towers.neural.shared_noise import SharedNoise

N_CALIBRATIONS = 2  # gain and noise depend on each other; the second round changes little


@dataclass(frozen=True)
class StartSettings:
    """What the closed form may choose from.

    Parameters
    ----------
    widths
        Widths of the receptive-field window to try, in places of the map.
    shrinkage
        Of the noise correlations towards none, in [0, 1].
    """

    widths: tuple[float, ...]
    shrinkage: float


@torch.no_grad()
def start_at_encoding_model(
    image_tower: GaborEnergy, neural_tower: ProjectiveFields, settings: StartSettings, train: Pairs
) -> LocalWeights:
    """Set both towers, in place, to the encoding model of the training pairs.

    Statistics of the maps; each neuron's mean response at each contrast; receptive-field centres; a window width for
    all; ridge weights of each neuron, first with an ignorant prior, then with the one learnt from all neurons; noise
    from what left-out images leave unexplained; the gain of predictions at each contrast. Only training pairs are
    read.

    Returns
    -------
    weights
        What drives each neuron, for display and interpretation.
    """
    contrast = image_tower.contrast
    if contrast is None:
        raise ValueError("The closed-form start needs an image tower with n_contrasts of at least 2.")
    images = torch.from_numpy(train.images)
    maps = image_tower.learn_statistics(images)
    knots = contrast.knot_weights(images.to(maps.device))
    responses = torch.from_numpy(train.averaged()).to(maps.device)
    at_knot = solve_knots(knots, responses)
    deviation = responses - knots @ at_knot
    energies = [number for number, channel in enumerate(image_tower.channels) if channel.kind == "energy"]
    centre = estimate_centres(maps[:, energies], deviation)
    width = choose_width(maps, deviation, centre, settings.widths, neural_tower.order)
    ignorant = fit_local_ridge(maps, deviation, centre[:, None], width, neural_tower.order)
    weights = fit_local_ridge(maps, deviation, centre[:, None], width, neural_tower.order, learn_prior(ignorant))
    n_components = neural_tower.loadings.shape[1]
    predicted, gain = weights.predicted, torch.ones_like(contrast.gain)
    noise = estimate_noise(deviation - predicted, n_components, settings.shrinkage)
    for _ in range(N_CALIBRATIONS):
        gain = calibrate_by_contrast(deviation, weights.predicted, noise, knots)
        predicted = (knots @ gain)[:, None] * weights.predicted
        noise = estimate_noise(deviation - predicted, n_components, settings.shrinkage)
    contrast.gain.copy_(gain)
    _install(neural_tower, weights, at_knot + weights.intercept, noise)
    return weights


def _install(tower: ProjectiveFields, weights: LocalWeights, at_knot: Float[Tensor, "knot neuron"], noise: SharedNoise) -> None:
    """Put weights, mean responses at each contrast and noise into the neural tower."""
    n_channels = weights.weights.shape[2]
    tower.centre.copy_(weights.centre)
    tower.width.fill_(weights.width)
    tower.weights.zero_()
    tower.weights[:, :, :n_channels] = weights.weights
    # the channels of contrast are constant planes: read by the Gaussian alone, divided by its sum inside the map
    _, height, width = tower.map_shape
    centres, number = torch.unique(weights.centre, dim=0, return_inverse=True)
    inside = hermite_fields((height, width), centres, weights.width, 0).sum(dim=(1, 2, 3))[number]
    tower.weights[:, 0, n_channels:] = (at_knot / inside).T
    tower.private.copy_(noise.private)
    tower.loadings.copy_(noise.loadings)
    tower.log_gain.zero_()
