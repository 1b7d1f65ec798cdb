"""How often the verdict on the geometry of a population is right, by the part of the geometry that a few neurons make.

``python benchmarks/geometry_power.py`` draws populations of 100 linear neurons, no images and no towers: ten neurons carry one
geometry, strongly, the other ninety another. It prints a table of how many of ``--sessions`` populations get each answer, by the
number of test images and the share of the geometry that is left without the ten. It takes some minutes on one core.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dina.analyses.closed_readouts import ScoreChanges, Treatment
from dina.analyses.neuron_subsets.subset_curves import draw_orders
from dina.analyses.representative_geometry.compute import describe_geometry
from dina.analyses.representative_geometry.rules import RULES
from dina.analyses.representative_geometry.subset_geometry import GeometryReader, ImageResponses, compare_parts
from dina.analyses.verdict import Verdict, judge
from dina.randomness import generator_for
from dina.statistics.finding import Finding

N_NEURONS, N_FEW, N_REFERENCE, N_DIRECTIONS = 100, 10, 40, 6
ANSWERS = ("supported", "cannot tell", "not supported")


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """Scores that are sums over neurons, each response times the neuron's weights."""

    weights: Tensor  # (neuron, reference)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.weights)

    def scores(self, responses: Tensor) -> Tensor:
        """Return the score of every reference for every response."""
        return responses @ self.weights

    def subset_scores(self, responses: Tensor, order: Tensor, sizes: tuple[int, ...], treatment: Treatment) -> Iterator[Tensor]:
        """Yield the scores from the first ``sizes[0]``, ``sizes[1]`` … neurons of ``order``."""
        for size in sizes:
            kept = order[:size]
            yield responses[:, kept] @ self.weights[kept]

    def changes(self, responses: Tensor, target: Tensor, treatment: Treatment) -> ScoreChanges:
        """Not asked of it here."""
        raise NotImplementedError

    def margins_lost(self, responses: Tensor, target: Tensor, treatment: Treatment) -> Tensor:
        """Not asked of it here."""
        raise NotImplementedError

    def marginal_gains(self, responses: Tensor, target: Tensor, order: Tensor) -> Tensor:
        """Not asked of it here."""
        raise NotImplementedError


def judge_population(
    few_share: float | None, n_images: int, generator: np.random.Generator, noise: float = 1.0, n_resamples: int = 200
) -> tuple[Verdict, dict[str, Finding]]:
    """Draw a population, compare its geometries, and judge; return all findings, too.

    A share ``few_share`` of the variance of the scores comes from the first ten neurons, which see other directions than the
    others; without it all neurons are alike. ``noise`` is the deviation of single trials in units of a neuron's signal, infinite for
    no signal at all.
    """
    directions = generator.standard_normal((n_images, 2 * N_DIRECTIONS)) @ np.diag(np.tile(0.7 ** np.arange(N_DIRECTIONS), 2))
    is_few = np.arange(N_NEURONS) < N_FEW
    tuning = generator.standard_normal((N_NEURONS, 2 * N_DIRECTIONS))
    if few_share is not None:
        tuning[is_few, N_DIRECTIONS:], tuning[~is_few, :N_DIRECTIONS] = 0.0, 0.0
    onto = tuning @ np.linalg.qr(generator.standard_normal((N_REFERENCE, 2 * N_DIRECTIONS)))[0].T
    signal = directions @ tuning.T
    if few_share is not None:
        for group, share in ((is_few, few_share), (~is_few, 1 - few_share)):
            onto[group] *= np.sqrt(share / np.square(signal[:, group] @ onto[group]).sum())
    signal /= signal.std()
    noises = generator.standard_normal((2, *signal.shape))
    halves = list(noises) if np.isinf(noise) else [signal + noise * one for one in noises]
    sets = torch.from_numpy(np.stack([(halves[0] + halves[1]) / 2, *halves]))
    reader = GeometryReader(
        LinearReadout(torch.from_numpy(onto)), ImageResponses(sets, np.arange(n_images), ""), "silenced", n_components=10
    )
    orders = draw_orders(-np.arange(N_NEURONS, dtype=float), {}, 8, 2, generator)
    compared = compare_parts(reader, {name: orders[name] for name in ("top", "random")})
    unmatched = dict.fromkeys(("snr_matched", "rate_matched"), "Nothing to match by.")
    decoded = Finding("accuracy_full", 0.9, "1", n_images, 0.8, 1.0, 0.0, 0.1, "assumed")
    found = {one.name: one for one in (decoded, *describe_geometry(compared, n_resamples, 0, "", unmatched))}
    return judge([RULES["population_geometry"]], {"representative_geometry": found})[0], found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--images", type=int, nargs="+", default=[25, 50, 100, 200])
    words = parser.parse_args()
    print("| variance from the ten neurons | share left without them | test images | supported | cannot tell | not supported |")
    print("|---|---|---|---|---|---|")
    for few_share in (None, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9):
        for n_images in words.images:
            answers, left = Counter[str](), []
            for session in range(words.sessions):
                generator = generator_for(words.seed, f"population {few_share} {n_images} {session}")
                verdict, found = judge_population(few_share, n_images, generator, words.noise)
                answers[verdict.verdict] += 1
                left.append(found["kept_without_top_rsa"].value)
            counts = " | ".join(str(answers[one]) for one in ANSWERS)
            print(
                f"| {'all alike' if few_share is None else few_share} | {np.nanmedian(left):.2f} | {n_images} | {counts} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
