"""How the variance of a neuron's repeats grows with its mean response: the law that says which power makes noise even."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dina.checks import DataError
from dina.randomness import generator_for
from dina.shapes import Responses, StimulusIndex
from dina.statistics.repeats import sum_by_group
from dina.statistics.resampling import percentile_interval

MOST_IMAGES = 1000
"""Images that the law is estimated from, evenly spaced among those with repeats: more would change the second decimal."""

N_BINS = 8
LEAST_IN_BIN = 12  # images of each half of a group
N_RESAMPLES = 1000
N_STEPS = 40
EXPONENTS = (-1.0, 4.0)
MOST_WIDTH = 2.0  # of the interval of the exponent: a wider one says nothing
NEURONS_AT_ONCE = 256
MOST_COUNTS = 2**23  # of draws of neurons that are held at a time
LOWEST_POWER = 0.25

BELOW_ZERO = (
    "The variance over repeats can follow the mean only where mean responses lie above zero; here they do for {share:.0%} of the"
    " groups of images, and half are needed. Responses were probably centred: give them in their original units."
)


@dataclass(frozen=True, eq=False)
class MeanVarianceLaw:
    r"""The law :math:`\mathrm{variance} = a\,\mathrm{mean}^b` over repeats, for each neuron and for the population.

    Parameters
    ----------
    exponent, low, high
        :math:`b` of the population with a 95 % interval over neurons; dimensionless.
    factor
        :math:`a` of the population where every neuron's responses are divided by its mean; dimensionless.
    neuron_exponent
        :math:`b` of each neuron, drawn towards the population's as far as its error demands.
    neuron_ratio
        Variance over repeats divided by the mean response of each neuron, in the units of the responses.
    bin_mean, bin_variance
        Geometric means over neurons of the mean and the variance in groups of images, by rising predicted response, every
        neuron's responses divided by its mean.
    """

    exponent: float
    low: float
    high: float
    factor: float
    neuron_exponent: Float[np.ndarray, "neuron"]
    neuron_ratio: Float[np.ndarray, "neuron"]
    bin_mean: Float[np.ndarray, "bin"]
    bin_variance: Float[np.ndarray, "bin"]

    def neuron_power(self) -> Float[np.ndarray, "neuron"]:
        r"""Return the power of each neuron's responses after which its variance does not depend on its mean.

        Notes
        -----
        :math:`1 - b/2` by the delta method, confined to [1/4, 1].

        References
        ----------
        Bartlett (1947), Biometrics 3:39. https://doi.org/10.2307/3001536
        """
        return np.clip(1 - self.neuron_exponent / 2, LOWEST_POWER, 1.0)


def fit_mean_variance(
    responses: Responses,
    stimulus: StimulusIndex,
    predicted: Float[np.ndarray, "stimulus neuron"],
    row: Int[np.ndarray, "kept"] | None = None,
) -> MeanVarianceLaw:
    r"""Estimate the law from repeated single trials, two or more of each image.

    Parameters
    ----------
    responses
        Raw single trials, not averages.
    stimulus
        The row of ``predicted`` that holds the image of each trial; images with one trial are left out.
    predicted
        Predicted response of each neuron to each image, made without any trial of that image, in any units that rise with its
        responses. It may be a poor prediction, but two repeats alone do not determine the law.
    row
        Of each trial in ``responses``; None where these are the trials of ``stimulus`` alone.

    Raises
    ------
    DataError
        If too few images were shown twice, mean responses do not lie above zero, or predictions do not rise with responses.

    Notes
    -----
    A mean and a variance from the same trials share their errors, which bends the law. So images are put into groups by
    ``predicted``, which knows nothing of these trials. A group with mean :math:`M` and mean variance :math:`V` over repeats
    still holds images of unequal true means :math:`m`; with their mean square :math:`Q` (products of different repeats) and a
    lognormal spread, :math:`V = a\,E[m^b] = a M^b (Q / M^2)^{b(b-1)/2}`. Each group is split into two halves of its images, and the
    mean of one half is used with the variance of the other. The denominator of the slope uses the means of both halves. So
    the slope is biased neither by errors of the means nor by their correlation with errors of the variances.
    """
    trials, images, index = _repeated(stimulus)
    trials = trials if row is None else row[trials]
    n_bins = min(N_BINS, len(images) // (2 * LEAST_IN_BIN))
    if n_bins < 3:
        raise DataError(
            f"The law of variance against mean needs at least {6 * LEAST_IN_BIN} images shown twice or more as single trials;"
            f" there are {len(images)}. Record more repeats."
        )
    counts = np.bincount(index)[:, None].astype(np.float64)
    n_neurons = responses.shape[1]
    groups = np.full((3, 2, n_bins, n_neurons), np.nan)  # mean, variance, mean square of true means
    ratio = np.full(n_neurons, np.nan)
    for first in range(0, n_neurons, NEURONS_AT_ONCE):
        block = slice(first, first + NEURONS_AT_ONCE)
        values = np.ascontiguousarray(responses[trials, block])
        mean = sum_by_group(values, index, len(images)) / counts
        squares = sum_by_group(np.square(values - mean[index].astype(np.float32)), index, len(images))
        variance = squares / (counts - 1)
        scale = np.abs(mean.mean(axis=0))
        ratio[block] = np.divide(variance.mean(axis=0), scale, out=np.full(len(scale), np.nan), where=scale > 0)
        measured = np.stack([mean, variance, mean**2 - variance / counts])
        for half in (0, 1):
            rows = slice(half, None, 2)
            order = np.argsort(predicted[images[rows], block], axis=0, kind="stable")
            groups[:, half, :, block] = _average_groups(measured[:, rows], order, n_bins)
    return _fit(groups, ratio)


def _repeated(
    stimulus: StimulusIndex,
) -> tuple[Int[np.ndarray, "kept"], Int[np.ndarray, "image"], Int[np.ndarray, "kept"]]:
    """Return the trials of repeated images, these images (at most so many), and for each trial its image's place among them."""
    images, counts = np.unique(stimulus, return_counts=True)
    images = images[counts >= 2]
    if len(images) > MOST_IMAGES:
        images = images[np.linspace(0, len(images) - 1, MOST_IMAGES).round().astype(int)]
    trials = np.flatnonzero(np.isin(stimulus, images))
    return trials, images, np.searchsorted(images, stimulus[trials])


