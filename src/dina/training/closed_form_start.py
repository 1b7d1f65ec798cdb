"""Towers that begin at the noise-aware encoding model: everything that has a closed form, before any gradient."""

import torch

from dina.data.pairs import Pairs
from dina.models.encoding import EncodingModel, Windows, choose_typical, shift_by_contrast
from dina.models.encoding_weights import learn_prior
from dina.models.towers.image.gabor_energy import GaborEnergy
from dina.models.towers.neural.projective_fields import ProjectiveFields
from dina.training.encoding_candidates import contrast_candidate, judge_candidate, steady_candidate


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
    expected = contrast.expected.clone()
    contrast.expected.zero_()
    shift_by_contrast(maps, knots, expected)
    windows = Windows.find(maps, responses, widths, neural_tower.order)
    flat = EncodingModel.fit(maps, responses, windows)
    prior = learn_prior(flat.weights)
    learnt = EncodingModel.fit(maps, responses, windows, prior)
    candidates = [
        steady_candidate(model.weights, responses, knots.shape[1], name)
        for name, model in (("ignorant", flat), ("learnt", learnt))
    ]
    shift_by_contrast(maps, knots, -expected)
    candidates.append(contrast_candidate(maps, responses, knots, windows, prior))
    judged = []
    for candidate in candidates:
        contrast.expected.copy_(expected * (0.0 if candidate.is_contrast_free else 1.0))
        contrast.gain.copy_(candidate.gain)
        judged.append(judge_candidate(image_tower, neural_tower, candidate, validation))
    best = min(judged, key=lambda each: each.loss)  # the first of equals
    winner = best.candidate
    contrast.expected.copy_(expected * (0.0 if winner.is_contrast_free else 1.0))
    contrast.gain.copy_(winner.gain)
    best.install(neural_tower)
    neural_tower.keep_typical(choose_typical(winner.predicted), float(train.total_presentations().mean()))
    return {
        **best.chosen,
        "window_width": windows.width,
        "prior": winner.prior,
        "follows_contrast": "no" if winner.is_contrast_free else "yes",
    }
