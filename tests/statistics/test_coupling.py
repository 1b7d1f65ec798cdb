"""Couplings agree with algebra, planted pairs are found, and rewired networks keep numbers of partners and distances alone."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from dina.checks import DataError
from dina.statistics.coupling import CouplingEstimate, Precision, chance_spread, find_coupled_pairs, rewire


def dense(precision: Precision) -> np.ndarray:
    return np.asarray(np.diag(precision.inverse_private) - precision.shared @ precision.shared.T)


def test_the_precision_is_the_inverse_of_the_covariance() -> None:
    generator = np.random.default_rng(0)
    private, loadings = generator.uniform(0.5, 2, 7), generator.standard_normal((7, 3))
    precision = Precision.of(private, loadings)
    expected = np.linalg.inv(np.diag(private) + loadings @ loadings.T)
    np.testing.assert_allclose(dense(precision), expected, atol=1e-12)  # double precision
    np.testing.assert_allclose(precision.diagonal(), np.diag(expected), atol=1e-12)
    rows = generator.standard_normal((4, 7))
    np.testing.assert_allclose(precision.multiply(rows), rows @ expected, atol=1e-12)
    scale = np.sqrt(np.diag(expected))
    partial = -expected / np.outer(scale, scale)
    np.fill_diagonal(partial, 1)
    np.testing.assert_allclose(precision.partial_correlations(np.array([5, 2])), partial[[5, 2]], atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_shrinkage_is_that_of_scikit_learn(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(1)
    rows = generator.standard_normal(shape) + generator.standard_normal((shape[0], 1))
    # the same formula in double precision
    expected = ledoit_wolf(rows / np.sqrt((rows**2).mean(0)), assume_centered=True)[1]
    np.testing.assert_allclose(CouplingEstimate.of(rows).shrinkage, expected, rtol=1e-10)


@pytest.mark.parametrize("n_rows", [12, 50])
def test_the_shrunk_precision_inverts_the_shrunk_covariance(n_rows: int) -> None:
    generator = np.random.default_rng(2)
    rows = generator.standard_normal((n_rows, 30)) + generator.standard_normal((n_rows, 1))
    scaled = rows / np.sqrt((rows**2).mean(0))
    covariance, _ = ledoit_wolf(scaled, assume_centered=True)
    np.testing.assert_allclose(
        dense(CouplingEstimate.of(rows).precision), np.linalg.inv(covariance), atol=1e-9
    )  # double precision


def test_a_neuron_that_never_varies_is_independent_of_all_others() -> None:
    rows = np.random.default_rng(3).standard_normal((20, 4))
    rows[:, 2] = 0
    np.testing.assert_array_equal(CouplingEstimate.of(rows).precision.partial_correlations()[2], [0, 0, 1, 0])


def test_rows_that_never_vary_are_refused() -> None:
    with pytest.raises(DataError, match="at least two rows that vary"):
        CouplingEstimate.of(np.zeros((5, 3)))


def test_given_pairs_are_put_into_the_precision() -> None:
    generator = np.random.default_rng(4)
    precision = Precision.of(generator.uniform(0.5, 2, 9), generator.standard_normal((9, 2)))
    pairs = np.array([[0, 5], [2, 3]])
    changed = precision.with_pairs(pairs, np.array([0.7, -0.4]))
    # each neuron is in one pair, so that the correlation given is the one obtained; double precision
    np.testing.assert_allclose(changed.partial_correlations_of(pairs), [0.7, -0.4], atol=1e-12)
    whole = changed.partial_correlations()
    np.testing.assert_allclose(whole[pairs[:, 0], pairs[:, 1]], [0.7, -0.4], atol=1e-12)
    same = np.array([[0, 1], [4, 8]])
    np.testing.assert_allclose(np.sign(changed.partial_correlations_of(same)), np.sign(precision.partial_correlations_of(same)))
    assert changed.added is not None
    rows = generator.standard_normal((2, 9))
    np.testing.assert_allclose(changed.multiply(rows), rows @ (dense(precision) + changed.added.toarray()), atol=1e-12)
    np.testing.assert_allclose(changed.diagonal(), np.diag(dense(precision) + changed.added.toarray()), atol=1e-12)


def make_noise(n_rows: int = 400, n_neurons: int = 300, strength: float = 0.6) -> np.ndarray:
    """Make noise of which neurons 3 and 200, and 10 and 11, share a part, and all share a little."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((n_rows, n_neurons)) + 0.3 * generator.standard_normal((n_rows, 1))
    for one, other in ((3, 200), (10, 11)):
        common = generator.standard_normal(n_rows)
        for neuron in (one, other):
            noise[:, neuron] = np.sqrt(strength) * common + np.sqrt(1 - strength) * noise[:, neuron]
    return noise


