"""Slow drift of responses over a recording: how much of the variance within images follows the order of trials, and what it is."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dina.checks import DataError
from dina.statistics.intervals import null_range

NEURONS_AT_ONCE = 4096
MOST_COSINES = 40  # half periods over the recording
TRIALS_PER_COSINE = 12  # repeats beyond the first of each image, at least, for every cosine that is fitted


@dataclass(frozen=True, eq=False)
class SlowDrift:
    """Slow cosines over the trials of a recording, fitted to each neuron.

    Parameters
    ----------
    share
        Of the variance within images, over all neurons; what chance explains is subtracted, so that it may be below 0.
    null_low, null_high
        Central 95 % of ``share`` if the trials of each image are exchanged.
    p_value
        One-sided, from the same exchanges.
    weights
        Of each cosine for each neuron, in units of the responses.
    n_trials
        Number of trials of the whole recording.
    """

    share: float
    null_low: float
    null_high: float
    p_value: float
    weights: Float[np.ndarray, "cosine neuron"]
    n_trials: int

    @property
    def is_sure(self) -> bool:
        """Whether there is more drift than by chance: the share lies above its null."""
        return self.share > self.null_high

    def at(self, position: Int[np.ndarray, "trial"]) -> Float[np.ndarray, "trial neuron"]:
        """Return the drift of every neuron at some trials, in units of the responses; its mean over the recording is 0."""
        return _cosines(position, self.n_trials, len(self.weights)) @ self.weights


def measure_drift(
    responses: Float[np.ndarray, "trial neuron"],
    image: Int[np.ndarray, "trial"],
    position: Int[np.ndarray, "trial"],
    n_trials: int,
    generator: np.random.Generator,
    n_exchanges: int = 200,
) -> SlowDrift:
    """Fit slow drift to responses of which the mean of each image is removed, and compare it with exchanged trials.

    The image cancels, so no model of it is needed. Without drift the trials of an image may be exchanged, all neurons together, so
    that noise that neurons share does not count as drift.

    Parameters
    ----------
    responses, image
        Single trials in any unit, and the image of each; images shown once do not count.
    position, n_trials
        Place of each trial in the order of presentation of the whole recording, and the number of trials of that.
    generator, n_exchanges
        Of the exchanges.

    Raises
    ------
    DataError
        If there are fewer than two dozen trials beyond the first of their image, or nothing varies within images.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> image, trial = generator.permutation(np.repeat(np.arange(100), 4)), np.arange(400)
    >>> noise = generator.standard_normal((400, 20))
    >>> drift = measure_drift(noise + np.sin(trial / 60)[:, None], image, trial, 400, generator)
    >>> drift.is_sure, bool(0.25 < drift.share < 0.4)
    (True, True)
    """
    is_repeated = np.bincount(image)[image] > 1
    position = position[is_repeated]
    _, group, counts = np.unique(image[is_repeated], return_inverse=True, return_counts=True)
    freedom = len(group) - len(counts)
    if freedom < 2 * TRIALS_PER_COSINE:
        raise DataError(f"Drift needs at least {2 * TRIALS_PER_COSINE} trials beyond the first of their image; got {freedom}.")
    rows, n_neurons = np.flatnonzero(is_repeated), responses.shape[1]

    def residuals_of(neurons: slice) -> np.ndarray:
        return _within(responses[rows, neurons].astype(np.float64), group, counts)

    blocks = [slice(first, first + NEURONS_AT_ONCE) for first in range(0, n_neurons, NEURONS_AT_ONCE)]
    # of more neurons than trials, the products of trials take less memory than the residuals, and say the same
    has_products = n_neurons > max(len(group), NEURONS_AT_ONCE)
    held, total = np.zeros((len(group), len(group) if has_products else n_neurons)), 0.0
    for block in blocks:
        part = residuals_of(block)
        total += float((part**2).sum())
        if has_products:
            held += part @ part.T
        else:
            held[:, block] = part
    if not total > 0:
        raise DataError("Drift needs responses that vary between the trials of an image; these do not.")
    cosines = _cosines(position, n_trials, min(MOST_COSINES, freedom // TRIALS_PER_COSINE))

    def explained(shown: np.ndarray) -> float:
        orthogonal, _ = np.linalg.qr(_within(shown, group, counts))
        found = orthogonal.T @ held
        return float((found * orthogonal.T if has_products else found**2).sum()) / total

    order, observed, null = np.argsort(group, kind="stable"), explained(cosines), np.empty(n_exchanges)
    for number in range(n_exchanges):
        exchanged = np.empty_like(cosines)
        exchanged[order] = cosines[np.lexsort((generator.random(len(group)), group))]
        null[number] = explained(exchanged)
    p_value = (1 + int((null >= observed).sum())) / (n_exchanges + 1)
    by_chance = float(null.mean())
    share, low, high = (float((each - by_chance) / (1 - by_chance)) for each in (observed, *null_range(null, fewest=1)))
    shown = _within(cosines, group, counts)
    weights = np.concatenate([np.linalg.lstsq(shown, residuals_of(block), rcond=None)[0] for block in blocks], axis=1)
    return SlowDrift(share, low, high, p_value, weights, n_trials)


def _cosines(position: Int[np.ndarray, "trial"], n_trials: int, n_cosines: int) -> Float[np.ndarray, "trial cosine"]:
    return np.asarray(np.sqrt(2) * np.cos(np.pi * np.arange(1, n_cosines + 1) * (position[:, None] + 0.5) / n_trials))


def _within(
    rows: Float[np.ndarray, "trial column"], group: Int[np.ndarray, "trial"], counts: Int[np.ndarray, "group"]
) -> Float[np.ndarray, "trial column"]:
    """Remove the mean of each group."""
    order = np.argsort(group, kind="stable")
    total = np.add.reduceat(rows[order], np.concatenate([[0], np.cumsum(counts)[:-1]]), axis=0)
    return np.asarray(rows - (total / counts[:, None])[group])
