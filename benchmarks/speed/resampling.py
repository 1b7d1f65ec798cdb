"""Bootstraps and permutations of every metric of retrieval, against loops that compute them anew for each draw."""

from collections.abc import Callable, Iterator

import numpy as np
from benchmarks.speed.contest import Line, Side, compete, exponent, relative_difference

from dina.retrieval.evaluate import evaluate
from dina.retrieval.ranks import all_ranks, target_ranks
from dina.statistics.p_values import permuted_totals

N_DRAWS = 10_000
MOST_SECONDS = 1.0


def measure(*, quick: bool) -> Iterator[Line]:
    """Compare `evaluate` with the loops, which do a hundredth of the draws, and let images grow."""
    n_images, n_draws, n_looped = (20, 100, 5) if quick else (280, N_DRAWS, 100)
    scores = _scores(n_images)
    times = compete(
        Side(_evaluate(scores, n_draws)), Side(lambda: _loop(scores, n_looped), share=n_looped / n_draws), quick=quick
    )
    sizes = (10, 14, 20, 28) if quick else (70, 140, 280, 560)
    totals = permuted_totals(np.log(all_ranks(scores)), np.random.default_rng(0), n_looped)
    line = Line(
        work=f"every metric of {n_images} queries, with {n_draws:,} bootstraps and permutations",
        peer=f"a loop over draws ({n_looped} of them)",
        goal=f"≤ {MOST_SECONDS:g} s",
        times=times,
        is_reached=times.ours_s <= MOST_SECONDS,
        agreement=f"permuted totals {relative_difference(totals, _loop(scores, n_looped)):.0e}",
    )
    line.growth = {"images": exponent(lambda n: _evaluate(_scores(n), n_draws), sizes)}
    yield line


def _scores(n_images: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n_images, n_images)) + 2 * np.eye(n_images)


def _evaluate(scores: np.ndarray, n_draws: int) -> Callable[[], object]:
    target = np.arange(len(scores))
    return lambda: evaluate("one", "", "images", scores, target, "averaged", "image_from_response", 0, n_resamples=n_draws)


def _loop(scores: np.ndarray, n_draws: int) -> np.ndarray:
    """Draw queries and compute all metrics, then draw targets and rank them anew; return total log ranks of drawn targets."""
    generator = np.random.default_rng(0)
    itself, totals = np.arange(len(scores)), np.empty(n_draws)
    assigned = generator.permuted(np.broadcast_to(itself, (n_draws, len(scores))), axis=1)
    for draw in range(n_draws):
        rank = target_ranks(scores, itself)[generator.integers(len(scores), size=len(scores))]
        _ = [np.mean(rank <= k) for k in (1, 5, 10)], np.median(rank), np.mean(1 / rank), np.mean(rank), np.log(rank).mean()
        totals[draw] = np.log(target_ranks(scores, assigned[draw])).sum()
    return totals
