"""Noise models are judged by left-out training images and by validation images."""

import math
import weakref

import numpy as np
import pytest
import torch

from dina.models.noise import LowRankNoise, ResidualComponents
from dina.retrieval.decoder import Candidate, choose_by_rank
from dina.retrieval.noise_choice import COMPONENT_COUNTS, N_FOLDS, SHRINKAGES, Predictions, judge_noises

N_SETTINGS = len(COMPONENT_COUNTS) * len(SHRINKAGES)


def predictions(n=80, n_neurons=30, n_shared=3, seed=0):
    """Responses are expectations plus noise, most of which ``n_shared`` components share."""
    generator = torch.Generator().manual_seed(seed)
    shared = 2 * torch.randn(n_shared, n_neurons, generator=generator)

    def some(n_images):
        expected = torch.randn(n_images, n_neurons, generator=generator)
        noise = torch.randn(n_images, n_neurons, generator=generator)
        return expected + noise + torch.randn(n_images, n_shared, generator=generator) @ shared, expected

    return Predictions(*some(n), *some(40))


def test_every_setting_is_judged_on_every_training_image():
    found = list(judge_noises(predictions()))
    assert len(found) == N_SETTINGS
    assert {one.log_ranks.shape for one in found} == {(80,)}
    assert {one.scores.shape for one in found} == {(40, 40)}


def test_shared_noise_is_found_and_independent_noise_gets_none():
    assert choose_by_rank(judge_noises(predictions())).setting["noise_components"] > 0
    losses = [choose_by_rank(judge_noises(predictions(n_shared=0, seed=seed))).setting for seed in range(3)]
    assert np.median([one["noise_components"] for one in losses]) <= 4


def test_the_noise_under_which_an_image_is_sought_does_not_know_that_image():
    given = predictions(n=20, n_neurons=60)
    # one image whose residual is huge: noise that knew it would explain it away
    given.responses[3] += 50 * torch.randn(60, generator=torch.Generator().manual_seed(9))
    in_sample = judge_noises(given, residuals=given.residuals)
    left_out = judge_noises(given)
    of_image = [[one.log_ranks[3] for one in found] for found in (in_sample, left_out)]
    assert np.mean(of_image[0]) != np.mean(of_image[1])


def test_one_noise_model_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    make, made, held = ResidualComponents.noise, [], []

    def noise(self: ResidualComponents, *settings: float) -> LowRankNoise:
        held.append(sum(each() is not None for each in made))
        new = make(self, *settings)
        made.append(weakref.ref(new))
        return new

    monkeypatch.setattr(ResidualComponents, "noise", noise)
    choose_by_rank(judge_noises(predictions(n=20)))
    assert len(held) == (N_FOLDS + 1) * N_SETTINGS
    assert max(held) == 0  # none of before is left when the next is made


def test_images_that_were_not_left_out_take_no_part():
    assert all(one.log_ranks.size == 0 for one in judge_noises(predictions(), is_left_out=False))


def test_left_out_images_count_like_validation_images():
    # of three validation images all are first; two left-out images are third
    candidate = Candidate("a", {}, np.eye(3), np.full(2, math.log(3)))
    assert math.isclose(choose_by_rank([candidate]).loss, 2 * math.log(3) / 5)
