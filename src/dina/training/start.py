"""The closed-form start: towers begin at encoding models, of one or several recordings, or of one that joins others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dina.data.pairs import Pairs
from dina.large_arrays import blocks_of
from dina.memory import give_back_memory
from dina.models.encoding import EncodingModel, Windows, calibrate_by_contrast, choose_typical, shift_by_contrast
from dina.models.local_ridge import FITTING, LocalWeights, learn_prior
from dina.models.noise import NEURONS_AT_ONCE, LowRankNoise, Residuals, decompose_residuals
from dina.models.spaces import FeatureSpace
from dina.models.stacking import add_predictions, size_of_predictions, stack_predictions
from dina.models.towers.field_basis import hermite_fields
from dina.models.towers.image.contrast_gain import ContrastGain, keep_components, solve_knots
from dina.models.towers.image.feature_stack import FeatureStack
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields, WeightsBeside
from dina.neuron_blocks import large_like
from dina.progress import number_passes
from dina.retrieval.decoder import choose_by_rank
from dina.retrieval.noise_choice import Predictions, judge_noises
from dina.training.aligned_towers import IMAGES_AT_ONCE
from dina.training.batches import RecordingPairs
from dina.training.images_of_start import maps_at, union_of, with_enough_images
from dina.training.spaces_of_start import fit_spaces, join_weights, list_what_spaces_add

N_CALIBRATIONS = 2  # gain and noise depend on each other; the second round changes little
N_CALIBRATED_BY = 512  # components of the noise that gains are calibrated by
N_CONTRAST_COMPONENTS = 2  # ways in which the population's mean response follows contrast
FLAT = "ignorant"  # the flat prior, as summaries of runs name it

# What validation chose, by name.
Chosen = dict[str, str | float]


@dataclass(frozen=True, eq=False)
class NeuronPrior:
    """The prior for a neuron not yet seen, learnt from the neurons of all recordings."""

    width: float  # of the receptive-field window, in places of the map
    weights: Float[Tensor, "feature feature"]  # square root of the covariance of weights over patterns and channels


@torch.no_grad()
def start_at_encoding_models(
    image_tower: GaborEnergy,
    neural_towers: Sequence[ProjectiveFields],
    recordings: Sequence[RecordingPairs],
    widths: tuple[float, ...],
) -> tuple[NeuronPrior, Chosen]:
    """Set one image tower, and a neural tower for each recording, to encoding models in place.

    Five steps read training pairs alone: statistics of the maps; receptive-field centres; one width of the
    receptive-field window (of ``widths``, in places of the map); ridge weights of every neuron, first with a flat prior and
    then with the prior learnt from all neurons; the noise that predictions of left-out images leave unexplained. A third
    model lets each neuron's mean response, the expected maps and the gain of predictions follow the contrast of the image,
    which takes many images to learn. Training images, each left out, and validation images then choose among these three models,
    each with noise of several sizes and shrinkages. Last, the feature spaces of a `FeatureStack` are fitted to a single recording
    and stacked with the local channels.

    Of more than 4,096 training images, evenly spaced ones are read, as many as have maps of a quarter of a gigabyte together.

    Recordings share the statistics of the maps over all training images, the width (the median of those that single
    recordings would choose), the learnt prior, whether anything follows contrast, and the gain at each contrast. All else
    belongs to each recording.

    Returns
    -------
    prior
        With which a further recording can start.
    chosen
        For all recordings, by name; with one recording also what was chosen for it.

    Raises
    ------
    ValueError
        If the image tower has no channels of contrast.
    """
    contrast = _contrast_of(image_tower)
    recordings, limited = with_enough_images(recordings, image_tower.mean.numel())
    maps, knots, rows = _read_images(image_tower, recordings)
    expected = contrast.expected.clone()
    contrast.expected.zero_()
    shift_by_contrast(maps, knots, expected)
    data = []
    for of_recording, recording in zip(rows, recordings, strict=True):
        responses = torch.from_numpy(recording.train.averaged()).to(maps.device)
        windows = Windows.find(maps_at(maps, of_recording), responses, widths, neural_towers[0].order)
        data.append(_TrainingResponses(of_recording, responses, windows))
    width = sorted(one.windows.width for one in data)[(len(data) - 1) // 2]
    data = [replace(one, windows=replace(one.windows, width=width)) for one in data]
    passes = number_passes(FITTING, 3 * len(data))
    flat = [EncodingModel.fit(maps_at(maps, one.rows), one.responses, one.windows, None, next(passes)).weights for one in data]
    prior = NeuronPrior(width, learn_prior(_pooled(flat)))
    winners = []
    for one, tower, recording in zip(data, neural_towers, recordings, strict=True):
        steady = _Steady(image_tower, tower, recording.validation, one.responses, knots.shape[1])
        # one model after the other: those of many neurons take hundreds of megabytes, and losers are forgotten
        winner = steady.choose(flat.pop(0), FLAT)
        learnt = steady.choose(
            EncodingModel.fit(maps_at(maps, one.rows), one.responses, one.windows, prior.weights, next(passes)).weights, "learnt"
        )
        winners.append(learnt if learnt.loss < winner.loss else winner)
        del steady, winner, learnt
    for tower in neural_towers:  # other fields are installed below
        tower.forget_fields()
    give_back_memory()
    shift_by_contrast(maps, knots, -expected)
    following = [
        _contrast_candidate(maps_at(maps, one.rows), one.responses, knots[one.rows], one.windows, prior.weights, next(passes))
        for one in data
    ]
    give_back_memory()
    winners = _choose_together(image_tower, neural_towers, recordings, data, winners, following, expected)
    del following
    for tower, winner, recording in zip(neural_towers, winners, recordings, strict=True):
        winner.install(tower, recording.train)
    first = winners[0].candidate
    follows = "no" if first.is_contrast_free else "yes"
    if len(winners) > 1:
        return prior, {"window_width": width, "follows_contrast": follows, **limited}
    chosen: Chosen = {**winners[0].noise_settings, "window_width": width, "prior": first.prior, **first.weights.notes}
    chosen["follows_contrast"] = follows
    del first, winner  # of many neurons it takes hundreds of megabytes
    if isinstance(image_tower, FeatureStack) and len(image_tower.spaces):
        shift_by_contrast(maps, knots, expected)  # the standardised maps again
        chosen |= _stack_spaces(image_tower, neural_towers[0], recordings[0], data[0].responses, winners.pop(), maps)
    return prior, {**chosen, **limited}


@torch.no_grad()
def start_new_recording(
    image_tower: GaborEnergy, neural_tower: ProjectiveFields, prior: NeuronPrior, train: Pairs, validation: Pairs
) -> Chosen:
    """Set the neural tower of a new recording to an encoding model, with the image tower and the prior of other recordings.

    The image tower is not changed. The pairs may be few. Validation chooses the prior (learnt or flat), whether mean responses
    follow contrast, and the noise model; these choices are returned by name.
    """
    contrast = _contrast_of(image_tower)
    images = torch.from_numpy(train.images).to(contrast.knot.device)
    knots = contrast.knot_weights(images)
    maps = _standard_maps(image_tower, images)
    responses = torch.from_numpy(train.averaged()).to(maps.device)
    is_free = not bool(contrast.expected.any())
    windows = Windows.find(maps, responses, (prior.width,), neural_tower.order)
    candidates = []
    passes = number_passes(FITTING, 2 if is_free else 3)
    for name, covariance in ((FLAT, None), ("learnt", prior.weights)):
        weights = EncodingModel.fit(maps, responses, windows, covariance, next(passes)).weights
        candidates.append(_steady_candidate(weights, responses, knots.shape[1], name, is_contrast_free=is_free))
    if not is_free:
        candidates.append(_contrast_candidate(maps, responses, knots, windows, prior.weights, next(passes)))
    choices = [_choose_noise(image_tower, neural_tower, candidate, responses, validation) for candidate in candidates]
    best = min(choices, key=lambda each: each.loss)  # the first of equals
    best.install(neural_tower, train)
    steady = best.candidate.at_knot.std(0, correction=0).max() == 0
    return {**best.noise_settings, "prior": best.candidate.prior, "mean_follows_contrast": "no" if bool(steady) else "yes"}


@dataclass(frozen=True, eq=False)
class _TrainingResponses:
    """Averaged training responses of one recording."""

    rows: Tensor  # of its images among those of all recordings
    responses: Tensor
    windows: Windows


@dataclass(frozen=True, eq=False)
class _Candidate:
    """One encoding model of the training images, before the size of its noise model is chosen."""

    weights: LocalWeights
    at_knot: Float[Tensor, "knot neuron"]  # mean response at each knot of contrast
    gain: Float[Tensor, "knot"]  # of predictions at each knot of contrast
    predicted: Float[Tensor, "stimulus neuron"]  # responses to the training images, each predicted from the others
    prior: str  # FLAT or "learnt"
    is_contrast_free: bool  # neither mean responses nor maps follow the contrast of the image


@dataclass(frozen=True, eq=False)
class _Steady:
    """Chooses the noise of models of one recording whose mean responses do not follow contrast."""

    image_tower: GaborEnergy
    neural_tower: ProjectiveFields
    validation: Pairs
    responses: Float[Tensor, "stimulus neuron"]
    n_knots: int

    def choose(self, weights: LocalWeights, prior: str) -> "_Choice":
        candidate = _steady_candidate(weights, self.responses, self.n_knots, prior)
        return _choose_noise(self.image_tower, self.neural_tower, candidate, self.responses, self.validation)


@dataclass(frozen=True, eq=False)
class _Choice:
    """A candidate with the noise model under which it finds validation images best."""

    candidate: _Candidate
    noise: LowRankNoise
    loss: float  # mean log rank, see `dina.retrieval.noise_choice`
    noise_settings: Chosen

    def install(self, neural_tower: ProjectiveFields, train: Pairs) -> None:
        _install_weights(neural_tower, self.candidate.weights, self.candidate.at_knot)
        _install_noise(neural_tower, self.noise, self.candidate.predicted, train)


def _read_images(image_tower: GaborEnergy, recordings: Sequence[RecordingPairs]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return maps and weights on knots of contrast of all training images, and the rows of each recording's images among them.

    The copy of the images, of many hundreds of megabytes, ends here.
    """
    images, rows = union_of([each.train for each in recordings])
    maps = image_tower.learn_statistics(torch.from_numpy(images))
    return maps, _contrast_of(image_tower).knot_weights(torch.from_numpy(images).to(maps.device)), rows


