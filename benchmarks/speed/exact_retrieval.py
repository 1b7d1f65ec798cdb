"""Exact retrieval of queries in a large gallery, against the exact index of faiss.

Ours is what a study computes: the scores of all pairs and the place of each target. A study keeps the scores; here some queries follow
the others in the same memory, because only places are asked for. faiss finds the ten best. The gallery is at unit length for both,
and in faiss's index before time starts.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from benchmarks.speed.contest import Line, Side, compete, exponent, memory_rise_mb, missing

from dina.retrieval.ranks import count_better_and_tied

N_QUERIES, N_FEATURES, TOP = 280, 512, 10
MOST_MB = 100.0
SCORES_AT_ONCE = 20_000_000  # 80 MB in single precision; which of them are finite takes 20 MB more


def measure_hundred_thousand(*, quick: bool) -> Iterator[Line]:
    """Find 280 queries among 100,000 images, and let the gallery grow."""
    line = _measure(400 if quick else 100_000, quick=quick)
    sizes = (50, 100, 200, 400) if quick else (12_500, 25_000, 50_000, 100_000)
    line.growth = {"images": exponent(lambda n: _rank(*_gallery(n)), sizes)}
    yield line


def measure_million(*, quick: bool) -> Iterator[Line]:
    """Find 280 queries among a million images, 2 GB; faiss holds a copy of them."""
    yield _measure(800 if quick else 1_000_000, quick=quick)


def _measure(n_images: int, *, quick: bool) -> Line:
    queries, gallery = _gallery(n_images)
    ours = _rank(queries, gallery)
    rise = memory_rise_mb(ours)
    line = Line(
        work=f"exact retrieval: {len(queries)} queries in {n_images:,} images of {N_FEATURES} features",
        peer="faiss, flat index",
        goal=f"≥ 1 ×, ≤ {MOST_MB:g} MB beyond the gallery",
        gflop=2e-9 * len(queries) * n_images * N_FEATURES,
        memory_mb=rise,
        note=missing("faiss"),
    )
    if not line.note:
        theirs = _search(queries, gallery)
        line.times = compete(Side(ours), Side(theirs), quick=quick)
        line.is_reached = line.times.ratio[0] >= 1 and (rise is None or rise <= MOST_MB)
        n_better, found = ours(), theirs()
        place = np.argmax(
            np.column_stack([found == _targets(len(queries), n_images)[:, None], np.ones(len(found), bool)]), axis=1
        )
        line.agreement = f"same place for {np.mean(place == np.minimum(n_better, TOP)):.1%} of queries"
    return line


def _gallery(n_images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Make unit vectors, and noisy copies of some of them as queries."""
    generator = torch.Generator().manual_seed(0)
    gallery = torch.empty(n_images, N_FEATURES).normal_(generator=generator)
    gallery /= gallery.norm(dim=1, keepdim=True)
    n_queries = min(N_QUERIES, n_images)
    queries = gallery[torch.from_numpy(_targets(n_queries, n_images))]
    queries = queries + 0.25 * torch.randn(queries.shape, generator=generator)  # about half of the targets come first
    return queries / queries.norm(dim=1, keepdim=True), gallery


def _targets(n_queries: int, n_images: int) -> np.ndarray:
    return np.arange(n_queries) * (n_images // n_queries)


def _rank(queries: torch.Tensor, gallery: torch.Tensor) -> Callable[[], np.ndarray]:
    at_once = max(1, SCORES_AT_ONCE // len(gallery))
    target = np.array_split(_targets(len(queries), len(gallery)), range(at_once, len(queries), at_once))

    def rank() -> np.ndarray:
        scores = torch.empty(min(at_once, len(queries)), len(gallery))
        found = []
        for some, theirs in zip(torch.split(queries, at_once), target, strict=True):
            torch.mm(some, gallery.T, out=scores[: len(some)])
            found.append(count_better_and_tied(scores[: len(some)].numpy(), theirs)[0])
        return np.concatenate(found)

    return rank


def _search(queries: torch.Tensor, gallery: torch.Tensor) -> Callable[[], np.ndarray]:
    import faiss  # optional: timed only where it is installed

    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatIP(N_FEATURES)
    index.add(gallery.numpy())
    return lambda: index.search(queries.numpy(), TOP)[1]
