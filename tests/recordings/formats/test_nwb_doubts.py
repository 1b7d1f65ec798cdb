"""What an NWB file leaves open is said: images in blocks, frames of a screen, units observed in part, pauses, series of one name."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from pynwb.base import Images
from pynwb.image import GrayscaleImage

import nwb_files
from dina.checks import DataError
from dina.recordings import Recording, read

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (4, 8, 9)).astype(np.uint8)
BLOCKS = np.repeat(np.arange(4), 6)  # six presentations of an image in a row
ONSET_S = 1 + 0.5 * np.arange(24)
SPIKES = [np.sort(RANDOM.uniform(0, 14, 400)) for _ in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A session of spikes and traces whose images were shown in blocks."""
    nwb = nwb_files.session()
    images = nwb_files.add_images(nwb, IMAGES)
    nwb_files.add_index_series(nwb, images, BLOCKS, ONSET_S)
    nwb_files.add_traces(nwb, RANDOM.random((30 * 16, 5)), 30.0)
    nwb_files.add_spikes(nwb, SPIKES, ["VISp"] * 3, ["good"] * 3)
    nwb_files.add_running(nwb, RANDOM.random(150), 10.0)
    return nwb_files.write(nwb, tmp_path / "blocks.nwb")


def read_units(path: Path) -> Recording:
    return read(path, options={"responses": "units"})


def show(path: Path, images: np.ndarray, onset_s: np.ndarray) -> None:
    """Write other presentations."""
    with h5py.File(path, "r+") as file:
        series = file["stimulus/presentation/natural_scenes"]
        for name, values in (("data", images.astype(np.uint32)), ("timestamps", onset_s)):
            attributes = dict(series[name].attrs)
            del series[name]
            series[name] = values
            series[name].attrs.update(attributes)


def test_images_shown_in_blocks_stay_presentations_of_their_own(path: Path) -> None:
    recording = read_units(path)
    np.testing.assert_array_equal(recording.stimulus_id, BLOCKS)
    assert "natural_scenes often lists one image several times in a row, 0.5 s apart" in " ".join(recording.notes)


def test_frames_of_a_screen_become_presentations_which_pauses_divide(path: Path) -> None:
    frames = np.arange(12) / 60
    shown = (0, 1, 1, 2, 3)  # image 1 twice, with a grey screen between them that is not listed
    show(path, np.repeat(shown, 12), np.concatenate([2 * start + frames for start in range(1, 6)]))
    recording = read_units(path)
    np.testing.assert_array_equal(recording.stimulus_id, shown)
    assert "lists 60 frames of the screen, 17 ms apart" in " ".join(recording.notes)


def test_a_neuron_that_was_not_observed_has_no_rate(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["units/obs_intervals"] = np.array([[0.0, 14.0], [0.0, 5.0], [6.1, 14.0], [0.0, 20.0]])
        file["units/obs_intervals_index"] = np.array([1, 3, 4], np.uint8)
    recording = read_units(path)
    kept = (ONSET_S + 0.25 <= 5.0) | (ONSET_S >= 6.1)
    np.testing.assert_array_equal(recording.stimulus_id, BLOCKS[kept])
    notes = " ".join(recording.notes)
    assert "1 of 3 neurons were not observed in the windows of all trials, as obs_intervals says" in notes
    assert "3 of 24 trials have gaps" in notes
    with h5py.File(path, "r+") as file:
        file["units/obs_intervals_index"][...] = [1, 3, 9]
    with pytest.raises(DataError, match="obs_intervals_index must ascend up to 4"):
        read_units(path)


def test_windows_in_a_pause_of_the_frames_are_left_out(path: Path) -> None:
    times = np.arange(30 * 16) / 30
    with h5py.File(path, "r+") as file:
        series = file["processing/ophys/DfOverF/RoiResponseSeries"]
        del series["starting_time"]
        series["timestamps"] = np.where(times < 3.25, times, times + 0.9)  # nothing was recorded from 3.25 to 4.15 s
    recording = read(path, options={"responses": "RoiResponseSeries"})
    kept = (ONSET_S + 0.5 <= 3.25) | (ONSET_S >= 4.15)
    np.testing.assert_array_equal(recording.stimulus_id, BLOCKS[kept])
    assert f"{int((~kept).sum())} of 24 presentations were dropped: frames are missing in their window" in " ".join(
        recording.notes
    )


def test_of_several_series_of_one_covariate_none_is_taken(path: Path) -> None:
    assert read_units(path).covariates is not None
    with h5py.File(path, "r+") as file:
        file.copy("processing/behavior/BehavioralTimeSeries/running_speed", file["acquisition"], "speed")
    recording = read_units(path)
    assert recording.covariates is None
    assert (
        "Several series could be running_speed (processing/behavior/BehavioralTimeSeries/running_speed, acquisition/speed)"
        in " ".join(recording.notes)
    )


def write_index_series(path: Path, names: list[str], column: str | None = None) -> Path:
    """Write images under names, in no stated order, with an IndexSeries or a table that gives names."""
    nwb = nwb_files.session()
    images = np.random.default_rng(0).integers(0, 256, (len(names), 8, 9)).astype(np.uint8)
    each = [GrayscaleImage(name=name, data=image) for name, image in zip(names, images, strict=True)]
    container = Images(name="natural_scenes", description="scenes", images=each)
    nwb.add_stimulus_template(container)
    onset_s = 1 + 0.5 * np.arange(len(names))
    if column:
        nwb_files.add_table(nwb, column, names, onset_s)
    else:
        nwb_files.add_index_series(nwb, container, range(len(names)), onset_s)
    spikes = [np.sort(np.random.default_rng(i).uniform(0, 8, 80)) for i in range(3)]
    nwb_files.add_spikes(nwb, spikes, ["VISp"] * 3, ["good"] * 3)
    return nwb_files.write(nwb, path)


@pytest.mark.parametrize("names", [["mzA", "qwB", "azC", "bxD"], ["zebra_01b", "cat_01b", "dog_02b"], ["n7_2", "n1_9", "n3_4"]])
def test_images_in_no_stated_order_are_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must state the order of its images in order_of_images.*the order is in doubt"):
        read(write_index_series(tmp_path / "a.nwb", names))
    recording = read(write_index_series(tmp_path / "b.nwb", names, "image_name"))  # names need no order
    assert recording.image_names is not None
    assert recording.image_names[recording.stimulus_id].tolist() == names


def test_images_are_taken_in_the_order_that_the_file_keeps(tmp_path: Path) -> None:
    path = write_index_series(tmp_path / "a.nwb", ["mzA", "qwB", "azC", "bxD"])
    with h5py.File(path, "r+") as file:
        place = file["stimulus/templates/natural_scenes"]
        kept = file["stimulus/templates"].create_group("kept", track_order=True)
        for key, value in place.attrs.items():
            kept.attrs[key] = value
        for name in ("mzA", "qwB", "azC", "bxD"):
            place.copy(name, kept)
        series = file["stimulus/presentation/natural_scenes"]
        del series["indexed_images"], file["stimulus/templates/natural_scenes"]
        series["indexed_images"] = h5py.SoftLink("/stimulus/templates/kept")
    recording = read(path)
    assert recording.image_names is not None
    assert recording.image_names.tolist() == ["mzA", "qwB", "azC", "bxD"]
    assert "they were ordered as they were written, which the file keeps." in " ".join(recording.notes)