def _contrast_of(image_tower: GaborEnergy) -> ContrastGain:
    if image_tower.contrast is None:
        raise ValueError("The closed-form start needs an image tower with n_contrasts of at least 2.")
    return image_tower.contrast


def _pooled(found: Sequence[LocalWeights]) -> LocalWeights:
    """Join the weights of all recordings for `learn_prior`, which reads weights and fit alone."""
    if len(found) == 1:  # no copy of hundreds of megabytes
        return found[0]
    names = ("centre", "weights", "intercept", "explained", "penalty")
    together: dict[str, Any] = {name: torch.cat([getattr(each, name) for each in found]) for name in names}
    # recordings may have seen different images: their predictions cannot stand side by side
    return replace(found[0], predicted=torch.cat([each.predicted[:0] for each in found], dim=1), **together)


def _choose_together(
    image_tower: GaborEnergy,
    neural_towers: Sequence[ProjectiveFields],
    recordings: Sequence[RecordingPairs],
    data: Sequence[_TrainingResponses],
    steady: list[_Choice],
    following: Sequence[_Candidate],
    expected: Tensor,
) -> list[_Choice]:
    """Choose for all recordings together whether responses follow contrast; the tower does not follow it yet."""
    contrast = _contrast_of(image_tower)
    sizes = torch.tensor([float(tower.n_neurons) for tower in neural_towers], device=expected.device)
    gains = torch.stack([each.gain for each in following])
    contrast.expected.copy_(expected)
    contrast.gain.copy_((gains * (sizes / sizes.sum())[:, None]).sum(0))
    moving = [
        _choose_noise(image_tower, tower, candidate, one.responses, recording.validation)
        for tower, recording, one, candidate in zip(neural_towers, recordings, data, following, strict=True)
    ]
    if sum(each.loss for each in moving) < sum(each.loss for each in steady):
        return moving
    contrast.expected.zero_()
    contrast.gain.fill_(1.0)
    return steady


