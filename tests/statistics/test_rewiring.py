"""Rewired networks keep numbers of partners and distances, and lose everything else."""

import numpy as np

from dina.statistics.rewiring import distance_bins, rewire


def make_network(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make 300 pairs of 100 neurons on a square, three bins of distance, and neurons below 20 with many partners."""
    generator = np.random.default_rng(seed)
    position = generator.uniform(0, 100, (100, 2))
    drawn = np.sort(generator.choice(100, (2000, 2), p=np.where(np.arange(100) < 20, 3, 1) / 140), axis=1)
    pairs = np.unique(drawn[drawn[:, 0] < drawn[:, 1]], axis=0)
    return generator.permutation(pairs)[:300], position, np.array([40.0, 60.0])


def test_every_neuron_keeps_its_partners_and_every_bin_its_pairs() -> None:
    pairs, position, edges = make_network()
    for network in rewire(pairs, position, edges, 3, np.random.default_rng(1)):
        np.testing.assert_array_equal(np.bincount(network.ravel(), minlength=100), np.bincount(pairs.ravel(), minlength=100))
        bins = [np.bincount(distance_bins(p, position, edges), minlength=3) for p in (network, pairs)]
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
    bins = [np.bincount(distance_bins(p, position, edges), minlength=3) for p in (network, pairs)]
    assert (bins[0] != bins[1]).any()
