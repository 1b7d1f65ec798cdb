"""How repeatable each neuron is: reliability, signal variance, and the ceiling that noise sets on any model."""

import numpy as np
from jaxtyping import Float

from dina.checks import DataError, check_count
from dina.shapes import Responses, StimulusIndex
from dina.statistics.correlation import correlate_columns
from dina.statistics.repeats import average_halves, mean_square_by_group


def split_half_reliability(responses: Responses, stimulus_index: StimulusIndex) -> Float[np.ndarray, "neuron"]:
    r"""Correlate the two halves of the repeats across images, for each neuron.

    No model of the image can explain a neuron that does not respond twice in the same way. Use reliability to describe a
    recording, or on training images to choose neurons before a fit, never after.

    ``responses`` are single trials, as in `average_halves`. The correlation lies in [-1, 1]; NaN where a half is constant.

    Raises
    ------
    DataError
        If fewer than three images have two trials.

    Notes
    -----
    With signal variance :math:`s^2` and single-trial noise variance :math:`n^2`, two single repeats correlate as
    :math:`s^2 / (s^2 + n^2)`; `spearman_brown` gives the reliability of their average.

    Examples
    --------
    Equal signal and noise variance give a reliability of one half:

    >>> generator = np.random.default_rng(0)
    >>> signal = np.repeat(generator.standard_normal((20_000, 2)), 2, axis=0)
    >>> trials = (signal + generator.standard_normal(signal.shape)).astype(np.float32)
    >>> split_half_reliability(trials, np.repeat(np.arange(20_000), 2)).round(1)
    array([0.5, 0.5])
    """
    first, second, stimulus = average_halves(responses, stimulus_index)
    if len(stimulus) < 3:
        raise DataError(f"Reliability needs at least three images with two trials; got {len(stimulus)}. Record repeats.")
    return correlate_columns(first, second)


def spearman_brown(reliability: Float[np.ndarray, "neuron"], factor: float = 2.0) -> Float[np.ndarray, "neuron"]:
    r"""Predict the reliability of ``factor`` times as many repeats, :math:`k r / (1 + (k - 1) r)`, in [0, 1].

    ``reliability`` is that of the repeats at hand; NaN stays NaN, and negative values, which are noise, are taken as 0.

    Raises
    ------
    DataError
        If ``factor`` is not positive.

    References
    ----------
    Spearman (1910), Br. J. Psychol. 3:271. https://doi.org/10.1111/j.2044-8295.1910.tb00206.x
    Brown (1910), Br. J. Psychol. 3:296. https://doi.org/10.1111/j.2044-8295.1910.tb00207.x

    Examples
    --------
    >>> spearman_brown(np.array([0.5])).round(4)
    array([0.6667])
    """
    if factor <= 0:
        raise DataError(f"factor must be positive; got {factor}. It is the ratio of the numbers of repeats.")
    positive = np.maximum(reliability, 0.0)
    predicted: np.ndarray = factor * positive / (1 + (factor - 1) * positive)
    return predicted


def signal_variance_fraction(responses: Responses, stimulus_index: StimulusIndex) -> Float[np.ndarray, "neuron"]:
    r"""Estimate which fraction of a neuron's single-trial variance the image explains.

    Parameters
    ----------
    responses, stimulus_index
        Single trials as in `average_halves`; images may have unequal numbers of trials, single ones included.

    Returns
    -------
    fraction
        Without bias from the number of repeats: at most 1, and below 0 for some neurons without signal; NaN for a constant
        neuron.

    Raises
    ------
    DataError
        If no image has two trials, or there are fewer than two images.

    Notes
    -----
    One-way analysis of variance with random effects: with mean squares :math:`B` between and :math:`W` within images
    and :math:`n_0 = (N - \sum n_i^2 / N) / (m - 1)` trials per image, signal variance is :math:`(B - W) / n_0`, and
    the fraction is signal / (signal + :math:`W`). With two repeats of every image this is the covariance of the two
    over the mean variance, the definition of Stringer et al., up to :math:`1 / m`.

    References
    ----------
    Shrout & Fleiss (1979), Psychol. Bull. 86:420. https://doi.org/10.1037/0033-2909.86.2.420
    Stringer et al. (2019), Nature 571:361. https://doi.org/10.1038/s41586-019-1346-5

    Examples
    --------
    The same response at every repeat is signal alone:

    >>> trials = np.array([[1.0], [1.0], [2.0], [2.0], [2.0]], dtype=np.float32)
    >>> signal_variance_fraction(trials, np.array([0, 0, 1, 1, 1]))
    array([1.])
    """
    _, index = np.unique(stimulus_index, return_inverse=True)
    counts = np.bincount(index).astype(np.float64)
    n_trials, n_stimuli = len(index), len(counts)
    if n_trials == n_stimuli or n_stimuli < 2:
        there = f"{n_trials:,} trials of {n_stimuli:,} images" if n_trials else "no single trials"
        raise DataError(
            f"Signal variance needs at least two images, one of them with two trials; there are {there}. Record repeats."
        )
    within, between = mean_square_by_group(responses, index, n_stimuli)
    noise = within / (n_trials - n_stimuli)
    per_image = (n_trials - (counts**2).sum() / n_trials) / (n_stimuli - 1)
    signal = (between / (n_stimuli - 1) - noise) / per_image
    largest = np.maximum(responses.max(axis=0), -responses.min(axis=0)).astype(np.float64)
    varies = within + between > 1e-12 * n_trials * largest**2
    return np.divide(signal, signal + noise, out=np.full_like(signal, np.nan), where=varies)


def noise_ceiling(signal_fraction: Float[np.ndarray, "neuron"], n_repeats: int) -> Float[np.ndarray, "neuron"]:
    r"""Return the best correlation any model can reach with the average of ``n_repeats`` trials.

    It is :math:`\sqrt{n f / (1 + (n - 1) f)}` in [0, 1] with the signal fraction :math:`f` of single trials: a correlation, not an
    explained variance. NaN stays NaN; negative estimates of :math:`f` give 0.

    References
    ----------
    Schoppe et al. (2016), Front. Comput. Neurosci. 10:10. https://doi.org/10.3389/fncom.2016.00010

    Examples
    --------
    Equal signal and noise variance, two repeats: √(2/3).

    >>> noise_ceiling(np.array([0.5]), 2).round(3)
    array([0.816])
    """
    return np.sqrt(spearman_brown(signal_fraction, float(check_count("n_repeats", n_repeats, 1))))
