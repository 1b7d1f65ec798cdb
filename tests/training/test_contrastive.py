"""The contrastive objective against numbers worked out on paper and against two plain loops."""

import math

import pytest
import torch

from dina.training.objectives import symmetric_info_nce


@pytest.mark.parametrize(("n", "temperature"), [(2, 1.0), (5, 0.5), (8, 0.1)])
def test_orthonormal_matched_maps_give_the_loss_on_paper(n, temperature):
    logits = torch.eye(n, dtype=torch.float64) / temperature
    expected = math.log(1 + (n - 1) * math.exp(-1 / temperature))
    assert float(symmetric_info_nce(logits, torch.arange(n))) == pytest.approx(expected, rel=1e-12)


def test_identical_maps_give_log_n():
    assert float(symmetric_info_nce(torch.full((6, 6), 3.0), torch.arange(6))) == pytest.approx(math.log(6), rel=1e-6)


def test_it_agrees_with_explicit_loops_that_leave_out_the_same_image():
    n = 9
    logits = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    group = torch.tensor([0, 1, 2, 2, 2, 3, 4, 5, 0])
    total = 0.0
    for i in range(n):
        rivals = [j for j in range(n) if j == i or group[j] != group[i]]
        total += -math.log(math.exp(logits[i, i]) / sum(math.exp(logits[i, j]) for j in rivals))
        total += -math.log(math.exp(logits[i, i]) / sum(math.exp(logits[j, i]) for j in rivals))
    assert float(symmetric_info_nce(logits, group)) == pytest.approx(total / (2 * n), rel=1e-12)


@pytest.mark.parametrize("group", [[0, 1, 2, 3, 4, 5], [0, 1, 2, 2, 2, 0]])
def test_its_gradient_is_that_of_its_differences(group):
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda scores: 3 * symmetric_info_nce(scores, torch.tensor(group)), logits)


def test_a_duplicate_in_the_batch_is_not_pushed_away():
    logits = torch.zeros(3, 3, requires_grad=True)
    symmetric_info_nce(logits, torch.tensor([0, 0, 1])).backward()
    assert float(logits.grad[0, 1]) == 0
    assert float(logits.grad[1, 0]) == 0
    assert float(logits.grad[0, 2]) > 0


def test_a_batch_of_one_image_alone_has_no_loss_and_no_nan():
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = symmetric_info_nce(logits, torch.zeros(3, dtype=torch.int64))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-6)
    assert logits.grad.isfinite().all()
