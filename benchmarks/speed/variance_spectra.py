"""Cross-validated principal components of all neurons, against the singular value decomposition of the responses."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from benchmarks.speed.contest import Line, Side, compete, exponent, product_gflop_s, relative_difference

from dina.statistics.spectrum import cross_validated_spectrum

GOAL = 5.0


def measure(*, quick: bool) -> Iterator[Line]:
    """Compare one spectrum, and let images and neurons grow."""
    n_images, n_neurons = (24, 40) if quick else (1400, 10_000)
    first, second = _repeats(n_images, n_neurons)
    found: dict[str, np.ndarray] = {}
    ours, theirs = _spectrum(first, second), lambda: _by_singular_values(first, second)
    times = compete(Side(lambda: found.update(ours=ours())), Side(lambda: found.update(theirs=theirs())), quick=quick, n_rounds=1)
    kept = slice(0, n_images // 4)  # of smaller ones, single precision keeps less
    line = Line(
        work=f"cross-validated spectrum: {n_images:,} images, {n_neurons:,} neurons, all components",
        peer="singular value decomposition in numpy",
        goal=f"≥ {GOAL:g} ×",
        times=times,
        is_reached=times.ratio[0] >= GOAL,
        agreement=f"{relative_difference(found['ours'][kept], found['theirs'][kept]):.0e}",
    )
    if not line.is_reached:
        rate = product_gflop_s(torch.float64, quick=quick)
        alone = 4e-9 * n_images**2 * n_neurons / rate  # of a symmetric matrix of both repeats one half is computed
        line.note = f"inner products in double precision, at {rate:.0f} GFLOP/s, take {alone:.2g} s of it"
    images, neurons = ((8, 12, 16, 24), (10, 20, 30, 40)) if quick else ((175, 350, 700, 1400), (1250, 2500, 5000, 10_000))
    line.growth = {
        "images": exponent(lambda n: _spectrum(*_repeats(n, neurons[1])), images),
        "neurons": exponent(lambda n: _spectrum(*_repeats(images[1], n)), neurons),
    }
    yield line


def _repeats(n_images: int, n_neurons: int) -> tuple[np.ndarray, np.ndarray]:
    """Make two noisy repeats of responses whose signal variance falls as a power."""
    draw = np.random.default_rng(0)
    rank = min(n_images, n_neurons)
    deviation = np.arange(1, rank + 1, dtype=np.float32) ** -0.5
    signal = (
        draw.standard_normal((n_images, rank), dtype=np.float32) * deviation @ draw.standard_normal((rank, n_neurons), np.float32)
    )
    one, other = (signal + draw.standard_normal(signal.shape, np.float32) for _ in range(2))
    return one, other


class _Unswapped(np.random.Generator):
    """Swaps no repeat, so that both sides take components from the same responses."""

    def integers(self, *_: object, size: int, **__: object) -> np.ndarray:  # type: ignore[override]
        return np.zeros(size, dtype=np.int64)


def _spectrum(first: np.ndarray, second: np.ndarray) -> Callable[[], np.ndarray]:
    generator = _Unswapped(np.random.PCG64(0))
    return lambda: cross_validated_spectrum(first, second, generator, n_components=len(first), n_swaps=1).variance


def _by_singular_values(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = first - first.mean(0), second - second.mean(0)
    components = np.linalg.svd(first, full_matrices=False)[2][: len(first) - 1]
    return np.asarray(((first @ components.T) * (second @ components.T)).mean(0))
