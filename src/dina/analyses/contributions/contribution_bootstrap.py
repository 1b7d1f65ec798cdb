"""Resampled contributions: test images and neurons drawn anew, with two halves of the images that share none."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dina.statistics.rank_association import spearman_with_interval
from dina.statistics.resampling import percentile_interval, resample_counts

MOST_RESAMPLES = 500


@dataclass(frozen=True, eq=False)
class Resample:
    """Contributions of resampled neurons to resampled images.

    Parameters
    ----------
    neurons
        Which neuron each is, shape ``(n_neurons,)``.
    mean, error
        Contribution and its standard error over images, shape ``(n_neurons,)``.
    halves
        Contributions to two halves of the images, none of which is in both, shape ``(2, n_neurons)``.
    """

    neurons: Int[np.ndarray, "neuron"]
    mean: Float[np.ndarray, "neuron"]
    error: Float[np.ndarray, "neuron"]
    halves: Float[np.ndarray, "2 neuron"]

    def correlation_with(self, other: Float[np.ndarray, "neuron"]) -> float:
        """Return the rank correlation with a property of all neurons, NaN where that is not known."""
        return spearman_with_interval(self.mean, other[self.neurons])[0]

    def agreement(self) -> float:
        """Return the rank correlation of the two halves."""
        return spearman_with_interval(*self.halves)[0]


def resample_contributions(
    by_image: Float[np.ndarray, "gallery neuron"], n_resamples: int, generator: np.random.Generator
) -> Iterator[Resample]:
    """Draw images within random halves, and neurons, with replacement.

    Parameters
    ----------
    by_image
        Contribution of each neuron to each test image.
    n_resamples
        At most 500 are drawn.
    generator
        Source of randomness.
    """
    n_images, n_neurons = by_image.shape
    for _ in range(min(n_resamples, MOST_RESAMPLES)):
        sums, squares, sizes = np.empty((2, n_neurons)), np.zeros(n_neurons), np.empty((2, 1))
        for half, images in enumerate(np.array_split(generator.permutation(n_images), 2)):
            count = resample_counts(len(images), 1, generator)[0].astype(np.float64)
            sums[half], sizes[half] = count @ by_image[images], len(images)
            squares += count @ by_image[images] ** 2
        neurons = np.asarray(generator.integers(n_neurons, size=n_neurons))
        mean = sums.sum(0) / n_images
        error = np.sqrt(np.maximum(squares / n_images - mean**2, 0) / (n_images - 1))
        halves = sums / sizes
        yield Resample(neurons, mean[neurons], error[neurons], halves[:, neurons])


def interval_about(
    value: float, resampled: Float[np.ndarray, "resample"], transform: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()
) -> tuple[float, float]:
    """Return the interval of a value from the spread of resamples about their own mean.

    Resampling adds the error of estimation a second time, which weakens correlations; what it takes from the mean is given back.

    Parameters
    ----------
    value
        Of the data.
    resampled
        Of each resample; NaN is left out.
    transform
        To a scale on which errors are alike everywhere, and back; none where they are as they stand.

    Examples
    --------
    >>> interval_about(0.5, np.linspace(0.2, 0.4, 41))
    (0.405, 0.595)
    """
    forth, back = transform or (np.asarray, np.asarray)
    known = forth(resampled[np.isfinite(resampled)])
    if not len(known) or np.isnan(value):
        return np.nan, np.nan
    limits = np.array(percentile_interval(known - known.mean())) + forth(np.array(value))
    low, high = np.round(back(limits), 12)
    return float(low), float(high)
