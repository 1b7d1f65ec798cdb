"""Structural similarity of pairs of maps, against a loop over scikit-image and against torchmetrics.

Borders differ by convention: scikit-image and torchmetrics mirror the map there. So values agree to a few thousandths on the whole map.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from benchmarks.speed.contest import Line, Side, compete, exponent, missing
from skimage.metrics import structural_similarity as of_skimage

from dina.statistics.map_similarity import structural_similarity

GOALS = {"a loop over scikit-image": 1.5, "torchmetrics": 5.0}


def measure(*, quick: bool) -> Iterator[Line]:
    """Compare with both peers, and let pairs and maps grow."""
    n_pairs, size = (6, (16, 24)) if quick else (280, (66, 130))
    first, second = _maps(n_pairs, size)
    ours = _similarity(first, second)
    for peer, goal in GOALS.items():
        line = Line(f"structural similarity: {n_pairs} pairs of {size[0]} × {size[1]}", peer, f"≥ {goal:g} ×")
        line.note = missing("torchmetrics") if peer == "torchmetrics" else ""
        if not line.note:
            theirs = _torchmetrics(first, second) if peer == "torchmetrics" else _skimage(first, second)
            line.times = compete(Side(ours), Side(theirs), quick=quick)
            line.is_reached = line.times.ratio[0] >= goal
            line.agreement = f"{np.abs(ours() - theirs()).max():.0e} (borders)"
        if peer != "torchmetrics":
            line.growth = _growth(size, quick=quick)
        yield line


def _growth(size: tuple[int, int], *, quick: bool) -> dict[str, float]:
    pairs, heights = ((2, 3), (8, 16)) if quick else ((70, 140, 280, 560), (33, 66, 132, 264))
    few = pairs[0]
    return {
        "images": exponent(lambda n: _similarity(*_maps(n, size)), pairs),
        "map size": exponent(lambda n: _similarity(*_maps(few, (n, size[1]))), heights),
    }


def _maps(n_pairs: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    first = draw.random((n_pairs, *size), dtype=np.float32)
    return first, 0.5 * (first + draw.random(first.shape, dtype=np.float32))


def _similarity(first: np.ndarray, second: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: structural_similarity(first, second, np.ones(len(first)))


def _skimage(first: np.ndarray, second: np.ndarray) -> Callable[[], np.ndarray]:
    chosen = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return lambda: np.array([of_skimage(one, other, **chosen) for one, other in zip(first, second, strict=True)])


def _torchmetrics(first: np.ndarray, second: np.ndarray) -> Callable[[], np.ndarray]:
    from torchmetrics.functional.image import structural_similarity_index_measure  # optional: timed only where it is installed

    one, other = torch.from_numpy(first)[:, None], torch.from_numpy(second)[:, None]
    return lambda: structural_similarity_index_measure(one, other, data_range=1.0, reduction="none").numpy()
