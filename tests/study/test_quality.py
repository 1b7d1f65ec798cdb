"""What a study says of the data themselves: slow drift, and near-identical images that stay together."""

import numpy as np
import pytest
import xarray as xr

from dina.data.splits import Split
from dina.recordings.recording import Recording
from dina.study import StudySettings
from dina.study.prepared_recordings import Quality, describe_recording, draw_splits

N = 40
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (N, 1, 8, 9)).astype(np.uint8)
IDS = np.tile(np.arange(N), 3)
STEADY = GENERATOR.standard_normal((N, 12))[IDS] + GENERATOR.standard_normal((3 * N, 12))


def session(drift: float, ids: np.ndarray = IDS) -> Recording:
    time = np.linspace(-1, 1, len(ids))[:, None]
    return Recording("vole3", IMAGES, ids, (STEADY[: len(ids)] + drift * time).astype(np.float32))


@pytest.mark.parametrize(("drift", "in_blocks"), [(0.0, False), (2.0, False), (2.0, True)])
def test_drift_is_named_with_the_split_that_keeps_it_apart_unless_that_was_chosen(drift: float, in_blocks: bool) -> None:
    measured = Quality(xr.Dataset(), {}, ()).with_drift(session(drift), np.arange(30), 0, in_blocks=in_blocks)
    said = " ".join(measured.warnings)
    assert ("Responses drift slowly over the recording" in said) == (drift > 0)
    assert ("split.in_blocks=true keeps them apart" in said) == (drift > 0 and not in_blocks)
    assert measured.numbers["slow_drift_p_value"] is not None


def test_without_repeats_it_is_said_that_drift_was_not_measured() -> None:
    measured = Quality(xr.Dataset(), {}, ()).with_drift(session(2.0, IDS[:N]), np.arange(30), 0)
    assert measured.warnings == ()
    assert measured.numbers["reason_slow_drift"]


def test_trials_of_each_image_are_counted_where_they_differ() -> None:
    described = describe_recording(session(0.0, np.r_[np.tile(np.arange(N), 2), np.arange(10)]))
    assert (described["n_repeats"], described["n_repeats_range"], described["n_trials"]) == (None, [2, 3], 90)


def test_no_image_and_no_copy_of_it_is_on_two_sides() -> None:
    images = np.concatenate([IMAGES[:30], IMAGES[:10]])
    twins = Recording("vole3", images, IDS, STEADY.astype(np.float32))
    split: Split = draw_splits([twins], StudySettings().split, [0])[0]
    side = np.zeros(N, dtype=int)
    for number, ids in enumerate((split.train, split.validation, split.test)):
        side[ids] = number
    np.testing.assert_array_equal(side[:10], side[30:])
    assert int((np.bincount(split.group) > 1).sum()) == 10
