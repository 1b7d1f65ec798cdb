"""What every objective in the table must hold."""

import pytest
import torch

from dina.alignment.objectives import OBJECTIVES


def some_scores(n=7, strength=0.0):
    noise = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return noise + strength * torch.eye(n, dtype=torch.float64)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_is_one_finite_number_also_for_huge_scores(name):
    group = torch.arange(7)
    for scale in (0.0, 1.0, 1e4):
        scores = (scale * some_scores().float()).requires_grad_()
        loss = OBJECTIVES[name](scores, group)
        loss.backward()
        assert loss.shape == ()
        assert loss.isfinite()
        assert scores.grad.isfinite().all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_permuting_the_batch_leaves_the_loss(name):
    scores, group = some_scores(), torch.tensor([0, 1, 1, 2, 3, 4, 5])
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(OBJECTIVES[name](scores[order][:, order], group[order]), OBJECTIVES[name](scores, group))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_falls_when_pairs_agree(name):
    group = torch.arange(7)
    losses = [float(OBJECTIVES[name](some_scores(strength=strength), group)) for strength in (0.0, 2.0, 10.0)]
    assert losses[0] > losses[1] > losses[2]
