"""How widely the effect of occlusion is spread over an image, and how much of that is where the fields lie."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from dina.analyses.untrained_draws import NULL as UNTRAINED
from dina.randomness import generator_for
from dina.statistics.finding import Finding
from dina.statistics.resampling import percentile_interval, resample_counts
from dina.statistics.sparseness import (
    LOST_IN_NOISE,
    NOT_POSITIVE,
    TOO_FEW,
    estimate_participation,
    mean_squares,
    resample_participation,
)

SHIFTED = "coverage shifted across the image, wrapping around"
PERMUTED = "coverage permuted over covered places"
COVERED = 0.05  # of the largest coverage: below it, a quotient would be noise divided by nothing
REASONS = {
    NOT_POSITIVE: "Hiding places makes no score worse on average.",
    LOST_IN_NOISE: "Losses differ so much between images that over how many places their mean is spread cannot be told.",
    TOO_FEW: "Fewer than four images were occluded: too few to tell their mean from what differs between them.",
}
NO_BAND = "No null: untrained towers mostly lose nothing that could be spread."

Losses = Float[np.ndarray, "image row column"]
Draws = Float[np.ndarray, "draw image coarse_row coarse_column"]
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

    def participation(self, name: str, losses: Losses, null: Draws | None = None, no_null: str = "") -> Finding:
        """Return the fraction of places over which the mean loss is spread, beside that of draws of ``null``."""
        found = self._spread(name, losses.reshape(len(losses), -1), np.ones(losses[0].size))
        if null is None:
            return found
        band = (np.nan, np.nan) if no_null or not len(null) else self._band(null)
        no_null = no_null or ("" if np.isfinite(band[0]) else NO_BAND)
        words = "" if no_null else UNTRAINED
        return replace(found, null_low=band[0], null_high=band[1], null=words, reason=found.reason or no_null)

    def of_coverage(self, n_images: int) -> Finding:
        """Return the participation of coverage itself, which rests on training images alone and has no interval."""
        places = self.coverage.ravel()
        square = float(np.square(places).sum()) * len(places)
        value = float(places.sum()) ** 2 / square if square > 0 else np.nan
        return Finding("participation_coverage", value, "1", n_images, reason="" if np.isfinite(value) else "No field was found.")

    def covered_alone(self, losses: Losses) -> Finding:
        """Return the fraction of the covered places over which loss is spread as it is, for comparison with `normalised`."""
        return self._over_covered("participation_covered", losses, np.ones(int(self.covered.sum())))

    def normalised(self, losses: Losses) -> Finding:
        """Return the fraction of what is covered over which loss divided by coverage is spread, places weighted by coverage."""
        coverage = self.coverage[self.covered]
        found = self._over_covered("participation_normalised", losses, coverage)
        if not np.isfinite(found.value):
            return found
        total, square = mean_squares(losses[:, self.covered])
        permuted = generator_for(self.seed, "coverage of places").permuted(np.tile(coverage, (self.n_resamples, 1)), axis=1)
        below = coverage.sum() * (square / permuted).sum(axis=1)
        null = np.minimum(1.0, np.divide(total, below, out=np.full(len(below), np.nan), where=below > 0))
        return replace(found, null_low=_range(null)[0], null_high=_range(null)[1], null=PERMUTED)

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

    def _over_covered(self, name: str, losses: Losses, weight: Float[np.ndarray, "place"]) -> Finding:
        if len(weight) < 3:
            return Finding(name, np.nan, "1", len(losses), reason="Fewer than three places are covered by fields.")
        return self._spread(name, losses[:, self.covered], weight)

    def _spread(self, name: str, losses: Float[np.ndarray, "image place"], weight: Float[np.ndarray, "place"]) -> Finding:
        found = estimate_participation(losses, weight)
        return Finding(name, found.value, "1", len(losses), found.low, found.high, reason=REASONS.get(found.reason, ""))

    def _band(self, draws: Draws) -> tuple[float, float]:
        """Return the central 95 % over draws and resampled images; NaN if half of them lose nothing that could be spread."""
        n = draws.shape[1]
        counts = resample_counts(n, -(-self.n_resamples // len(draws)), generator_for(self.seed, "bootstrap of occlusion"))
        rows = draws.reshape(len(draws), n, -1)
        pooled = np.concatenate([resample_participation(row, np.ones(row.shape[1]), counts.astype(float)) for row in rows])
        return _range(pooled) if np.isfinite(pooled).mean() > 0.5 else (np.nan, np.nan)

    def _interval(self, losses: Losses, statistic: Statistic) -> tuple[float, float]:
        """Return the bootstrap interval over images of a statistic of the mean loss by place."""
        counts = resample_counts(len(losses), self.n_resamples, generator_for(self.seed, "bootstrap of occlusion"))
        return _range(statistic(counts @ losses.reshape(len(losses), -1) / len(losses)))


def _standard_ranks(rows: Float[np.ndarray, "row place"]) -> Float[np.ndarray, "row place"]:
    """Return ranks of unit length about 0: their products are rank correlations."""
    ranks = rankdata(rows, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)


def _range(values: Float[np.ndarray, "resample"]) -> tuple[float, float]:
    defined = values[np.isfinite(values)]
    return percentile_interval(defined) if len(defined) else (np.nan, np.nan)
