"""Measure how often stated 95 % intervals of accuracies and paired differences hold the truth, over galleries of new images.

``python benchmarks/coverage.py`` makes many independent galleries by a simple model: an image is a vector, its response the same vector
plus noise, and a decoder predicts the vector with an error of its own that stays with the image. The truth is the mean over galleries.
Each image is a query and a distractor, so Wilson's interval and the bootstrap over images, shown beside, are too narrow.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dina.randomness import generator_for
from dina.retrieval.compare import LEAST_LOG_RANK
from dina.retrieval.evaluate import evaluate
from dina.retrieval.ranks import DIRECTIONS, retrieve
from dina.statistics.intervals import wilson_interval
from dina.statistics.resampling import clustered_means, percentile_interval, resample_counts

N_RESAMPLES = 300


CHANCE = 0.0  # asks for responses without any image


@dataclass(frozen=True)
class Setting:
    """What kind of images and decoders there are; difficulty multiplies noise and error."""

    name: str
    noise: float
    error: float
    is_uneven: bool  # whether images differ in contrast and in noise
    difficulty: float = 1.0


SETTINGS = (
    Setting("equal images", 0.3, 0.2, is_uneven=False),
    Setting("uneven images", 0.2, 0.2, is_uneven=True),
    Setting("uneven images, error of prediction alone", 0.05, 0.3, is_uneven=True),
)
ACCURACIES = (CHANCE, 0.5, 0.8, 0.95, 0.99)
DIMENSIONS = 12


def make_gallery(
    setting: Setting, n_images: int, n_repeats: int, generator: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield scores and targets of two decoders of equal quality in one gallery."""
    image = np.tile(np.arange(n_images), n_repeats)
    vectors = generator.standard_normal((n_images, DIMENSIONS)) / np.sqrt(1 + 0.3 * np.arange(DIMENSIONS))
    noise = np.full((n_images, 1), setting.noise)
    if setting.is_uneven:
        vectors *= generator.choice([0.5, 1.0, 1.5], size=(n_images, 1))
        noise *= np.exp(0.5 * generator.standard_normal((n_images, 1)))
    responses = vectors[image] + setting.difficulty * noise[image] * generator.standard_normal((len(image), DIMENSIONS))
    for _ in range(2):
        predicted = vectors + setting.difficulty * setting.error * generator.standard_normal(vectors.shape)
        yield 2 * responses @ predicted.T - (predicted**2).sum(axis=1), image


def make_as_difficult(setting: Setting, n_images: int, accuracy: float, seed: int) -> Setting:
    """Return the setting in which decoders have about this top-1 accuracy, found by bisection."""
    if accuracy == CHANCE:
        return replace(setting, difficulty=1e3)
    low, high = 1e-2, 1e2
    for _ in range(12):
        tried, found = replace(setting, difficulty=float(np.sqrt(low * high))), []
        generator = generator_for(seed, "difficulty")
        for _ in range(2000 // n_images):
            found += [np.mean(scores.argmax(axis=1) == image) for scores, image in make_gallery(tried, n_images, 1, generator)]
        low, high = (tried.difficulty, high) if np.mean(found) > accuracy else (low, tried.difficulty)
    return tried


def coverage(truth: float, intervals: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the truth, the share of intervals that hold it, and their mean width."""
    low, high = np.array(intervals).T
    return truth, float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean()), float((high - low).mean())


def measure(
    setting: Setting, n_images: int, n_repeats: int, n_galleries: int, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Return truth, coverage and width of every interval, and of those that look at queries alone."""
    values: dict[str, list[float]] = {}
    intervals: dict[str, list[tuple[float, float]]] = {}
    ranks: dict[str, list[np.ndarray]] = {}  # of all queries; their median is a number of its own, not the mean of medians

    def note(name: str, value: float, interval: tuple[float, float]) -> None:
        values.setdefault(name, []).append(value)
        intervals.setdefault(name, []).append(interval)

    generator = generator_for(seed, f"{setting} {n_images} {n_repeats}")
    for _ in range(n_galleries):
        (scores, image), (others, _) = make_gallery(setting, n_images, n_repeats, generator)
        one, other = (retrieve(each, image, "image_from_response") for each in (scores, others))
        for k in (1, 5, 10):
            note(f"top-{k}", float(one.top(k).mean()), one.spread(k).accuracy_interval())
        note("top-1, Wilson", float(one.top(1).mean()), wilson_interval(float(one.top(1).mean()), n_images))
        for k in (1, 5):
            spread = one.spread(k, other)
            note(f"top-{k} difference", spread.mean, spread.difference_interval())
        counts = resample_counts(n_images, N_RESAMPLES, generator)
        difference = one.top(1) - other.top(1)
        note("the same, bootstrap", float(difference.mean()), percentile_interval(clustered_means(difference, image, counts)))
        spread = one.spread("log_rank", other)
        note("log rank difference", spread.mean, spread.difference_interval(LEAST_LOG_RANK))
        for direction in DIRECTIONS:
            row = evaluate("", "", "images", scores, image, "averaged", direction, seed, N_RESAMPLES)
            for measure, words in (("top1", "top-1"), ("median_rank", "median rank")):
                value, low, high = (getattr(row, f"{measure}{end}") for end in ("", "_low", "_high"))
                note(f"{words}, {direction.replace('_', ' ')}", value, (low, high))
            ranks.setdefault(f"median rank, {direction.replace('_', ' ')}", []).append(retrieve(scores, image, direction).rank())
    truths = {name: float(np.mean(each)) for name, each in values.items()}
    truths |= {name: float(np.median(np.concatenate(each))) for name, each in ranks.items()}
    return {name: coverage(truths[name], intervals[name]) for name in values}


def main() -> int:
    """Read the command line, measure, print a table in Markdown, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--galleries", type=int, default=1000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[40, 60, 120, 280])
    parser.add_argument("--repeats", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    header = None
    for n_images, n_repeats, kind, accuracy in itertools.product(settings.sizes, settings.repeats, SETTINGS, ACCURACIES):
        setting = make_as_difficult(kind, n_images, accuracy, settings.seed)
        found = measure(setting, n_images, n_repeats, settings.galleries, settings.seed)
        if header is None:
            header = ["images", "gallery", "trials", "top-1", *found]
            print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
        cells = [f"{100 * share:.1f} ({width:.3f})" for _, share, width in found.values()]
        row = [setting.name, str(n_images), str(n_repeats), f"{found['top-1'][0]:.3f}", *cells]
        print(f"| {' | '.join(row)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