def _average_groups(measured: np.ndarray, order: np.ndarray, n_bins: int) -> Float[np.ndarray, "quantity bin neuron"]:
    """Average quantities of images (axes quantity, image, neuron) within groups of equal size along an order of the images."""
    size = len(order) // n_bins
    kept = order[: n_bins * size]
    return np.stack([np.take_along_axis(one, kept, axis=0).reshape(n_bins, size, -1).mean(axis=1) for one in measured])


def _fit(groups: np.ndarray, ratio: np.ndarray) -> MeanVarianceLaw:
    """Fit the slope of log variance on log mean within neurons; groups have axes quantity, half, group and neuron."""
    known = (groups[:2] > 0).all(axis=(0, 1))
    share = float(known.mean())
    if share < 0.5:
        raise DataError(BELOW_ZERO.format(share=share))
    known &= known.sum(axis=0) >= 3
    mean, variance = np.log(np.where(known, groups[:2], 1.0))
    # the spread of true means inside a group; sampling may leave their mean square below the square of their mean
    spread = np.log(np.maximum(np.where(known, groups[2], 1.0), np.exp(2 * mean))) - 2 * mean
    n_known = np.maximum(known.sum(axis=0), 1)
    centres = np.stack([(part * known).sum(axis=1) / n_known for part in (mean, variance, spread)])
    x, y, u = ((part - centre[:, None]) * known for part, centre in zip((mean, variance, spread), centres, strict=True))
    moments = np.stack([(x[0] * other[1] + x[1] * other[0]).sum(axis=0) / 2 for other in (x, y, u)])
    exponents = _solve(_resampled(moments))
    exponent = float(exponents[0])
    low, high = percentile_interval(exponents[1:])
    if not (np.isfinite(exponents).all() and high - low < MOST_WIDTH):
        raise DataError(
            "Responses predicted from the images do not rise with those measured, so that images cannot be put into groups of"
            " weak and strong responses. Record more images or repeats."
        )
    curvature = exponent * (exponent - 1) / 2
    steady = (variance - curvature * spread).mean(axis=0)  # the variance were all images of a group alike
    of_neuron = _shrink(moments, x.mean(axis=0), (y - curvature * u).mean(axis=0), known, exponent)
    middle = centres[0].mean(axis=0)
    scale = np.where(known.any(axis=0), middle, 0.0)
    weight = np.maximum(known.sum(axis=1), 1)
    some = known.sum(axis=1) > 0
    bin_mean = ((mean.mean(axis=0) - scale) * known).sum(axis=1) / weight
    bin_variance = ((steady - 2 * scale) * known).sum(axis=1) / weight
    factor = float(np.exp(np.average(bin_variance - exponent * bin_mean, weights=known.sum(axis=1))))
    return MeanVarianceLaw(
        exponent, float(low), float(high), factor, of_neuron, ratio, np.exp(bin_mean[some]), np.exp(bin_variance[some])
    )


