"""Accuracy and similarity lost with some parts of a tower masked, over images, beside random parts, and divided fairly."""

from collections.abc import Mapping
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Bool, Float, Int

from dina.analyses.maskable_parts import MaskableParts
from dina.randomness import generator_for
from dina.retrieval.ranks import count_better_and_tied
from dina.shapes import Scores
from dina.statistics.resampling import percentile_interval, resample_counts

Groups = Mapping[str, Bool[np.ndarray, "part"]]


class MaskingLosses:
    """Judges what is left of one decoding when parts of its image tower are masked.

    Parameters
    ----------
    target
        Position in the gallery of each query's image; one query for each image.
    n_compared
        Images whose maps are compared.
    n_random
        Random groups drawn for each null.
    n_resamples
        Bootstrap resamples.
    seed
        Of groups and resamples.
    """

    def __init__(self, target: Int[np.ndarray, "query"], n_compared: int, n_random: int, n_resamples: int, seed: int) -> None:
        self._target, self._n_random, self._seed = target, n_random, seed
        self._counts = resample_counts(len(target), n_resamples, generator_for(seed, "bootstrap of masking"))
        self._counts_compared = resample_counts(n_compared, n_resamples, generator_for(seed, "bootstrap of masked maps"))
        self._nulls: dict[tuple[int, int, int], Float[np.ndarray, "2 measure"]] = {}

    def top1(self, parts: MaskableParts, keep: Bool[np.ndarray, "part"]) -> Float[np.ndarray, "query"]:
        """Return for each query the probability that its target is first, ties broken at random."""
        return self._top1_and_log_rank(parts.scores(keep))[0]

    def mean_and_interval(self, values: Float[np.ndarray, "image"]) -> tuple[float, float, float]:
        """Return the mean over images and its bootstrap interval."""
        counts = self._counts if len(values) == self._counts.shape[1] else self._counts_compared
        return float(values.mean()), *percentile_interval(counts @ values / len(values))

    def measure(
        self, parts: MaskableParts, members: Bool[np.ndarray, "part"], *, has_null: bool
    ) -> Float[np.ndarray, "statistic measure"]:
        """Return value, interval and null of the four similarities, top-1 lost and log rank gained with ``members`` masked."""
        columns = [self.mean_and_interval(values) for values in self._per_image(parts, ~members)]
        null = self._null(parts, members) if has_null else np.full((2, len(columns)), np.nan)
        return np.concatenate([np.array(columns).T, null])

    def split(self, parts: MaskableParts, groups: Groups, *, has_null: bool) -> Float[np.ndarray, "group statistic"]:
        r"""Divide the top-1 accuracy among groups by their Shapley values: value, interval, null.

        Notes
        -----
        Exact, from all :math:`2^n` coalitions: the gain by group :math:`i`, averaged over all orders in which groups can
        join, :math:`\sum_{S \not\ni i} \frac{|S|!\,(n-|S|-1)!}{n!} [v(S \cup i) - v(S)]`, image by image.

        References
        ----------
        Shapley (1953), A value for n-person games. https://doi.org/10.1515/9781400881970-018
        """
        own = self._shapley(parts, list(groups.values()))
        rows = np.array([self.mean_and_interval(values) for values in own])
        null = np.full((len(rows), 2), np.nan)
        if has_null:
            generator = generator_for(self._seed, "random pathways")
            members = np.stack(list(groups.values()))
            drawn = [self._shapley(parts, list(_shuffled(members, parts.n_structured, generator))) for _ in range(self._n_random)]
            means = np.stack(drawn).mean(axis=2)
            null = np.array([percentile_interval(values) for values in means.T])
        return np.concatenate([rows, null], axis=1)

    def _top1_and_log_rank(self, scores: Scores) -> tuple[Float[np.ndarray, "query"], Float[np.ndarray, "query"]]:
        better, tied = count_better_and_tied(scores, self._target)
        return np.where(better == 0, 1 / (tied + 1), 0.0), np.log(1 + better + tied / 2)

    def _per_image(self, parts: MaskableParts, keep: Bool[np.ndarray, "part"]) -> list[Float[np.ndarray, "image"]]:
        whole = self._top1_and_log_rank(parts.scores(np.ones(parts.n_parts, dtype=bool)))
        top1, log_rank = self._top1_and_log_rank(parts.scores(keep))
        return [*parts.similarity(keep), whole[0] - top1, log_rank - whole[1]]

    def _null(self, parts: MaskableParts, members: Bool[np.ndarray, "part"]) -> Float[np.ndarray, "2 measure"]:
        """Return the central 95 % over random groups with as many parts of structure, and the same others."""
        key = (id(parts), int(members[: parts.n_structured].sum()), int(members[parts.n_structured :].sum()))
        if key not in self._nulls:
            generator = generator_for(self._seed, f"random groups of {key[1:]}")
            drawn = []
            for _ in range(self._n_random):
                keep = ~_shuffled(members[None], parts.n_structured, generator)[0]
                drawn.append([values.mean() for values in self._per_image(parts, keep)])
            self._nulls[key] = np.array([percentile_interval(values) for values in np.array(drawn).T]).T
        return self._nulls[key]

    def _shapley(self, parts: MaskableParts, groups: list[Bool[np.ndarray, "part"]]) -> Float[np.ndarray, "group query"]:
        n = len(groups)
        in_none = ~np.any(groups, axis=0)
        value = {
            kept: self.top1(parts, np.any([in_none, *(groups[i] for i in kept)], axis=0))
            for size in range(n + 1)
            for kept in combinations(range(n), size)
        }
        shares = np.zeros((n, len(self._target)))
        for kept, without in value.items():
            for i in set(range(n)) - set(kept):
                shares[i] += (value[tuple(sorted((*kept, i)))] - without) / (n * comb(n - 1, len(kept)))
        return shares


def _shuffled(
    members: Bool[np.ndarray, "group part"], n_structured: int, generator: np.random.Generator
) -> Bool[np.ndarray, "group part"]:
    """Assign the parts of structure to the groups at random, as many to each; the others stay where they are."""
    return np.concatenate([members[:, generator.permutation(n_structured)], members[:, n_structured:]], axis=1)