def _standard_maps(image_tower: GaborEnergy, images: Tensor) -> Tensor:
    """Return standardised maps minus the maps that their contrast predicts, before any gain; half precision."""
    contrast = _contrast_of(image_tower)
    maps = []
    for part in torch.split(images, IMAGES_AT_ONCE):
        standard = (image_tower.raw_maps(part) - image_tower.mean) / image_tower.deviation
        maps.append((standard - torch.einsum("bk,kchw->bchw", contrast.knot_weights(part), contrast.expected)).half())
    return torch.cat(maps)


def _steady_candidate(
    weights: LocalWeights, responses: Float[Tensor, "stimulus neuron"], n_knots: int, prior: str, *, is_contrast_free: bool = True
) -> _Candidate:
    """Make the model whose mean responses do not follow contrast."""
    same, ones = weights.intercept.expand(n_knots, -1), torch.ones(n_knots, device=responses.device)
    return _Candidate(weights, same, ones, weights.predicted, prior, is_contrast_free)


def _contrast_candidate(
    maps: Float[Tensor, "stimulus channel height width"],
    responses: Float[Tensor, "stimulus neuron"],
    knots: Float[Tensor, "stimulus knot"],
    windows: Windows,
    prior: Float[Tensor, "feature feature"],
    words: str,
) -> _Candidate:
    """Fit the part of responses that contrast does not predict, on maps without that part, and calibrate it by contrast."""
    at_knot = keep_components(solve_knots(knots, responses), N_CONTRAST_COMPONENTS)
    deviation = large_like(responses)
    blocks = list(blocks_of(responses.shape[1], NEURONS_AT_ONCE))
    for some in blocks:
        torch.sub(responses[:, some], knots @ at_knot[:, some], out=deviation[:, some])
    weights = EncodingModel.fit(maps, deviation, windows, prior, words).weights
    gain = torch.ones(knots.shape[1], device=maps.device)
    for _ in range(N_CALIBRATIONS):
        components = decompose_residuals(Residuals(deviation, weights.predicted, knots @ gain), N_CALIBRATED_BY)
        gain = calibrate_by_contrast(deviation, weights.predicted, components.noise(N_CALIBRATED_BY, 0.5), knots)
    for some in blocks:  # in place: nothing else needs what is predicted of the deviation
        weights.predicted[:, some] = knots @ at_knot[:, some] + (knots @ gain)[:, None] * weights.predicted[:, some]
    return _Candidate(weights, at_knot + weights.intercept, gain, weights.predicted, "learnt", False)


