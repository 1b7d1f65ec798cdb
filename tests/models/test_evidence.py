"""The evidence of a response is its average likelihood, and the rows kept as typical are spread over all images."""

import torch

from dina.models.encoding import N_TYPICAL, choose_typical, log_evidence


def test_evidence_averages_likelihoods_not_their_logarithms():
    likelihood = torch.tensor([[0.25, 0.75], [1.0, 3.0]])
    found = log_evidence(likelihood.log(), torch.ones(2))
    torch.testing.assert_close(found, torch.tensor([0.5, 2.0]).log())


def test_a_response_of_twice_the_presentations_counts_twice_the_likelihood():
    likelihood = torch.tensor([[0.2, 0.6]]).log()
    found = log_evidence(likelihood, torch.tensor([2.0]))
    torch.testing.assert_close(found, 0.5 * torch.tensor([(0.04 + 0.36) / 2]).log())


def test_very_small_likelihoods_do_not_vanish():
    found = log_evidence(torch.tensor([[-2000.0, -2001.0]]), torch.ones(1))
    assert -2001 < float(found) < -2000


def test_typical_rows_are_spread_over_all_images():
    expected = torch.arange(3.0 * N_TYPICAL)[:, None]
    chosen = choose_typical(expected)[:, 0]
    assert len(chosen) == N_TYPICAL
    assert (float(chosen[0]), float(chosen[-1])) == (0.0, 3.0 * N_TYPICAL - 1)
    assert bool((chosen.diff() > 0).all())
    assert torch.equal(choose_typical(expected[:5]), expected[:5])
