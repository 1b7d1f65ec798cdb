"""Training batches: every image once, mixtures of its own trials, an order that depends on seed and epoch alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dina.checks import DataError
from dina.training.batches import TrainingBatches


def make_batches(pairs, batch_size=7, seed=0):
    return TrainingBatches(pairs, np.arange(pairs.n_stimuli), batch_size, seed, torch.device("cpu"))


def test_an_epoch_visits_every_image_once_in_nearly_equal_batches(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=23, n_validation=2)
    batches = [batch.group for batch in make_batches(train).epoch(1)]
    assert sorted(torch.cat(batches).tolist()) == list(range(23))
    assert sorted(map(len, batches)) == [5, 6, 6, 6]


def test_no_batch_ever_holds_a_single_image(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=9, n_validation=2)
    assert sorted(len(batch.group) for batch in make_batches(train, batch_size=2).epoch(1)) == [2, 2, 2, 3]
    assert [len(batch.group) for batch in make_batches(train, batch_size=1000).epoch(1)] == [9]


def test_epochs_differ_and_repeat_with_the_seed(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=20, n_validation=2)
    first, again = (list(make_batches(train).epoch(3)) for _ in range(2))
    other_epoch, other_seed = list(make_batches(train).epoch(4)), list(make_batches(train, seed=1).epoch(3))
    assert all(torch.equal(a.responses, b.responses) and torch.equal(a.group, b.group) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].group, other_epoch[0].group)
    assert not torch.equal(first[0].group, other_seed[0].group)


def test_a_response_is_a_mixture_of_the_trials_of_its_own_image(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=20, n_validation=2)
    batch = next(iter(make_batches(train).epoch(1)))
    for row, image in enumerate(batch.group.tolist()):
        one, two = train.responses[train.stimulus_index == image]
        share = (batch.responses[row].numpy() - two) @ (one - two) / ((one - two) @ (one - two))
        assert 0 < share < 1
        np.testing.assert_allclose(batch.responses[row].numpy(), share * one + (1 - share) * two, atol=1e-5)
        # weights w and 1 - w of single trials leave the noise of 1 / (w² + (1 - w)²) presentations
        np.testing.assert_allclose(float(batch.n_presentations[row]), 1 / (share**2 + (1 - share) ** 2), rtol=1e-3)


def test_mixtures_of_two_trials_are_uniform(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=200, n_validation=2, n_neurons=4)
    batches = make_batches(train, 200)
    shares = []
    for epoch in range(10):
        batch = next(iter(batches.epoch(epoch)))
        worth = batch.n_presentations.double().numpy()
        shares.append(np.sqrt(np.maximum(2 / worth - 1, 0)))  # |2u - 1|, uniform on [0, 1] if u is
    values = np.sort(np.concatenate(shares))
    # Kolmogorov–Smirnov distance: 1.95 / sqrt(n) is exceeded once in a thousand
    assert np.abs(values - (np.arange(2000) + 0.5) / 2000).max() < 1.95 / np.sqrt(2000)


def test_an_average_without_other_trials_passes_as_it_is(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=10, n_validation=2, n_repeats=1)
    train = replace(train, n_presentations=np.full(10, 8))
    for batch in make_batches(train).epoch(2):
        expected = train.responses[np.argsort(train.stimulus_index)][batch.group.numpy()]
        np.testing.assert_array_equal(batch.responses.numpy(), expected)
        np.testing.assert_allclose(batch.n_presentations.numpy(), 8.0, rtol=1e-6)


def test_unequal_numbers_of_trials_mix_only_what_there_is(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=6, n_validation=2, n_repeats=3)
    keep = ~((train.stimulus_index == 2) & (train.repeat_number() > 0))
    train = replace(
        train,
        responses=train.responses[keep],
        stimulus_index=train.stimulus_index[keep],
        n_presentations=train.n_presentations[keep],
    )
    for batch in make_batches(train).epoch(1):
        for row, image in enumerate(batch.group.tolist()):
            if image == 2:
                np.testing.assert_allclose(batch.responses[row].numpy(), train.responses[train.stimulus_index == 2][0], rtol=1e-6)
                assert float(batch.n_presentations[row]) == pytest.approx(1.0)


def test_one_image_shown_under_many_ids_cannot_be_trained_on(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=10, n_validation=2)
    with pytest.raises(DataError, match="at least 2 different images; got 1 among 10"):
        TrainingBatches(train, np.zeros(10, dtype=np.int64), 4, 0, torch.device("cpu"))


def test_single_trials_come_two_for_each_image_beside_the_image_they_belong_to(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=20, n_validation=2, n_repeats=3)
    batches = make_batches(train)
    drawn = []
    for batch in batches.epoch_of_trials(1):
        torch.testing.assert_close(batch.images.index_select(0, batch.row), batches.images.index_select(0, batch.position))
        assert torch.equal(torch.bincount(batch.row), torch.full((len(batch.images),), 2))
        for response, image in zip(batch.responses.numpy(), batch.position.tolist(), strict=True):
            own = np.flatnonzero(train.stimulus_index == image)
            drawn += [int(trial) for trial in own if np.array_equal(train.responses[trial], response)]
        assert (batch.n_presentations == 1).all()
    # two different trials of each of 20 images
    assert len(drawn) == len(set(drawn)) == 40
    first = torch.cat([batch.responses for batch in batches.epoch_of_trials(1)])
    assert torch.equal(first, torch.cat([batch.responses for batch in batches.epoch_of_trials(1)]))


def test_over_the_epochs_every_trial_of_an_image_is_drawn(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=10, n_validation=2, n_repeats=3, n_neurons=4)
    drawn = torch.cat([batch.responses for epoch in range(12) for batch in make_batches(train).epoch_of_trials(epoch)])
    # each trial is left out of an epoch with probability 1/3: one of 30 is never drawn in 12 once in 18,000 times
    assert len(np.unique(drawn.numpy(), axis=0)) == 30


def test_an_image_with_one_trial_gives_one_row(make_toy_pairs):
    train, _ = make_toy_pairs(n_train=9, n_validation=2)
    keep = ~((train.stimulus_index == 4) & (train.repeat_number() == 1))
    fewer = replace(
        train,
        responses=train.responses[keep],
        stimulus_index=train.stimulus_index[keep],
        n_presentations=train.n_presentations[keep],
    )
    position = torch.cat([batch.position for batch in make_batches(fewer, batch_size=3).epoch_of_trials(0)])
    assert torch.bincount(position).tolist() == [2, 2, 2, 2, 1, 2, 2, 2, 2]