def _choose_noise(
    image_tower: GaborEnergy, neural_tower: ProjectiveFields, candidate: _Candidate, responses: Tensor, validation: Pairs
) -> _Choice:
    """Choose size and shrinkage of the noise model, with the candidate's weights in the neural tower.

    The image tower must already follow contrast, or not, as the candidate does.
    """
    _install_weights(neural_tower, candidate.weights, candidate.at_knot)
    noise, loss, setting = _judge(image_tower, neural_tower, candidate.predicted, responses, validation)
    return _Choice(candidate, noise, loss, setting)


def _judge(
    image_tower: GaborEnergy, neural_tower: ProjectiveFields, predicted: Tensor, responses: Tensor, validation: Pairs
) -> tuple[LowRankNoise, float, Chosen]:
    """Return the best noise model for the towers as they are, its mean log rank, and its settings."""
    evoked = _predict(image_tower, neural_tower, validation)
    others = torch.from_numpy(validation.averaged()).to(evoked.device)
    predictions = Predictions(responses, predicted, others, evoked)
    best = choose_by_rank(judge_noises(predictions, most=neural_tower.n_components))
    return best.model, best.loss, best.setting


def _predict(image_tower: GaborEnergy, neural_tower: ProjectiveFields, pairs: Pairs) -> Tensor:
    """Return the responses that the towers expect of images."""
    images = torch.from_numpy(pairs.images).to(neural_tower.weights.device)
    return torch.cat([neural_tower.predict(image_tower(chunk)) for chunk in torch.split(images, IMAGES_AT_ONCE)])


