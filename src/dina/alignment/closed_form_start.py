"""Towers that begin at the noise-aware encoding model: everything that has a closed form, before any gradient."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dina.dataset.pairs import Pairs
from dina.encoding.contrast_calibration import calibrate_by_contrast
from dina.encoding.evidence import choose_typical
from dina.encoding.local_ridge import LocalWeights, choose_width, fit_local_ridge, learn_prior
from dina.encoding.noise_covariance import ResidualComponents, decompose_residuals
from dina.encoding.receptive_fields import estimate_centres
from dina.measures.ranks import target_ranks
from dina.towers.field_basis import hermite_fields
from dina.towers.image.contrast_gain import keep_components, solve_knots
from dina.towers.image.gabor_energy import GaborEnergy
from dina.towers.neural.projective_fields import ProjectiveFields
from dina.towers.neural.shared_noise import SharedNoise

N_CALIBRATIONS = 2  # gain and noise depend on each other; the second round changes little
N_CONTRAST_COMPONENTS = 2  # ways in which the population's mean response follows contrast
COMPONENT_COUNTS = (32, 128, 512)
SHRINKAGES = (0.3, 0.6)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """One encoding model of the training images, before the size of its noise model is chosen."""

    weights: LocalWeights
    at_knot: Float[Tensor, "knot neuron"]
    gain: Float[Tensor, "knot"]
    predicted: Float[Tensor, "stimulus neuron"]
    prior: str
    is_contrast_free: bool
    residuals: ResidualComponents


@torch.no_grad()
def start_at_encoding_model(
    image_tower: GaborEnergy, neural_tower: ProjectiveFields, widths: tuple[float, ...], train: Pairs, validation: Pairs
) -> dict[str, str | float]:
    """Set both towers, in place, to the encoding model of the training pairs.

    Statistics of the maps; receptive-field centres; a window width for all; ridge weights of each neuron, first with
    an ignorant prior, then with the one learnt from all neurons; the noise that left-out images leave unexplained.
    Then the same once more with each neuron's mean response, the expected maps and the gain of predictions following
    the contrast of the image, which takes many images to learn. Eighteen settings are tried on the validation images:
    three models × three numbers of noise components × two shrinkages. All else reads training pairs only.

    Parameters
    ----------
    image_tower, neural_tower
        Set in place.
    widths
        Widths of the receptive-field window to choose from, in places of the map.
    train, validation
        Pairs of two parts of one split.

    Returns
    -------
    chosen
        What was chosen, by name.

    Raises
    ------
    ValueError
        If the image tower has no channels of contrast.
    """
    contrast = image_tower.contrast
    if contrast is None:
        raise ValueError("The closed-form start needs an image tower with n_contrasts of at least 2.")
    maps = image_tower.learn_statistics(torch.from_numpy(train.images))
    knots = contrast.knot_weights(torch.from_numpy(train.images).to(maps.device))
    responses = torch.from_numpy(train.averaged()).to(maps.device)
    order = neural_tower.order
    expected = contrast.expected.clone()
    contrast.expected.zero_()
    _shift(maps, knots, expected)
    centre = estimate_centres(maps, responses)
    width = choose_width(maps, responses, centre, widths, order)
    ignorant = fit_local_ridge(maps, responses, centre[:, None], width, order)
    prior = learn_prior(ignorant)
    learnt = fit_local_ridge(maps, responses, centre[:, None], width, order, prior)
    n_knots = knots.shape[1]
    candidates = []
    for name, weights in (("ignorant", ignorant), ("learnt", learnt)):
        same, ones = weights.intercept.expand(n_knots, -1), torch.ones_like(contrast.gain)
        residuals = decompose_residuals(responses - weights.predicted)
        candidates.append(_Candidate(weights, same, ones, weights.predicted, name, True, residuals))
    _shift(maps, knots, -expected)
    candidates.append(_follow_contrast(maps, responses, knots, centre, width, order, prior))
    best, chosen = torch.inf, {}
    for candidate in candidates:
        contrast.expected.copy_(expected * (0.0 if candidate.is_contrast_free else 1.0))
        contrast.gain.copy_(candidate.gain)
        _install(neural_tower, candidate.weights, candidate.at_knot)
        evoked = _evoked(image_tower, neural_tower, validation)
        for n_components in COMPONENT_COUNTS:
            for shrinkage in SHRINKAGES:
                noise = candidate.residuals.noise(min(n_components, neural_tower.loadings.shape[1]), shrinkage)
                loss = _mean_log_rank(torch.from_numpy(validation.averaged()).to(maps.device), evoked, noise)
                if loss < best:
                    best, winner, winning_noise = loss, candidate, noise
                    chosen = {"noise_components": n_components, "noise_shrinkage": shrinkage}
    contrast.expected.copy_(expected * (0.0 if winner.is_contrast_free else 1.0))
    contrast.gain.copy_(winner.gain)
    _install(neural_tower, winner.weights, winner.at_knot)
    neural_tower.keep_typical(choose_typical(winner.predicted), float(train.total_presentations().mean()))
    neural_tower.private.copy_(winning_noise.private)
    neural_tower.loadings.zero_()
    neural_tower.loadings[:, : winning_noise.loadings.shape[1]] = winning_noise.loadings
    return {
        **chosen,
        "window_width": width,
        "prior": winner.prior,
        "follows_contrast": "no" if winner.is_contrast_free else "yes",
    }


def _follow_contrast(
    maps: Tensor, responses: Tensor, knots: Tensor, centre: Tensor, width: float, order: int, prior: Tensor
) -> _Candidate:
    """Fit what is left when mean responses and mean maps follow contrast, and calibrate it at every contrast."""
    at_knot = keep_components(solve_knots(knots, responses), N_CONTRAST_COMPONENTS)
    deviation = responses - knots @ at_knot
    weights = fit_local_ridge(maps, deviation, centre[:, None], width, order, prior)
    gain = torch.ones(knots.shape[1], device=maps.device)
    components = decompose_residuals(deviation - weights.predicted)
    for _ in range(N_CALIBRATIONS):
        gain = calibrate_by_contrast(deviation, weights.predicted, components.noise(512, 0.5), knots)
        components = decompose_residuals(deviation - (knots @ gain)[:, None] * weights.predicted)
    predicted = knots @ at_knot + (knots @ gain)[:, None] * weights.predicted
    return _Candidate(weights, at_knot + weights.intercept, gain, predicted, "learnt", False, components)


def _shift(maps: Tensor, knots: Tensor, expected: Tensor, chunk: int = 64) -> None:
    """Add to every map, in place, what its contrast lets expect."""
    for first in range(0, len(maps), chunk):
        maps[first : first + chunk] += torch.einsum("bk,kchw->bchw", knots[first : first + chunk], expected).to(maps.dtype)


def _install(tower: ProjectiveFields, weights: LocalWeights, at_knot: Float[Tensor, "knot neuron"]) -> None:
    """Put weights and mean responses at each contrast into the neural tower."""
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
    tower.log_gain.zero_()


def _evoked(image_tower: GaborEnergy, neural_tower: ProjectiveFields, pairs: Pairs, chunk: int = 64) -> Tensor:
    """Return what every neuron is expected to answer to the images of ``pairs``."""
    images = torch.from_numpy(pairs.images).to(neural_tower.weights.device)
    return torch.cat([neural_tower.predict(image_tower(images[i : i + chunk])) for i in range(0, len(images), chunk)])


def _mean_log_rank(responses: Tensor, evoked: Tensor, noise: SharedNoise) -> float:
    """Return the mean log rank of each image for its own response; lower is better."""
    whitened = noise.divide(evoked)
    scores = responses @ whitened.T - 0.5 * (whitened * evoked).sum(1)
    return float(np.log(target_ranks(scores.cpu().numpy(), np.arange(len(scores)))).mean())
