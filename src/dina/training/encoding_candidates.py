"""Encoding models of the training images among which validation chooses, and how one is put into the towers."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dina.data.pairs import Pairs
from dina.models.encoding import EncodingModel, Windows, calibrate_by_contrast
from dina.models.encoding_weights import LocalWeights
from dina.models.noise import LowRankNoise, ResidualComponents, decompose_residuals
from dina.models.towers.field_basis import hermite_fields
from dina.models.towers.image.contrast_gain import keep_components, solve_knots
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.retrieval.choice import Candidate, choose_by_rank

N_CALIBRATIONS = 2  # gain and noise depend on each other; the second round changes little
N_CONTRAST_COMPONENTS = 2  # ways in which the population's mean response follows contrast
COMPONENT_COUNTS = (32, 128, 512)
SHRINKAGES = (0.3, 0.6)


@dataclass(frozen=True, eq=False)
class EncodingCandidate:
    """One encoding model of the training images, before the size of its noise model is chosen.

    Parameters
    ----------
    weights
        Of every neuron on the maps.
    at_knot
        Mean response at each knot of contrast.
    gain
        Of predictions at each knot of contrast.
    predicted
        Responses to the training images, each predicted from the others.
    prior
        "ignorant" or "learnt".
    is_contrast_free
        Whether neither mean responses nor maps follow the contrast of the image.
    residuals
        What the predictions leave over.
    """

    weights: LocalWeights
    at_knot: Float[Tensor, "knot neuron"]
    gain: Float[Tensor, "knot"]
    predicted: Float[Tensor, "stimulus neuron"]
    prior: str
    is_contrast_free: bool
    residuals: ResidualComponents


@dataclass(frozen=True, eq=False)
class JudgedCandidate:
    """A candidate with the noise model under which it finds validation images best.

    Parameters
    ----------
    candidate
        The model.
    noise
        Its noise.
    loss
        Mean log rank of the validation images.
    chosen
        Size and shrinkage of the noise model, by name.
    """

    candidate: EncodingCandidate
    noise: LowRankNoise
    loss: float
    chosen: dict[str, str | float]

    def install(self, neural_tower: ProjectiveFields) -> None:
        """Put weights, mean responses and noise into the neural tower."""
        _install(neural_tower, self.candidate.weights, self.candidate.at_knot)
        neural_tower.private.copy_(self.noise.private)
        neural_tower.loadings.zero_()
        neural_tower.loadings[:, : self.noise.loadings.shape[1]] = self.noise.loadings


def steady_candidate(
    weights: LocalWeights, responses: Float[Tensor, "stimulus neuron"], n_knots: int, prior: str, *, is_contrast_free: bool = True
) -> EncodingCandidate:
    """Return the model whose mean responses do not follow contrast."""
    same, ones = weights.intercept.expand(n_knots, -1), torch.ones(n_knots, device=responses.device)
    residuals = decompose_residuals(responses - weights.predicted)
    return EncodingCandidate(weights, same, ones, weights.predicted, prior, is_contrast_free, residuals)


def contrast_candidate(
    maps: Float[Tensor, "stimulus channel height width"],
    responses: Float[Tensor, "stimulus neuron"],
    knots: Float[Tensor, "stimulus knot"],
    windows: Windows,
    prior: Float[Tensor, "feature feature"],
) -> EncodingCandidate:
    """Fit what is left when mean responses and mean maps follow contrast, and calibrate it at every contrast.

    Parameters
    ----------
    maps
        Of the training images, less what their contrast lets expect.
    responses
        To the same images.
    knots
        From `ContrastGain.knot_weights`.
    windows, prior
        As in `dina.models.encoding.EncodingModel.fit`.
    """
    at_knot = keep_components(solve_knots(knots, responses), N_CONTRAST_COMPONENTS)
    deviation = responses - knots @ at_knot
    weights = EncodingModel.fit(maps, deviation, windows, prior).weights
    gain = torch.ones(knots.shape[1], device=maps.device)
    components = decompose_residuals(deviation - weights.predicted)
    for _ in range(N_CALIBRATIONS):
        gain = calibrate_by_contrast(deviation, weights.predicted, components.noise(512, 0.5), knots)
        components = decompose_residuals(deviation - (knots @ gain)[:, None] * weights.predicted)
    predicted = knots @ at_knot + (knots @ gain)[:, None] * weights.predicted
    return EncodingCandidate(weights, at_knot + weights.intercept, gain, predicted, "learnt", False, components)


def judge_candidate(
    image_tower: GaborEnergy, neural_tower: ProjectiveFields, candidate: EncodingCandidate, validation: Pairs
) -> JudgedCandidate:
    """Choose size and shrinkage of the noise model by validation; both towers are left with the candidate's means.

    The image tower must already expect of contrast what the candidate does.
    """
    _install(neural_tower, candidate.weights, candidate.at_knot)
    evoked = _evoked(image_tower, neural_tower, validation)
    responses = torch.from_numpy(validation.averaged()).to(evoked.device)
    noises = candidate.residuals.noises(COMPONENT_COUNTS, SHRINKAGES, most=neural_tower.loadings.shape[1])
    best = choose_by_rank(
        Candidate(noise, setting, noise.log_likelihood(responses, evoked).cpu().numpy()) for noise, setting in noises
    )
    return JudgedCandidate(candidate, best.model, best.loss, best.setting)


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