def _resampled(moments: Float[np.ndarray, "moment neuron"]) -> Float[np.ndarray, "moment draw"]:
    """Return the sums over all neurons, and over neurons drawn with replacement, of few draws at a time if neurons are many."""
    n_neurons = moments.shape[1]
    generator, evenly = generator_for(0, "neurons of the mean-variance law"), np.full(n_neurons, 1 / n_neurons)
    at_once = max(1, MOST_COUNTS // n_neurons)
    sums = []
    for first in range(0, N_RESAMPLES, at_once):
        drawn = generator.multinomial(n_neurons, evenly, size=min(at_once, N_RESAMPLES - first))
        sums.append(moments @ (drawn if first else np.vstack([np.ones(n_neurons), drawn])).T)
    return np.concatenate(sums, axis=1)


def _solve(sums: Float[np.ndarray, "moment draw"]) -> Float[np.ndarray, "draw"]:
    """Solve b · xx + b (b − 1) / 2 · xu = xy for the exponent, by steps from the solution without spread."""
    xx, xy, xu = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        start = found = np.clip(xy / xx, *EXPONENTS)
        for _ in range(N_STEPS):
            # the mean of the old and the new keeps steps from swinging
            found = np.clip((found + (xy - found * (found - 1) / 2 * xu) / xx) / 2, *EXPONENTS)
    return np.where(xx > 0, np.where(np.isfinite(found), found, start), np.nan)


def _shrink(moments: np.ndarray, x: np.ndarray, y: np.ndarray, known: np.ndarray, exponent: float) -> Float[np.ndarray, "neuron"]:
    """Draw each neuron's exponent towards the population's: the more, the larger its error beside true differences."""
    xx, xy, xu = moments
    above = xy - exponent * (exponent - 1) / 2 * xu
    wide = np.maximum((x**2).sum(axis=0), 1e-12)
    alone = np.clip(exponent + (above - exponent * xx) / wide, *EXPONENTS)
    residual = (((y - exponent * x) * known) ** 2).sum() / max(int((known.sum(axis=0) - 2).clip(0).sum()), 1)
    error = residual / wide
    weight = 1 / error
    # variance between neurons beyond what errors explain (DerSimonian & Laird 1986)
    excess = (weight * (alone - exponent) ** 2).sum() - (len(alone) - 1)
    between = max(excess / (weight.sum() - (weight**2).sum() / weight.sum()), 0.0) if len(alone) > 1 else 0.0
    return exponent + (alone - exponent) * between / (between + error)
