"""Networks with the same number of partners for every neuron and the same distances, but otherwise random partners."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

ROUNDS_BEFORE_FIRST, ROUNDS_BETWEEN = 100, 20


def rewire(
    pairs: Int[np.ndarray, "pair 2"],
    position_um: Float[np.ndarray, "neuron axis"] | None,
    distance_edges_um: Float[np.ndarray, "edge"],
    n_networks: int,
    generator: np.random.Generator,
) -> Iterator[Int[np.ndarray, "pair 2"]]:
    """Yield networks made by many random exchanges of partners: pairs (a, b) and (c, d) become (a, d) and (c, b).

    An exchange takes place only if both new pairs are new and fall into the bins of distance of the two old ones. So every
    neuron keeps its number of partners, and each bin its number of pairs. Without positions only the number of partners is
    kept. The edges are the inner ones of the bins, rising.

    References
    ----------
    Maslov & Sneppen (2002), Science 296:910. https://doi.org/10.1126/science.1065103 They keep the number of partners; we
    keep distances as well.

    Examples
    --------
    >>> square = np.array([[0, 1], [2, 3]])
    >>> next(rewire(square, None, np.empty(0), 1, np.random.default_rng(0))).shape
    (2, 2)
    """
    current = pairs.copy()
    size = int(pairs.max()) + 1 if len(pairs) else 1
    for network in range(n_networks):
        for _ in range(ROUNDS_BETWEEN if network else ROUNDS_BEFORE_FIRST):
            current = _exchange(current, position_um, distance_edges_um, size, generator)
        yield np.sort(current, axis=1)


def distance_bins(
    pairs: Int[np.ndarray, "pair 2"],
    position_um: Float[np.ndarray, "neuron axis"] | None,
    distance_edges_um: Float[np.ndarray, "edge"],
) -> Int[np.ndarray, "pair"]:
    """Return the bin of distance of each pair; 0 for all where positions are not known.

    Examples
    --------
    >>> distance_bins(np.array([[0, 1]]), np.array([[0.0], [70.0]]), np.array([50.0, 100.0]))
    array([1])
    """
    if position_um is None:
        return np.zeros(len(pairs), dtype=np.int64)
    distance = np.linalg.norm(position_um[pairs[:, 0]] - position_um[pairs[:, 1]], axis=1)
    return np.digitize(distance, distance_edges_um).astype(np.int64)


def _exchange(
    pairs: np.ndarray, position: np.ndarray | None, edges: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    """Try one exchange for every second pair, all at once."""
    n_tried = len(pairs) // 2
    order = generator.permutation(len(pairs))
    turned = generator.integers(0, 2, len(pairs), dtype=bool)
    mixed = np.where(turned[:, None], pairs[:, ::-1], pairs)[order]
    one, other = mixed[:n_tried], mixed[n_tried : 2 * n_tried]
    new = np.stack([np.stack([one[:, 0], other[:, 1]], 1), np.stack([other[:, 0], one[:, 1]], 1)], axis=1)
    before = np.sort(np.stack([distance_bins(one, position, edges), distance_bins(other, position, edges)], 1), axis=1)
    after = np.sort(distance_bins(new.reshape(-1, 2), position, edges).reshape(-1, 2), axis=1)
    codes = _code(new.reshape(-1, 2), size)
    _, first = np.unique(codes, return_index=True)
    is_new = np.zeros(len(codes), dtype=bool)
    is_new[first] = True  # two exchanges of one round must not make the same pair
    is_new &= ~np.isin(codes, _code(pairs, size)) & (new.reshape(-1, 2)[:, 0] != new.reshape(-1, 2)[:, 1])
    accepted = is_new.reshape(-1, 2).all(1) & (before == after).all(1)
    mixed[:n_tried][accepted], mixed[n_tried : 2 * n_tried][accepted] = new[accepted, 0], new[accepted, 1]
    return mixed


def _code(pairs: np.ndarray, size: int) -> np.ndarray:
    """Give every unordered pair a different number."""
    return np.asarray(pairs.min(1) * size + pairs.max(1))
