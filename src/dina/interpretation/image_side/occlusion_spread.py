"""How widely the effect of occlusion is spread over an image, and how much of that is where the fields lie."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from dina.measures.finding import Finding
from dina.measures.resampling import percentile_interval, resample_counts
from dina.randomness import generator_for

UNTRAINED = "95 % interval of untrained towers of the same build"
SHIFTED = "coverage shifted across the image, wrapping around"
PERMUTED = "coverage permuted over covered places"
COVERED = 0.05  # of the largest coverage: below it, a quotient would be noise divided by nothing
NOTHING = "Hiding any place makes no score worse on average."

Losses = Float[np.ndarray, "image row column"]
Place = Float[np.ndarray, "row column"]
Statistic = Callable[[Float[np.ndarray, "row place"]], Float[np.ndarray, "row"]]


@dataclass(frozen=True, eq=False)
class OcclusionSpread:
    """Makes findings of losses by place.

    Parameters
    ----------
    coverage
        What the population can tell about the places under each window.
    seed, n_resamples
        Of the bootstrap over images and of permutations.
    """

    coverage: Place
    seed: int
    n_resamples: int

    @property
    def covered(self) -> np.ndarray:
        """Which places have enough coverage to divide by."""
        return self.coverage > COVERED * self.coverage.max()

    def divided(self, loss: Place) -> Place:
        """Return loss over coverage, NaN where coverage is too small to divide by."""
        return np.divide(loss, self.coverage, out=np.full(loss.shape, np.nan), where=self.covered)

    def participation(self, name: str, losses: Losses, null: Losses | None = None) -> Finding:
        """Return the fraction of places over which the mean loss is spread, beside that of ``null``."""
        low, high = self._interval(losses, _participation)
        value = float(_participation(losses.mean(axis=0).reshape(1, -1))[0])
        null_low, null_high = (np.nan, np.nan) if null is None else self._interval(null, _participation)
        reason = "" if np.isfinite(value) else NOTHING
        return Finding(name, value, "1", len(losses), low, high, null_low, null_high, "" if null is None else UNTRAINED, reason)

    def of_coverage(self, n_images: int) -> Finding:
        """Return the participation of coverage itself, which rests on training images alone and has no interval."""
        value = float(_participation(self.coverage.reshape(1, -1))[0])
        return Finding("participation_coverage", value, "1", n_images, reason="" if np.isfinite(value) else "No field was found.")

    def normalised(self, losses: Losses) -> Finding:
        """Return the fraction of the covered places over which loss divided by coverage is spread."""
        if self.covered.sum() < 3:
            reason = "Fewer than three places are covered by fields."
            return Finding("participation_normalised", np.nan, "1", len(losses), reason=reason)
        coverage = self.coverage[self.covered]

        def spread(rows: Float[np.ndarray, "row place"]) -> Float[np.ndarray, "row"]:
            return _participation(rows[:, self.covered.ravel()] / coverage)

        mean = losses.mean(axis=0)
        generator = generator_for(self.seed, "coverage of places")
        permuted = generator.permuted(np.tile(coverage, (self.n_resamples, 1)), axis=1)
        null = _participation(mean[self.covered] / permuted)
        value = float(spread(mean.reshape(1, -1))[0])
        low, high = self._interval(losses, spread)
        reason = "" if np.isfinite(value) else NOTHING
        return Finding("participation_normalised", value, "1", len(losses), low, high, *_range(null), PERMUTED, reason)

    def correlation(self, losses: Losses) -> Finding:
        """Return the rank correlation over places of mean loss and coverage, beside shifted coverage."""
        ranks = _standard_ranks(self.coverage.reshape(1, -1))[0]
        mean = _standard_ranks(losses.mean(axis=0).reshape(1, -1))[0]
        n_rows, n_columns = self.coverage.shape
        shifts = [(row, column) for row in range(n_rows) for column in range(n_columns) if row or column]
        null = np.array([mean @ np.roll(ranks.reshape(self.coverage.shape), shift, axis=(0, 1)).ravel() for shift in shifts])
        low, high = self._interval(losses, lambda rows: _standard_ranks(rows) @ ranks)
        return Finding("coverage_correlation", float(mean @ ranks), "1", len(losses), low, high, *_range(null), SHIFTED)

    def mean(self, name: str, losses: Losses, units: str) -> Finding:
        """Return the loss averaged over places and images."""
        value, interval = float(losses.mean()), self._interval(losses, lambda rows: rows.mean(axis=1))
        return Finding(name, value, units, len(losses), *interval)

    def _interval(self, losses: Losses, statistic: Statistic) -> tuple[float, float]:
        """Return the bootstrap interval over images of a statistic of the mean loss by place."""
        counts = resample_counts(len(losses), self.n_resamples, generator_for(self.seed, "bootstrap of occlusion"))
        return _range(statistic(counts @ losses.reshape(len(losses), -1) / len(losses)))


def _participation(rows: Float[np.ndarray, "row place"]) -> Float[np.ndarray, "row"]:
    """Return (Σm)² / (n Σm²) of each row, what is below 0 counted as 0; NaN where nothing is above."""
    positive = rows.clip(0)
    total, square = positive.sum(axis=1), np.square(positive).sum(axis=1)
    return np.divide(total**2, rows.shape[1] * square, out=np.full(len(rows), np.nan), where=square > 0)


def _standard_ranks(rows: Float[np.ndarray, "row place"]) -> Float[np.ndarray, "row place"]:
    """Return ranks of unit length about 0: their products are rank correlations."""
    ranks = rankdata(rows, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)


def _range(values: Float[np.ndarray, "resample"]) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    return percentile_interval(defined) if len(defined) else (np.nan, np.nan)
