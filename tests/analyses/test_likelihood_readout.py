"""Closed forms of losing neurons against the plain formula with explicit matrix inverses, in double precision."""

import numpy as np
import torch

from dina.analyses.closed_readouts import LikelihoodReadout, margins
from dina.analyses.decoded import Decoded
from dina.data.pairs import make_task
from dina.models.noise import LowRankNoise
from dina.retrieval.ranks import target_ranks
from dina.sharing.shared_folder import vectors_of_scores

EXACT = 1e-6  # the accuracy promised; differences of scores of some hundred in double precision err by 1e-10
N, G, Q = 9, 7, 12


def _readout(n_components: int = 3, seed: int = 0, *, has_gain: bool = True) -> LikelihoodReadout:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    gain = torch.exp(0.3 * draw(N)) if has_gain else torch.ones(N, dtype=torch.float64)
    return LikelihoodReadout(draw(G, N), gain, LowRankNoise(0.3 + draw(N).square(), draw(N, n_components)), 1.7)


def draw_queries(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(Q, N, generator=generator, dtype=torch.float64), torch.arange(Q) % G


def _plain(readout: LikelihoodReadout, responses: torch.Tensor, kept: list[int]) -> torch.Tensor:
    """Scores from some neurons alone, by inverting their block of the covariance."""
    covariance = torch.diag(readout.noise.private) + readout.noise.loadings @ readout.noise.loadings.T
    inverse = torch.linalg.inv(covariance[kept][:, kept])
    evoked = readout.evoked[:, kept]
    scaled = evoked * readout.gain[kept]
    return readout.scale * (responses[:, kept] @ inverse @ scaled.T - 0.5 * ((evoked @ inverse) * scaled).sum(1))


def _ranks(scores: torch.Tensor, target: torch.Tensor) -> np.ndarray:
    return target_ranks(scores.numpy(), target.numpy())


def test_scores_are_those_of_the_fitted_towers_up_to_a_number_for_each_query(decoded: Decoded) -> None:
    task = make_task(decoded.test, "single_trial")
    readout = LikelihoodReadout.of(decoded.towers, torch.from_numpy(task.gallery.images))
    ours = readout.scores(torch.from_numpy(task.queries.responses).double()).numpy()
    theirs = decoded.towers.score(task.queries, task.gallery)
    ours, theirs = (scores - scores.mean(axis=1, keepdims=True) for scores in (ours, theirs))
    # the towers compute in single precision: seven digits of numbers of this size
    np.testing.assert_allclose(ours, theirs, atol=3e-5 * np.abs(theirs).max())


def test_removing_a_neuron_is_inverting_the_covariance_of_the_others() -> None:
    readout, (responses, target) = _readout(), draw_queries()
    changes = readout.changes(responses, target, "removed")
    whole = readout.scores(responses)
    for neuron in range(N):
        without = _plain(readout, responses, [other for other in range(N) if other != neuron])
        lost = (whole - without).gather(1, target[:, None])[:, 0]
        torch.testing.assert_close(changes.score_lost[:, neuron], lost, atol=EXACT, rtol=0)
        lost = margins(whole, target) - margins(without, target)
        torch.testing.assert_close(changes.margin_lost[:, neuron], lost, atol=EXACT, rtol=0)
        fallen = _ranks(without, target) - _ranks(whole, target)
        np.testing.assert_array_equal(changes.rank_lost[:, neuron].numpy(), fallen)
    torch.testing.assert_close(readout.margins_lost(responses, target, "removed"), changes.margin_lost, atol=0, rtol=0)


def test_a_neuron_that_never_responds_is_missed_by_nothing() -> None:
    readout, (responses, target) = _readout(), draw_queries()
    responses[:, 4] = 0
    readout.evoked[:, 4] = 0
    readout.noise.loadings[4] = 0
    for treatment in ("removed", "silenced"):
        changes = readout.changes(responses, target, treatment)
        assert not changes.margin_lost[:, 4].any()
        assert not changes.score_lost[:, 4].any()
        assert not changes.rank_lost[:, 4].any()
        assert changes.margin_lost[:, 3].all()


def test_silencing_a_neuron_is_asking_with_its_mean() -> None:
    readout, (responses, target) = _readout(), draw_queries()
    changes = readout.changes(responses, target, "silenced")
    whole = readout.scores(responses)
    for neuron in range(N):
        quiet = responses.clone()
        quiet[:, neuron] = 0
        without = readout.scores(quiet)
        lost = margins(whole, target) - margins(without, target)
        torch.testing.assert_close(changes.margin_lost[:, neuron], lost, atol=EXACT, rtol=0)
        fallen = _ranks(without, target) - _ranks(whole, target)
        np.testing.assert_array_equal(changes.rank_lost[:, neuron].numpy(), fallen)


def test_a_linear_readout_loses_exactly_weight_times_response() -> None:
    readout, (responses, target) = _readout(), draw_queries()
    covariance = torch.diag(readout.noise.private) + readout.noise.loadings @ readout.noise.loadings.T
    weight = readout.scale * torch.linalg.solve(covariance, (readout.evoked * readout.gain).T).T
    lost = readout.changes(responses, target, "silenced").score_lost
    torch.testing.assert_close(lost, weight[target] * responses, atol=EXACT, rtol=0)


def test_subsets_are_decoded_as_if_no_other_neuron_had_been_recorded() -> None:
    for has_gain in (True, False):
        readout, (responses, _) = _readout(has_gain=has_gain), draw_queries()
        order = torch.tensor([4, 0, 8, 2, 1, 7, 3, 5, 6])
        sizes = (1, 3, 4, 9)
        found = list(readout.subset_scores(responses, order, sizes, "removed"))
        assert len(found) == len(sizes)
        for size, scores in zip(sizes, found, strict=True):
            torch.testing.assert_close(scores, _plain(readout, responses, order[:size].tolist()), atol=EXACT, rtol=0)


def test_a_sequence_longer_than_a_block_is_decoded_the_same() -> None:
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    readout = LikelihoodReadout(draw(4, 200), torch.ones(200).double(), LowRankNoise(0.5 + draw(200).square(), draw(200, 6)), 1.0)
    responses, order = draw(3, 200), torch.randperm(200, generator=generator)
    for size, scores in zip((150, 200), readout.subset_scores(responses, order, (150, 200), "removed"), strict=True):
        torch.testing.assert_close(scores, _plain(readout, responses, order[:size].tolist()), atol=EXACT, rtol=0)


def test_silenced_subsets_ask_with_the_others_at_their_mean() -> None:
    readout, (responses, _) = _readout(), draw_queries()
    order = torch.arange(N)
    for size, scores in zip((2, 9), readout.subset_scores(responses, order, (2, 9), "silenced"), strict=True):
        kept = (torch.arange(N) < size).double()
        torch.testing.assert_close(scores, readout.scores(responses * kept), atol=EXACT, rtol=0)


def test_marginal_gains_add_up_to_the_margin_and_are_differences_of_subsets() -> None:
    readout, (responses, target) = _readout(), draw_queries()
    order = torch.tensor([4, 0, 8, 2, 1, 7, 3, 5, 6])
    gains = readout.marginal_gains(responses, target, order)
    along = [0.0] + [float(margins(_plain(readout, responses, order[:k].tolist()), target).mean()) for k in range(1, N + 1)]
    np.testing.assert_allclose(gains[order].numpy(), np.diff(along), atol=EXACT)


def test_with_independent_noise_every_order_gives_what_removal_gives() -> None:
    readout, (responses, target) = _readout(n_components=0), draw_queries()
    removed = readout.margins_lost(responses, target, "removed").mean(0)
    for order in (torch.arange(N), torch.arange(N).flip(0)):
        torch.testing.assert_close(readout.marginal_gains(responses, target, order), removed, atol=EXACT, rtol=0)


def test_a_neuron_that_only_tells_noise_is_worth_having_but_not_silencing() -> None:
    # two neurons share their noise; only the first sees the image
    evoked = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    ones = torch.ones(2, dtype=torch.float64)
    readout = LikelihoodReadout(evoked, ones, LowRankNoise(0.1 * ones, torch.ones(2, 1, dtype=torch.float64)), 1.0)
    responses, target = evoked.clone(), torch.tensor([0, 1])
    removed = readout.margins_lost(responses, target, "removed")[:, 1]
    # on paper: with both, x' P x = (1/1.1)(1 + ...) ; precision of the first is 1.1/0.21, alone 1/1.1; margin 2 per unit
    expected = 2 * (1.1 / 0.21 - 1 / 1.1)
    np.testing.assert_allclose(removed.numpy(), expected, rtol=1e-12)
    assert readout.margins_lost(responses, target, "silenced")[:, 1].abs().max() == 0  # its response is at its mean


def test_a_neuron_without_signal_or_shared_noise_changes_nothing() -> None:
    readout, (responses, target) = _readout(), draw_queries()
    readout.evoked[:, 3] = 0
    readout.noise.loadings[3] = 0
    for treatment in ("removed", "silenced"):
        changes = readout.changes(responses, target, treatment)
        assert changes.margin_lost[:, 3].abs().max() < 1e-12  # rounding
        assert changes.rank_lost[:, 3].abs().max() == 0


def test_ties_count_by_half_in_ranks() -> None:
    # two images that only the first neuron tells apart
    evoked = torch.tensor([[1.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)
    ones = torch.ones(2, dtype=torch.float64)
    readout = LikelihoodReadout(evoked, ones, LowRankNoise(ones, torch.zeros(2, 0, dtype=torch.float64)), 1.0)
    for treatment in ("removed", "silenced"):
        lost = readout.changes(evoked, torch.tensor([0, 1]), treatment).rank_lost
        np.testing.assert_array_equal(lost.numpy(), [[0.5, 0.0], [0.5, 0.0]])


def test_vectors_that_are_shared_give_the_scores_of_towers_that_meet_in_a_likelihood(decoded: Decoded) -> None:
    chosen, task = np.array([0, 3, 7]), make_task(decoded.test, "averaged")
    parts = vectors_of_scores(decoded, chosen)
    assert parts is not None
    products = parts["response_embedding"].to_numpy() @ parts["image_embedding"].to_numpy().T
    found = products + parts["image_offset"].to_numpy() - parts["response_offset"].to_numpy()[:, None]
    expected = decoded.towers.score(task.queries, task.gallery)[np.ix_(chosen, chosen)]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(products).max())  # differences of large numbers
