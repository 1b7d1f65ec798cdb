"""Every purpose has its own generator, the same on every machine."""

import numpy as np

from dina.randomness import generator_for, seed_for


def test_a_seed_is_the_same_on_every_platform() -> None:
    # first 8 bytes, little endian, of the SHA-256 of "0:split", halved; computed with sha256sum
    assert seed_for(0, "split") == int.from_bytes(bytes.fromhex("8191489326876928"), "little") >> 1


def test_seeds_fit_where_torch_and_numpy_take_them() -> None:
    seeds = [seed_for(seed, purpose) for seed in (0, 1, 2**62, -1) for purpose in ("split", "bootstrap", "")]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == len(seeds)


def test_generators_of_two_purposes_are_unrelated() -> None:
    a, b = generator_for(3, "split").normal(size=10_000), generator_for(3, "bootstrap").normal(size=10_000)
    # the standard error of a correlation of zero is 0.01; five of them
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.05
