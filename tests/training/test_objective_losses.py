"""Objectives over scores against numbers worked out on paper, plain loops, and each other."""

import math

import numpy as np
import pytest
import torch

from dina.training.objectives import symmetric_info_nce
from dina.training.objectives.contrastive import multi_positive_info_nce
from dina.training.objectives.contrastive_variants import BiMixCo, mixed_info_nce, sigmoid_pair_loss, soft_cross_entropy


def some_scores(n, seed=0):
    return torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_softmax(scores, i, j):
    return float(scores[i, j]) - math.log(sum(math.exp(s) for s in scores[i].tolist()))


def test_one_right_answer_each_makes_multi_positive_info_nce():
    scores = some_scores(8)
    found = multi_positive_info_nce(scores, torch.eye(8, dtype=torch.bool))
    torch.testing.assert_close(found, symmetric_info_nce(scores, torch.arange(8)))


def test_multi_positive_agrees_with_explicit_loops():
    scores, group = some_scores(7), [0, 1, 1, 2, 2, 2, 3]
    total = 0.0
    for i in range(7):
        right = [j for j in range(7) if group[j] == group[i]]
        total -= sum(log_softmax(scores, i, j) + log_softmax(scores.T, i, j) for j in right) / len(right)
    is_right = torch.tensor(group)[:, None] == torch.tensor(group)[None, :]
    assert float(multi_positive_info_nce(scores, is_right)) == pytest.approx(total / 14, rel=1e-12)


def test_a_perfect_model_reaches_the_floor_of_several_right_answers_and_no_less():
    is_right = torch.eye(3, dtype=torch.bool).repeat_interleave(2, 0).repeat_interleave(2, 1)
    # two equally good answers each: log 2 remains however sure the model is
    assert float(multi_positive_info_nce(100.0 * is_right, is_right)) == pytest.approx(math.log(2), rel=1e-6)


def test_the_sigmoid_loss_agrees_with_explicit_loops_that_leave_out_the_same_image():
    scores, group = some_scores(6), torch.tensor([0, 1, 1, 2, 3, 0])
    total = 0.0
    for i in range(6):
        for j in range(6):
            if i == j or group[i] != group[j]:
                total += math.log(1 + math.exp(-(1 if i == j else -1) * float(scores[i, j])))
    assert float(sigmoid_pair_loss(scores, group)) == pytest.approx(total / 6, rel=1e-12)


def test_a_sure_teacher_makes_softclip_info_nce():
    scores = some_scores(6)
    found = soft_cross_entropy(scores, torch.eye(6, dtype=torch.float64))
    torch.testing.assert_close(found, symmetric_info_nce(scores, torch.arange(6)))


def test_the_teacher_itself_is_the_best_that_softclip_can_find():
    # symmetric, rows and columns sum to 1: both directions are then as good as the teacher's entropy allows
    row = torch.tensor([0.4, 0.2, 0.1, 0.1, 0.2], dtype=torch.float64)
    teacher = torch.stack([row.roll(shift) for shift in range(5)])
    entropy = float(-(row * row.log()).sum())
    assert float(soft_cross_entropy(teacher.log(), teacher)) == pytest.approx(entropy, rel=1e-12)
    assert float(soft_cross_entropy(teacher.log() + 0.3 * some_scores(5), teacher)) > entropy


def test_blends_agree_with_explicit_loops():
    n, scores, partner = 5, some_scores(5), [3, 0, 4, 1, 2]
    share = torch.tensor([0.9, 0.2, 0.5, 1.0, 0.0], dtype=torch.float64)
    total = 0.0
    for i in range(n):
        for j, weight in ((i, float(share[i])), (partner[i], 1 - float(share[i]))):
            total -= weight * (log_softmax(scores, i, j) + log_softmax(scores.T, j, i))
    found = mixed_info_nce(scores, torch.arange(n), torch.tensor(partner), share)
    assert float(found) == pytest.approx(total / (2 * n), rel=1e-12)


def test_a_near_identical_image_is_left_out_of_blends_unless_it_was_blended_in():
    scores = torch.zeros(3, 3, requires_grad=True)
    group, share = torch.tensor([0, 0, 1]), torch.ones(3)
    mixed_info_nce(scores, group, torch.tensor([2, 1, 0]), share).backward()
    assert float(scores.grad[0, 1]) == 0
    blended = torch.zeros(3, 3, requires_grad=True)
    mixed_info_nce(blended, group, torch.tensor([1, 0, 2]), 0.5 * share).backward()
    assert float(blended.grad[0, 1]) != 0


def test_blends_hold_the_responses_in_the_shares_that_they_report_and_most_are_nearly_pure():
    responses = torch.eye(4000)[:, :2000]
    mixed, worth, partner, share = BiMixCo().mix(responses, torch.ones(4000), np.random.default_rng(0))
    row = 7
    assert float(mixed[row, row]) == pytest.approx(float(share[row]) + (1 - float(share[row])) * (partner[row] == row))
    is_blended = partner != torch.arange(4000)
    # Beta(0.15, 0.15): standard deviation 0.5 / sqrt(1.3) = 0.4385, measured in two thousand with an error of about 0.003
    assert float(share[is_blended].std()) == pytest.approx(0.4385, abs=0.012)
    torch.testing.assert_close(worth, 1 / (share**2 + (1 - share) ** 2))


def test_a_random_half_of_the_responses_stays_as_measured_and_costs_what_pairs_cost():
    n, gap = 1000, 40.0
    responses, presentations = torch.randn(n, 3, generator=torch.Generator().manual_seed(0)), torch.full((n,), 2.0)
    mixed, worth, partner, share = BiMixCo().mix(responses, presentations, np.random.default_rng(0))
    is_pure = partner == torch.arange(n)
    # binomial: standard deviation sqrt(0.25 / 1000) = 0.016
    assert float(is_pure.float().mean()) == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(mixed[is_pure], responses[is_pure])
    torch.testing.assert_close(worth[is_pure], presentations[is_pure])
    # Towers whose score is higher by ``gap`` for the own image than for any other: log p is 0 there and -gap elsewhere, so that a
    # pair costs nothing, and a blend gap times what it holds of its partner, in either direction. Half are blends, and hold half
    # of their partner on average: gap / 4, with a standard deviation of 0.013 gap over a thousand rows.
    found = float(mixed_info_nce(gap * torch.eye(n), torch.arange(n), partner, share))
    assert found == pytest.approx(gap * float((1 - share).mean()), rel=1e-4)
    assert found == pytest.approx(gap / 4, abs=0.05 * gap)