def _stack_spaces(
    image_tower: FeatureStack,
    neural_tower: ProjectiveFields,
    recording: RecordingPairs,
    responses: Float[Tensor, "stimulus neuron"],
    local: _Choice,
    maps: Tensor,
) -> Chosen:
    """Fit the feature spaces beside the local channels, and set the towers to the stack of all of them.

    A space that does not help has a share of 0. The stack is not compared with the local channels alone on left-out training
    images, since predictions from local channels flatter themselves there. ``responses`` and ``maps``, the standardised local
    channels, are those of the training images. The image tower must already follow contrast, or not, as ``local`` does.
    """
    neural_tower.forget_fields()  # until they are installed with the others: of many neurons hundreds of megabytes
    train, validation = recording.train, recording.validation
    images = torch.from_numpy(train.images).to(maps.device)
    mean = responses.mean(0)
    spaces = [space for space in image_tower.spaces.values() if isinstance(space, FeatureSpace)]
    fits, predicted = fit_spaces(spaces, local.candidate.predicted, images, maps, responses)
    deviation = torch.sub(responses, mean, out=large_like(responses))
    shares = stack_predictions(predicted, deviation)
    del deviation
    helps = [bool(share.any()) for share in shares.T[1:]]
    image_tower.take([space for space, is_used in zip(spaces, helps, strict=True) if is_used])
    used = [(fit.weights, share) for fit, share, is_used in zip(fits, shares.T[1:], helps, strict=True) if is_used]
    kept = [fit for fit, is_used in zip(fits, helps, strict=True) if is_used]
    if kept:
        image_tower.remember(images, torch.cat([fit.features for fit in kept], dim=1))
    candidate = local.candidate
    together = add_predictions(predicted, shares)
    names = ("local", *(name for name, is_used in zip(image_tower.spaces, helps, strict=True) if is_used))
    features = {name: fit.features for name, fit in zip(names[1:], kept, strict=True)}
    in_use = [each for each, is_used in zip(predicted, (True, *helps), strict=True) if is_used]
    contributions = list_what_spaces_add(names, in_use, features, images, maps, responses)
    del predicted, in_use, features, fits, kept  # before the noise of many neurons needs as much

    def install(size: float) -> None:
        neural_tower.forget_fields()
        neural_tower.read_beside(WeightsBeside(neural_tower.n_neurons))  # those of another size go before these are made
        own = size * shares[:, 0]
        beside = [(weights, size * share) for weights, share in used]
        neural_tower.read_beside(join_weights(neural_tower.n_neurons, beside, image_tower.position))
        _install_weights(neural_tower, candidate.weights, mean + own * (candidate.at_knot - mean), own)

    install(1.0)
    others = torch.from_numpy(validation.averaged()).to(maps.device)
    size = size_of_predictions(_predict(image_tower, neural_tower, validation) - mean, others - mean)
    install(size)
    del local, candidate, used  # the towers hold what is needed of them
    give_back_memory()
    # predictions of left-out training images need no factor: the shares were learnt from them
    left_out = torch.add(together, mean, out=large_like(together))
    noise, _, setting = _judge(image_tower, neural_tower, left_out, responses, validation)
    _install_noise(neural_tower, noise, torch.add(mean, together, alpha=size, out=left_out), train)
    used_shares = shares[:, [True, *helps]].mean(0).tolist()
    setting["feature_spaces"] = ", ".join(f"{name} {share:.2f}" for name, share in zip(names, used_shares, strict=True))
    setting["size_of_predictions"] = round(size, 3)
    return setting | contributions


def _install_noise(tower: ProjectiveFields, noise: LowRankNoise, predicted: Tensor, train: Pairs) -> None:
    tower.take_noise(noise)
    tower.keep_typical(choose_typical(predicted, tower.typical.dtype), float(train.total_presentations().mean()))


def _install_weights(
    tower: ProjectiveFields,
    weights: LocalWeights,
    at_knot: Float[Tensor, "knot neuron"],
    factor: Float[Tensor, "neuron"] | None = None,
) -> None:
    """Set the fields of a tower to weights, each neuron's times its factor, and its mean responses to those at each knot."""
    n_channels = weights.weights.shape[2]
    tower.centre.copy_(weights.centre)
    tower.width.fill_(weights.width)
    tower.weights.zero_()
    tower.weights[:, :, :n_channels] = weights.weights
    if factor is not None:
        tower.weights[:, :, :n_channels] *= factor[:, None, None]
    # the channels of contrast are constant planes: read by the Gaussian alone, divided by its sum inside the map
    _, height, width = tower.map_shape
    centres, number = torch.unique(weights.centre, dim=0, return_inverse=True)
    inside = hermite_fields((height, width), centres, weights.width, 0).sum(dim=(1, 2, 3))[number]
    tower.weights[:, 0, n_channels:] = (at_knot / inside).T
    tower.log_gain.zero_()
