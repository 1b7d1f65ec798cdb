"""Recordings under several conditions, made equal in number of neurons, images, repeats and signal variance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from dina.checks import DataError
from dina.randomness import generator_for
from dina.recordings.recording import Recording
from dina.statistics.reliability import signal_variance_fraction
from dina.statistics.repeats import count_within_group


@dataclass(frozen=True, eq=False)
class MatchedConditions:
    """Recordings that differ in their images' pixels and in nothing else that can be helped.

    Parameters
    ----------
    recordings
        With the same identities, trials per identity, number of neurons, and the same mean signal variance fraction.
    stimulus_id
        Identities that were shown in all of them.
    fraction_before, fraction_after
        Mean over neurons of the signal variance fraction of each recording's training trials; NaN where no image was
        shown twice, in which case no noise was added.
    has_same_neurons
        Whether the neurons of each recording are known to be those of the first one, in the same order.
    """

    recordings: tuple[Recording, ...]
    stimulus_id: Int[np.ndarray, "stimulus"]
    fraction_before: Float[np.ndarray, "condition"]
    fraction_after: Float[np.ndarray, "condition"]
    has_same_neurons: Bool[np.ndarray, "condition"]


def match_conditions(recordings: Sequence[Recording], train: Int[np.ndarray, "n_train"], seed: int) -> MatchedConditions:
    r"""Make recordings equal in number of neurons, identities, repeats and signal variance.

    Neurons count as the same only if the recordings say so, by positions that are known and agree. Where those of one
    recording are others than those of the first, as many are drawn at random from every recording as the smallest has; the
    same ones from recordings of the same neurons. Identities that one of the recordings lacks are dropped from all. Of every identity as many trials are kept, the first
    ones, as the recording with the fewest has. Then Gaussian noise, private to each neuron, is added to all recordings but
    the poorest.

    Parameters
    ----------
    recordings
        With one ``image_set`` and one condition each.
    train
        Training identities; signal variance is estimated from their trials only.
    seed
        Of the noise, and of the choice of neurons.

    Raises
    ------
    DataError
        If image sets or conditions do not allow it, or a recording has no signal.

    Notes
    -----
    With a mean signal variance fraction :math:`f` of a recording and :math:`f_0` of the poorest, a neuron of variance
    :math:`V` gets noise of variance :math:`V (f / f_0 - 1)`, which multiplies every neuron's fraction by :math:`f_0 / f`.
    """
    _check_comparable(recordings)
    is_same = np.array([have_same_neurons(recordings[0], other) for other in recordings])
    if not is_same.all():
        recordings = _draw_neurons(recordings, is_same, seed)
    counts = np.stack([recording.repeats_per_stimulus() for recording in recordings]).min(axis=0)
    equal = [_first_trials(recording, counts) for recording in recordings]
    shown = np.flatnonzero(counts)
    before = np.array([_mean_fraction(recording, train) for recording in equal])
    if np.isfinite(before).all():
        if before.min() <= 0:
            poorest = equal[int(np.argmin(before))]
            raise DataError(
                f"Signal variance can be matched only where there is some; that of condition {poorest.condition!r} is estimated"
                f" at {before.min():.3f} of the variance. Leave this recording out, or record more repeats."
            )
        equal = [
            _add_noise(recording, train, float(fraction / before.min() - 1), seed)
            for recording, fraction in zip(equal, before, strict=True)
        ]
    after = np.array([_mean_fraction(recording, train) for recording in equal])
    return MatchedConditions(tuple(equal), shown, before, after, is_same)


def have_same_neurons(one: Recording, other: Recording) -> bool:
    """Say whether two recordings say that their neurons are the same, in the same order: by positions that agree.

    An equal number is no evidence: two sessions of one size hold different neurons.

    Parameters
    ----------
    one, other
        Positions that are NaN in both agree; at least one must be known.
    """
    first, second = one.neuron_position_um, other.neuron_position_um
    if one is other:
        return True
    if first is None or second is None or first.shape != second.shape or not np.isfinite(first).all(axis=1).any():
        return False
    return np.array_equal(first, second, equal_nan=True)


def _draw_neurons(recordings: Sequence[Recording], is_same: Bool[np.ndarray, "condition"], seed: int) -> list[Recording]:
    """Draw as many neurons of each recording as the smallest has, the same ones of recordings of the same neurons."""
    fewest = min(recording.n_neurons for recording in recordings)
    drawn = []
    for recording, same in zip(recordings, is_same, strict=True):
        purpose = "neurons" if same else f"neurons {recording.condition}"
        order = generator_for(seed, purpose).permutation(recording.n_neurons)
        keep = np.isin(np.arange(recording.n_neurons), order[:fewest])
        note = f"{fewest} neurons were drawn at random, as many as the smallest recording has."
        drawn.append(recording if keep.all() else recording.select_neurons(keep, note))
    return drawn


def _check_comparable(recordings: Sequence[Recording]) -> None:
    sets = sorted({recording.image_set for recording in recordings})
    if len(sets) > 1:
        raise DataError(
            f"Conditions are compared on the same image identities; got the image sets {', '.join(sets)}. Give recordings of one set."
        )
    conditions = [recording.condition for recording in recordings]
    if len(set(conditions)) < len(conditions):
        raise DataError(f"Each condition may be given once; got {', '.join(conditions)}. Leave the repeated one out.")


def _first_trials(recording: Recording, counts: Int[np.ndarray, "stimulus"]) -> Recording:
    number = count_within_group(recording.stimulus_id)
    keep: Bool[np.ndarray, "trial"] = number < counts[recording.stimulus_id]
    return recording.select_trials(keep, "Trials beyond those that every condition has were dropped.")


def _mean_fraction(recording: Recording, train: np.ndarray) -> float:
    trials = np.isin(recording.stimulus_id, train)
    counts = np.bincount(recording.stimulus_id[trials], minlength=1)
    if counts.max() < 2:
        return float("nan")
    return float(np.nanmean(signal_variance_fraction(recording.responses[trials], recording.stimulus_id[trials])))


def _add_noise(recording: Recording, train: np.ndarray, excess: float, seed: int) -> Recording:
    """Add noise of ``excess`` times each neuron's variance; a simulation's truth is told."""
    if excess <= 1e-9:
        return recording
    variance = recording.responses[np.isin(recording.stimulus_id, train)].var(axis=0) * np.float32(excess)
    noise = generator_for(seed, f"matching noise {recording.condition}").standard_normal(
        recording.responses.shape, dtype=np.float32
    )
    truth = recording.truth
    known = None if truth is None else replace(truth, private_variance=truth.private_variance + variance)
    noisy = recording.responses + noise * np.sqrt(variance)
    note = "Noise was added so that its signal variance fraction is that of the poorest condition."
    return replace(recording, responses=noisy, truth=known, notes=(*recording.notes, note))
