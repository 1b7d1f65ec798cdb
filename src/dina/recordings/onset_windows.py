"""From activity over time to one number per neuron and trial: the mean, or the rate of spikes, in a window after each onset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from dina.checks import DataError

Window = tuple[float, float]  # begin and end in seconds after the onset

_BLOCK = 2**24  # numbers read at once
_PAUSE_FRAMES = 3.5  # frames further apart than so many intervals were paused between


@dataclass(frozen=True, eq=False)
class Windowed:
    """Activity in a window after each onset.

    Parameters
    ----------
    responses
        Mean activity in its own units, or spikes per second, of the trials that are kept.
    kept
        Which onsets are in ``responses``; the window of the others lies outside of the recording.
    notes
        What was left out or is doubtful, one sentence each.
    """

    responses: Float32[np.ndarray, "trial neuron"]
    kept: Bool[np.ndarray, "onset"]
    notes: tuple[str, ...]


def check_window(window: Window) -> Window:
    """Return a window that begins before it ends.

    Raises
    ------
    DataError
        If it does not, or lasts longer than a minute.
    """
    begin, end = window
    if not (np.isfinite(begin) and np.isfinite(end) and begin < end and begin >= -60 and end <= 60):
        in_ms = f"If these are milliseconds, write {begin / 1000:g} and {end / 1000:g}." if begin < end else "Correct it."
        raise DataError(f"window_s must be its begin and end in seconds after the onset; got {begin} and {end}. {in_ms}")
    return window


def average_in_windows(
    read_rows: Callable[[int, int], Float[np.ndarray, "time neuron"]],
    n_neurons: int,
    time_s: Float[np.ndarray, "time"],
    onset_s: Float[np.ndarray, "onset"],
    window: Window,
) -> Windowed:
    """Average activity over the frames in a window after each onset; no more than some frames are in memory at once.

    Parameters
    ----------
    read_rows
        Returns the activity of frames from the first number up to, but without, the second.
    n_neurons
        How many neurons it returns.
    time_s
        Time of each frame in seconds, ascending.
    onset_s
        Onset of each trial in seconds of the same clock.
    window
        Begin and end in seconds after the onset.

    Raises
    ------
    DataError
        If a window is shorter than a frame, times do not ascend, or no window lies in the recording. Windows that reach into a
        pause between frames are left out, with a note.
    """
    begin_s, end_s = check_window(window)
    if len(time_s) < 2 or not (np.diff(time_s) > 0).all():
        raise DataError("Times of the frames of responses must be finite and ascend; they do not. Correct the timestamps.")
    interval = float(np.median(np.diff(time_s)))
    slack = 1e-6 * interval  # times are sums of rounded numbers
    first = np.searchsorted(time_s, onset_s + begin_s - slack)
    last = np.searchsorted(time_s, onset_s + end_s - slack)
    inside = (onset_s + begin_s > time_s[0] - interval + slack) & (onset_s + end_s <= time_s[-1] + interval + slack)
    paused = inside & _paused(time_s, interval, onset_s + begin_s, onset_s + end_s)
    kept = inside & ~paused & (last > first)
    notes = _left_out(~inside)
    if paused.any():
        notes.append(
            f"{int(paused.sum())} of {len(paused)} presentations were dropped: frames are missing in their window, where timestamps pause."
        )
    empty = inside & ~paused & (last == first)
    if empty.any():
        raise DataError(
            f"A window must hold a frame; that from {begin_s:g} to {end_s:g} s holds none after {int(empty.sum())} of"
            f" {len(onset_s)} onsets, frames being {interval:.3g} s apart. Lengthen window_s."
        )
    if not kept.any():
        raise DataError(notes[-1] if paused.any() else _no_window(onset_s, float(time_s[0]), float(time_s[-1])))
    sums = _sums(read_rows, n_neurons, first[kept], last[kept])
    responses = (sums / (last - first)[kept, None]).astype(np.float32)
    return Windowed(responses, kept, (*notes, *_overlaps(onset_s[kept], window)))


def count_in_windows(
    spike_time_s: Sequence[Float[np.ndarray, "_"]],
    onset_s: Float[np.ndarray, "onset"],
    window: Window,
    recorded_s: Window | None = None,
) -> Windowed:
    """Count the spikes of each neuron in a window after each onset, as spikes per second.

    Onsets whose window lies before or after ``recorded_s`` are left out: nothing was recorded then. By default it reaches from the
    first spike of these neurons to the last; state it where they were chosen from more, which may have fired before or after.

    Raises
    ------
    DataError
        If there are no spikes, or none while images were shown.
    """
    begin_s, end_s = check_window(window)
    times = [np.sort(np.asarray(each, dtype=np.float64)) for each in spike_time_s]
    if not any(len(each) for each in times) or not all(np.isfinite(each).all() for each in times):
        raise DataError("Spike times must be finite seconds, at least one; there are none, or some are not. Check the file.")
    first, last = recorded_s or (min(each[0] for each in times if len(each)), max(each[-1] for each in times if len(each)))
    kept = (onset_s + end_s > first) & (onset_s + begin_s < last)
    if not kept.any():
        raise DataError(_no_window(onset_s, float(first), float(last)))
    onsets = onset_s[kept]
    rates = np.empty((len(onsets), len(times)), dtype=np.float32)
    for neuron, each in enumerate(times):
        counts = np.searchsorted(each, onsets + end_s) - np.searchsorted(each, onsets + begin_s)
        rates[:, neuron] = counts / (end_s - begin_s)
    return Windowed(rates, kept, (*_left_out(~kept), *_overlaps(onsets, window)))


def leave_unobserved(
    observed_s: Sequence[Float[np.ndarray, "_ 2"]], windowed: Windowed, onset_s: Float[np.ndarray, "onset"], window: Window
) -> Windowed:
    """Return responses that are NaN where a neuron was not observed for the whole window: there it has no spikes, and no rate.

    Parameters
    ----------
    observed_s
        Of each neuron, the begin and end of the intervals in which it was observed, in seconds; none where that is unknown.
    windowed
        Rates of all neurons.
    onset_s, window
        As in `count_in_windows`.
    """
    begin_s, end_s = onset_s[windowed.kept] + window[0], onset_s[windowed.kept] + window[1]
    responses = windowed.responses.copy()
    for neuron, intervals in enumerate(observed_s):
        if len(intervals):
            inside = (begin_s[:, None] >= intervals[:, 0] - 1e-6) & (end_s[:, None] <= intervals[:, 1] + 1e-6)
            responses[~inside.any(axis=1), neuron] = np.nan
    n = int(np.isnan(responses).any(axis=0).sum())
    said = (
        f"{n} of {len(observed_s)} neurons were not observed in the windows of all trials, as obs_intervals says; these are gaps."
    )
    return Windowed(responses, windowed.kept, (*windowed.notes, *([said] if n else [])))


def drop_gaps(
    responses: Float32[np.ndarray, "trial neuron"],
) -> tuple[Bool[np.ndarray, "trial"], Bool[np.ndarray, "neuron"], tuple[str, ...]]:
    """Return which trials and which neurons are left if first neurons without any number, then trials with gaps are dropped.

    Raises
    ------
    DataError
        If nothing is left.
    """
    if not len(responses):
        raise DataError(
            "No trial is left that shows an image and lies in the recording. Check which images its presentations name."
        )
    gap = ~np.isfinite(responses)
    neurons = ~gap.all(axis=0)
    trials = ~gap[:, neurons].any(axis=1)
    notes = []
    if not neurons.all():
        notes.append(f"{int((~neurons).sum())} of {len(neurons)} neurons have no finite response and were dropped.")
    if not trials.all():
        notes.append(f"{int((~trials).sum())} of {len(trials)} trials have gaps (NaN) in some neuron and were dropped.")
    if not neurons.any():
        raise DataError("No neuron has a finite response; all are NaN or infinite. Check the array of responses.")
    if not trials.any():
        raise DataError("Every trial has NaN in some neuron, so none would be left. Leave these neurons out of the file.")
    return trials, neurons, tuple(notes)


def _sums(
    read_rows: Callable[[int, int], np.ndarray], n_neurons: int, first: Int[np.ndarray, "trial"], last: Int[np.ndarray, "trial"]
) -> Float[np.ndarray, "trial neuron"]:
    """Sum the frames of each window, some frames at a time."""
    sums = np.zeros((len(first), n_neurons))
    at_once = max(1, _BLOCK // n_neurons)
    for begin in range(int(first.min()), int(last.max()), at_once):
        end = min(begin + at_once, int(last.max()))
        touched = np.flatnonzero((first < end) & (last > begin))
        if not len(touched):
            continue
        rows = np.asarray(read_rows(begin, end), dtype=np.float64)
        for trial in touched:
            sums[trial] += rows[max(first[trial] - begin, 0) : last[trial] - begin].sum(axis=0)
    return sums


def _paused(time_s: np.ndarray, interval: float, begin_s: np.ndarray, end_s: np.ndarray) -> Bool[np.ndarray, "onset"]:
    """Return which windows reach into a pause between frames; two or three missing frames make none."""
    before = np.flatnonzero(np.diff(time_s) > _PAUSE_FRAMES * interval)
    slack = 1e-6 * interval
    ended = np.searchsorted(time_s[before + 1], begin_s + slack, side="right")
    return np.searchsorted(time_s[before] + interval, end_s - slack) > ended


def _left_out(outside: np.ndarray) -> list[str]:
    n = int(outside.sum())
    return [f"{n} of {len(outside)} presentations were dropped: their window lies outside of the recording."] if n else []


def _overlaps(onset_s: np.ndarray, window: Window) -> list[str]:
    gaps = np.diff(np.sort(onset_s))
    n = int((gaps < window[1] - 1e-9).sum())
    return [f"The windows of {n} of {len(onset_s)} trials reach beyond the next onset."] if n else []


def _no_window(onset_s: np.ndarray, first: float, last: float) -> str:
    return (
        f"Onsets must lie in the recording; those from {onset_s.min():g} to {onset_s.max():g} s do not lie between {first:g} and"
        f" {last:g} s. Bring onsets and responses to one clock, in seconds."
    )
