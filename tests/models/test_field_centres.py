"""Receptive-field centres: planted places are found, whatever the sign or channel."""

import torch

from dina.models.field_centres import estimate_centres


def noisy_maps(n_stimuli=300):
    return torch.randn(n_stimuli, 3, 9, 14, generator=torch.Generator().manual_seed(0))


def test_planted_centres_are_found_in_any_channel_and_with_either_sign():
    maps = noisy_maps()
    planted = [(0, 0, 0, 1), (4, 7, 1, -1), (8, 13, 2, 1), (2, 11, 1, 1), (6, 3, 0, -1)]
    responses = torch.stack([sign * maps[:, channel, row, column] for row, column, channel, sign in planted], dim=1)
    responses = responses + torch.randn(responses.shape, generator=torch.Generator().manual_seed(1))

    centre = estimate_centres(maps, responses, smoothing=0.5)

    assert centre.tolist() == [[float(row), float(column)] for row, column, _, _ in planted]


def test_scale_and_offset_of_responses_and_maps_do_not_move_centres():
    maps = noisy_maps()
    responses = maps[:, 0, 2:5, 3] + maps[:, 1, 2:5, 3]
    moved = estimate_centres(3 * maps + 7, 0.2 * responses - 5)
    assert torch.equal(moved, estimate_centres(maps, responses))
    assert moved.tolist() == [[2.0, 3.0], [3.0, 3.0], [4.0, 3.0]]


def test_a_wide_field_is_centred_between_its_flanks():
    maps = noisy_maps(600)
    responses = maps[:, 0, 4, 5:10].sum(1, keepdim=True)
    assert estimate_centres(maps, responses, smoothing=2.0).tolist() == [[4.0, 7.0]]


def test_a_silent_neuron_gets_a_place_on_the_grid():
    centre = estimate_centres(noisy_maps(20), torch.ones(20, 1))
    assert centre.isfinite().all()
    assert 0 <= float(centre[0, 0]) < 9
    assert 0 <= float(centre[0, 1]) < 14
