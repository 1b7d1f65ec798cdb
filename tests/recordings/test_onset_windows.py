"""Activity over time becomes one number per neuron and trial, and what cannot is named."""

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings import onset_windows
from dina.recordings.onset_windows import average_in_windows, count_in_windows, drop_gaps

TRACES = np.random.default_rng(0).random((100, 3))
TIMES = np.arange(100) / 10


def rows(begin: int, end: int) -> np.ndarray:
    return TRACES[begin:end]


def test_a_window_is_the_mean_of_its_frames_however_few_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    onsets = np.array([4.0, 1.0, 1.2])
    whole = average_in_windows(rows, 3, TIMES, onsets, (0.0, 0.5))
    expected = [TRACES[40:45].mean(axis=0), TRACES[10:15].mean(axis=0), TRACES[12:17].mean(axis=0)]
    np.testing.assert_allclose(whole.responses, expected, rtol=1e-6)  # float32
    assert whole.notes == ("The windows of 1 of 3 trials reach beyond the next onset.",)
    monkeypatch.setattr(onset_windows, "_BLOCK", 3 * 4)
    np.testing.assert_array_equal(average_in_windows(rows, 3, TIMES, onsets, (0.0, 0.5)).responses, whole.responses)


def test_presentations_outside_of_the_recording_are_dropped_and_counted() -> None:
    found = average_in_windows(rows, 3, TIMES, np.array([-5.0, 1.0, 9.5, 9.7]), (0.0, 0.5))
    assert found.kept.tolist() == [False, True, True, False]
    assert found.notes[0] == "2 of 4 presentations were dropped: their window lies outside of the recording."
    eighths = average_in_windows(rows, 3, np.arange(100) / 8, np.array([-0.125, 1.0]), (0.0, 0.5))
    assert eighths.kept.tolist() == [False, True]  # a frame at -0.125 s would belong to the first
    with pytest.raises(DataError, match=r"those from 500 to 600 s do not lie between 0 and 9\.9 s"):
        average_in_windows(rows, 3, TIMES, np.array([500.0, 600.0]), (0.0, 0.5))


def test_a_window_shorter_than_a_frame_is_refused() -> None:
    with pytest.raises(DataError, match=r"from 0\.01 to 0\.05 s holds none after 1 of 2 onsets, frames being 0\.1 s apart"):
        average_in_windows(rows, 3, TIMES, np.array([1.0, 2.06]), (0.01, 0.05))
    with pytest.raises(DataError, match=r"window_s must be its begin and end in seconds after the onset; got 0\.5 and 0\.1"):
        average_in_windows(rows, 3, TIMES, np.array([1.0]), (0.5, 0.1))
    with pytest.raises(DataError, match=r"got 50 and 350\. If these are milliseconds, write 0\.05 and 0\.35"):
        average_in_windows(rows, 3, TIMES, np.array([1.0]), (50, 350))


def test_spikes_are_counted_from_the_begin_of_the_window_up_to_its_end() -> None:
    spikes = [np.array([1.0, 1.25, 1.5, 3.0]), np.array([]), np.array([2.9, 1.1])]
    found = count_in_windows(spikes, np.array([1.0, 2.75, 9.0]), (0.0, 0.5))
    np.testing.assert_array_equal(found.responses, [[4, 0, 2], [2, 0, 2]])
    assert found.kept.tolist() == [True, True, False]
    quiet = count_in_windows([np.array([3.0])], np.array([1.0, 2.75]), (0.0, 0.5), recorded_s=(0.5, 8.0))
    np.testing.assert_array_equal(quiet.responses, [[0], [2]])
    with pytest.raises(DataError, match="Spike times must be finite seconds, at least one"):
        count_in_windows([np.array([])], np.array([1.0]), (0.0, 0.5))


def test_neurons_without_numbers_go_first_and_trials_with_gaps_after_them() -> None:
    responses = np.array([[1, np.nan, 2], [3, np.nan, np.nan], [5, np.nan, 6]], dtype=np.float32)
    trials, neurons, notes = drop_gaps(responses)
    assert (trials.tolist(), neurons.tolist()) == ([True, False, True], [True, False, True])
    assert notes == (
        "1 of 3 neurons have no finite response and were dropped.",
        "1 of 3 trials have gaps (NaN) in some neuron and were dropped.",
    )


@pytest.mark.parametrize(
    ("responses", "message"),
    [
        (np.zeros((0, 2)), "No trial is left that shows an image and lies in the recording"),
        (np.full((3, 2), np.nan), "No neuron has a finite response"),
        (np.array([[1, np.nan], [np.nan, 1]]), "Every trial has NaN in some neuron"),
    ],
)
def test_when_nothing_is_left_the_cause_is_named(responses: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        drop_gaps(responses.astype(np.float32))
