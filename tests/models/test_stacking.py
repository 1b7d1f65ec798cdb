"""Stacked predictions: what helps is used, what does not help costs nothing."""

import pytest
import torch

from dina.models.stacking import size_of_predictions, stack_predictions


def made(seed=0, n=300, n_neurons=12):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, n, n_neurons, generator=generator)


def test_two_half_truths_are_added():
    first, second, _ = made()
    weights = stack_predictions(torch.stack([first, second]), first + 0.5 * second)
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.5]).expand(12, 2), atol=1e-3, rtol=0)


def test_a_space_without_information_gets_next_to_nothing():
    first, useless, noise = made()
    weights = stack_predictions(torch.stack([first, useless]), first + noise)
    assert weights[:, 1].mean() < 0.05
    assert weights[:, 0].mean() > 0.9


def test_weights_are_not_negative_even_where_that_would_fit_better():
    first, second, _ = made()
    weights = stack_predictions(torch.stack([first, second]), first - second)
    assert (weights >= 0).all()
    assert not weights[:, 1].any()


def test_a_neuron_follows_the_population_where_its_own_responses_say_little():
    first, second, noise = made(n=100)
    truth = first + 0.5 * second
    noisy, clean = truth + 4 * noise, truth.clone()
    clean[:, 6] = second[:, 6]
    weights = stack_predictions(torch.stack([first, second]), torch.cat([noisy[:, :6], clean[:, 6:]], dim=1))
    assert (weights[:6] - weights[:6].mean(0)).abs().max() < 0.3  # alone, their weights would have a deviation of 0.4
    # a neuron without noise follows its own responses, though the population has (1, 0.5)
    torch.testing.assert_close(weights[6], torch.tensor([0.0, 1.0]), atol=0.25, rtol=0)


def test_spaces_that_predict_nothing_are_not_used():
    noise = made()[0]
    assert not stack_predictions(torch.stack([-noise, -2 * noise]), noise).any()


def test_predictions_that_flatter_themselves_are_made_smaller_for_other_images() -> None:
    generator = torch.Generator().manual_seed(4)
    drive, noise, seen = (torch.randn(300, 40, generator=generator) for _ in range(3))
    predicted = drive + seen  # half of what is predicted was learnt from noise that other images do not have
    assert size_of_predictions(predicted, drive + noise) == pytest.approx(0.5, abs=0.03)
    assert size_of_predictions(predicted, -drive) == 0.0  # predictions that are wrong are not turned round