def test_two_coupled_pairs_are_found_among_forty_thousand() -> None:
    noise = make_noise()
    estimate = CouplingEstimate.of(noise)
    found = find_coupled_pairs(estimate, 20, chance_spread(noise, estimate.shrinkage, np.random.default_rng(1)))
    assert {tuple(pair) for pair in found.pairs[found.adjusted_p < 0.05].tolist()} == {(3, 200), (10, 11)}


def test_permuted_noise_has_standard_z_after_division_by_its_spread() -> None:
    generator = np.random.default_rng(2)
    noise = np.abs(generator.standard_normal((200, 300))) ** 3 * generator.choice([-1, 1], (200, 300))  # heavy tails
    spread = chance_spread(noise, 0.7, generator)
    _, z = CouplingEstimate.of(noise, 0.7).rows(np.arange(300))
    standard = z[np.triu_indices(300, 1)] / spread
    # 45,000 dependent values: their deviation is 1 to a few per cent
    assert 0.95 < standard.std() < 1.05
    # more neurons than rows: without the spread chance would look like couplings
    assert spread > 1.1
    assert not (find_coupled_pairs(CouplingEstimate.of(noise, 0.7), 100, spread).adjusted_p < 0.01).any()


def test_unshrunk_couplings_are_near_the_partial_correlations_of_many_rows() -> None:
    noise = make_noise(n_rows=20_000, n_neurons=12 + 189)
    precision = np.linalg.inv(np.cov(noise.T))
    scale = np.sqrt(np.diag(precision))
    coupling, _ = CouplingEstimate.of(noise, 0.2).rows(np.array([10]))
    # a fifth of shrinkage would leave 0.48 of 0.6; the step towards the data leaves a few per cent of bias
    assert coupling[0, 11] == pytest.approx((-precision / np.outer(scale, scale))[10, 11], abs=0.05)


def make_network(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make 300 pairs of 100 neurons on a square, three bins of distance, and neurons below 20 with many partners."""
    generator = np.random.default_rng(seed)
    position = generator.uniform(0, 100, (100, 2))
    drawn = np.sort(generator.choice(100, (2000, 2), p=np.where(np.arange(100) < 20, 3, 1) / 140), axis=1)
    pairs = np.unique(drawn[drawn[:, 0] < drawn[:, 1]], axis=0)
    return generator.permutation(pairs)[:300], position, np.array([40.0, 60.0])


def count_by_distance(pairs: np.ndarray, position: np.ndarray, edges: np.ndarray) -> np.ndarray:
    distance = np.hypot(*(position[pairs[:, 0]] - position[pairs[:, 1]]).T)
    return np.histogram(distance, [0, *edges, np.inf])[0]


def test_every_neuron_keeps_its_partners_and_every_bin_its_pairs() -> None:
    pairs, position, edges = make_network()
    for network in rewire(pairs, position, edges, 3, np.random.default_rng(1)):
        np.testing.assert_array_equal(np.bincount(network.ravel(), minlength=100), np.bincount(pairs.ravel(), minlength=100))
        bins = [count_by_distance(p, position, edges) for p in (network, pairs)]
        np.testing.assert_array_equal(*bins)
        assert len(np.unique(network, axis=0)) == len(pairs)
        assert (network[:, 0] < network[:, 1]).all()


def test_rewired_pairs_are_new_ones() -> None:
    pairs, position, edges = make_network()
    (network,) = rewire(pairs, position, edges, 1, np.random.default_rng(1))
    before, after = ({tuple(pair) for pair in p.tolist()} for p in (pairs, network))
    # 300 of 4,950 pairs: those with many partners meet again by chance, most do not
    assert len(before & after) < 100


def test_without_positions_only_the_number_of_partners_is_kept() -> None:
    pairs, position, edges = make_network()
    (network,) = rewire(pairs, None, np.empty(0), 1, np.random.default_rng(1))
    np.testing.assert_array_equal(np.bincount(network.ravel(), minlength=100), np.bincount(pairs.ravel(), minlength=100))
    bins = [count_by_distance(p, position, edges) for p in (network, pairs)]
    assert (bins[0] != bins[1]).any()
