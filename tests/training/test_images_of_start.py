"""Of very many training images the closed-form start reads evenly spaced ones with all their trials, and says how many."""

import numpy as np
import pytest

from dina.data.splits import split_by_stimulus
from dina.recordings.recording import Recording
from dina.study.prepared_recordings import SplitPairs
from dina.training.batches import RecordingPairs
from dina.training.images_of_start import with_enough_images


@pytest.fixture
def recording(small_session: Recording) -> RecordingPairs:
    split = split_by_stimulus([small_session], np.arange(80), 0)
    parts = SplitPairs.of(small_session, split.train, split.validation, split.test)
    return RecordingPairs(parts.train, parts.validation)


def test_few_images_are_all_read(recording: RecordingPairs) -> None:
    read, said = with_enough_images([recording], 10**6)
    assert read == [recording]
    assert said == {}


def test_of_many_images_as_many_are_read_as_there_is_room_for(recording: RecordingPairs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dina.training.images_of_start.MANY_IMAGES", 10)
    monkeypatch.setattr("dina.training.images_of_start.MAP_BYTES", 2 * 100 * 22)
    (read,), said = with_enough_images([recording], 100)
    assert said == {"training_images_read": "22 of 64"}
    rows = np.linspace(0, 63, 22).round().astype(int)
    np.testing.assert_array_equal(read.train.images, recording.train.images[rows])
    np.testing.assert_array_equal(read.train.stimulus_id, recording.train.stimulus_id[rows])
    np.testing.assert_array_equal(read.train.averaged(), recording.train.averaged()[rows])
    assert read.validation is recording.validation
