"""NWB files as pynwb writes them come in: images, presentations, traces of regions of interest and spikes."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import nwb_files
from dina.checks import DataError
from dina.recordings import read

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (12, 8, 9)).astype(np.uint8)
SHOWN = np.tile(np.arange(12), 2)
ONSET_S = 1 + 0.5 * np.arange(24)
TRACES = RANDOM.random((30 * 16, 5))
SPEED = RANDOM.random(150)
SPIKES = [np.sort(RANDOM.uniform(0, 14, 400)) for _ in range(4)]


@pytest.fixture(scope="module")
def imaging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imaging session in the schema of Allen Visual Coding on DANDI, its images in no stated order."""
    nwb = nwb_files.session()
    images = nwb_files.add_images(nwb, IMAGES, is_ordered=False)
    nwb_files.add_index_series(nwb, images, SHOWN, ONSET_S)
    nwb_files.add_traces(nwb, TRACES, 30.0)
    return nwb_files.write(nwb, tmp_path_factory.mktemp("nwb") / "imaging.nwb")


@pytest.fixture(scope="module")
def spiking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of sorted spikes with a table of presentations that shows grey first, as frame -1."""
    nwb = nwb_files.session("Macaca mulatta")
    nwb_files.add_stack(nwb, IMAGES)
    nwb_files.add_table(nwb, "frame", [-1.0, *SHOWN.astype(float)], np.r_[0.5, ONSET_S])
    nwb_files.add_spikes(nwb, SPIKES, ["VISp", "VISp", "VISl", "VISp"], ["good", "noise", "good", "good"])
    nwb_files.add_running(nwb, SPEED, 10.0)
    return nwb_files.write(nwb, tmp_path_factory.mktemp("nwb") / "spiking.nwb")


@pytest.fixture
def broken(imaging: Path, tmp_path: Path) -> Path:
    """A copy of the imaging session to break."""
    return Path(shutil.copy(imaging, tmp_path / "broken.nwb"))


def rates(spikes: list[np.ndarray], begin: float, end: float) -> np.ndarray:
    """Count spikes one by one."""
    return np.array([[sum(o + begin <= t < o + end for t in each) / (end - begin) for each in spikes] for o in ONSET_S])


def test_traces_are_averaged_in_the_window_after_each_onset(imaging: Path) -> None:
    recording = read(imaging)
    np.testing.assert_array_equal(recording.images[:, 0], IMAGES)
    np.testing.assert_array_equal(recording.stimulus_id, SHOWN)
    expected = np.stack([TRACES[int(30 * onset) : int(30 * onset) + 15].mean(axis=0) for onset in ONSET_S])
    np.testing.assert_allclose(recording.responses, expected, rtol=1e-6)  # float32
    facts = (recording.name, recording.animal, recording.species, recording.area, recording.indicator, recording.response_units)
    assert facts == ("imaging", "501021421", "mouse", "VISp", "GCaMP6f", "a.u.")
    assert recording.image_names is not None
    assert recording.image_names[10] == "NaturalScene10"
    notes = " ".join(recording.notes)
    assert "ordered by the numbers in their names" in notes
    assert "no window was stated" in notes


def test_spikes_become_rates_of_the_neurons_that_were_chosen(spiking: Path) -> None:
    choice = {"location": "VISp", "quality": "good"}
    recording = read(spiking, options={"where": choice, "window_s": (0.05, 0.2)})
    np.testing.assert_allclose(recording.responses, rates([SPIKES[0], SPIKES[3]], 0.05, 0.2), rtol=1e-6)
    np.testing.assert_array_equal(recording.stimulus_id, SHOWN)
    assert (recording.species, recording.area, recording.response_units) == ("macaque", "VISp", "spikes/s")
    assert recording.covariate_names is not None
    assert recording.covariate_names.tolist() == ["running_speed"]
    expected = [SPEED[int(10 * onset) + 1 : int(10 * onset) + 2].mean() for onset in ONSET_S]  # the sample in 0.05 to 0.2 s
    np.testing.assert_allclose(recording.covariates, np.array(expected)[:, None], rtol=1e-6)
    notes = " ".join(recording.notes)
    assert "2 of 4 neurons were kept, those whose location is VISp and quality is good." in notes
    assert "1 of 25 presentations show no image (blank) and were dropped." in notes


def test_behaviour_is_averaged_in_the_window_of_the_responses(spiking: Path) -> None:
    stated, usual = (read(spiking, options=options) for options in ({"window_s": (0.0, 0.25)}, {}))
    np.testing.assert_array_equal(usual.responses, stated.responses)
    np.testing.assert_array_equal(usual.covariates, stated.covariates)


def test_neurons_of_several_areas_are_told_apart_in_a_note(spiking: Path) -> None:
    recording = read(spiking)
    assert recording.n_neurons == 4
    assert recording.area is None
    assert "Neurons lie in 2 areas (VISl, VISp)" in " ".join(recording.notes)
    with pytest.raises(DataError, match="no neuron is left where location is 'V4'; it says VISl, VISp"):
        read(spiking, options={"where": {"location": "V4"}})
    with pytest.raises(DataError, match="neurons have no column 'depht' to choose by"):
        read(spiking, options={"where": {"depht": "10"}})


def test_images_beside_the_file_are_found_by_their_names(tmp_path: Path) -> None:
    nwb = nwb_files.session()
    nwb_files.add_table(nwb, "picture", [f"scene{i:02d}" for i in SHOWN], ONSET_S, name="trials_of_scenes")
    nwb_files.add_traces(nwb, TRACES, 30.0)
    nwb_files.write(nwb, tmp_path / "mouse.nwb")
    (tmp_path / "scenes").mkdir()
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / "scenes" / f"scene{number:02d}.png")
    (tmp_path / "session.toml").write_text(
        'format = "nwb"\ndata = "mouse.nwb"\nname = "monday"\narea = "V1"\n[options]\nimages = "scenes"\nimage_column = "picture"\n'
        'window_s = [0.1, 0.4]\nwhere = {depth = "upper"}\n'
    )
    recording = read(tmp_path / "session.toml")
    np.testing.assert_array_equal(recording.images[:, 0], IMAGES)
    np.testing.assert_array_equal(recording.stimulus_id, SHOWN)
    assert (recording.name, recording.image_set, recording.area, recording.n_neurons) == ("monday", "monday", "V1", 2)
    with pytest.raises(DataError, match=r"must say which image was shown when.*intervals/trials_of_scenes has .*picture"):
        read(tmp_path / "mouse.nwb")


def test_several_responses_and_stimuli_must_be_chosen_from(tmp_path: Path) -> None:
    nwb = nwb_files.session()
    images = nwb_files.add_images(nwb, IMAGES)
    nwb_files.add_index_series(nwb, images, SHOWN, ONSET_S)
    nwb_files.add_index_series(nwb, images, SHOWN[::-1], ONSET_S, name="backwards")
    nwb_files.add_traces(nwb, TRACES, 30.0)
    nwb_files.add_traces(nwb, TRACES + 1, 30.0, kind="Fluorescence")
    path = nwb_files.write(nwb, tmp_path / "two.nwb")
    with pytest.raises(
        DataError, match=r"lists presentations in backwards, natural_scenes; which to read is not clear\. Choose one with"
    ):
        read(path)
    with pytest.raises(
        DataError, match=r"lists presentations in .*; stimuli = 'sideways' is none of them\. Choose one with stimuli"
    ):
        read(path, options={"stimuli": "sideways"})
    recording = read(path, options={"stimuli": "backwards"})
    np.testing.assert_array_equal(recording.stimulus_id, SHOWN[::-1])
    assert "Responses were taken from processing/ophys/DfOverF/RoiResponseSeries" in " ".join(recording.notes)
    raw = read(path, options={"stimuli": "backwards", "responses": "Fluorescence/RoiResponseSeries"})
    np.testing.assert_allclose(raw.responses, recording.responses + 1, rtol=1e-6)
    np.testing.assert_array_equal(recording.images[:, 0], IMAGES)  # in the order that the container states
    with h5py.File(path, "r+") as file:
        file.move("stimulus/templates/natural_scenes_template/NaturalScene3", "stimulus/NaturalScene3")
    with pytest.raises(DataError, match="must hold images alone; 1 of 12 entries are none, or lie elsewhere"):
        read(path, options={"stimuli": "backwards"})
    with pytest.raises(
        DataError, match=r"holds responses in processing.*; responses = 'units' is none of them\. Say it in a \.toml"
    ):
        read(path, options={"stimuli": "backwards", "responses": "units"})


def test_numbers_that_count_from_1_are_refused_with_one_advice(tmp_path: Path) -> None:
    nwb = nwb_files.session()
    nwb_files.add_index_series(nwb, nwb_files.add_images(nwb, IMAGES), SHOWN + 1, ONSET_S)
    nwb_files.add_traces(nwb, TRACES, 30.0)
    path = nwb_files.write(nwb, tmp_path / "from_1.nwb")
    with pytest.raises(DataError, match=r"counted from 0\. They look as if .* from 1: subtract 1 from each in the file\.$"):
        read(path)


def test_images_given_in_place_of_those_in_the_file_are_named(imaging: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", 255 - IMAGES)
    recording = read(imaging, images=tmp_path / "other.npy")
    np.testing.assert_array_equal(recording.images[:, 0], 255 - IMAGES)
    (said,) = [note for note in recording.notes if "passed over" in note]
    assert said == "Images were read from other.npy, as asked; those that belong to the recording, if any, were passed over."


def test_a_link_out_of_the_file_is_not_followed(broken: Path, spiking: Path) -> None:
    with h5py.File(broken, "r+") as file:
        del file["processing/ophys/DfOverF/RoiResponseSeries/data"]
        file["processing/ophys/DfOverF/RoiResponseSeries/data"] = h5py.ExternalLink(str(spiking), "/units/spike_times")
    with pytest.raises(DataError, match="lies in another file, and links out of a file are not followed"):
        read(broken)


def test_a_name_in_place_of_a_reference_leads_nowhere(broken: Path, imaging: Path) -> None:
    with h5py.File(broken, "r+") as file:
        file["elsewhere"] = h5py.ExternalLink(str(imaging), "/processing/ophys/ImageSegmentation/regions")
        file["processing/ophys/DfOverF/RoiResponseSeries/rois"].attrs["table"] = "elsewhere"
    assert read(broken).area is None


def test_links_in_a_circle_end_in_words(broken: Path) -> None:
    with h5py.File(broken, "r+") as file:
        del file["stimulus/presentation"]
        file["stimulus/presentation"] = h5py.SoftLink("/stimulus/presentation")
    with pytest.raises(DataError, match="leads through more than 10 links"):
        read(broken)


def test_a_claim_beyond_what_the_file_holds_is_refused_before_memory_is_taken(broken: Path) -> None:
    with h5py.File(broken, "r+") as file:
        series = file["processing/ophys/DfOverF/RoiResponseSeries"]
        del series["data"]
        series.create_dataset("data", shape=(10**9, 1000), dtype="f4", chunks=(1000, 1000))
    with pytest.raises(DataError, match=r"claims 3725\.3 GiB, but the file holds 0 bytes"):
        read(broken)


def test_an_image_that_is_not_there_is_named(broken: Path) -> None:
    with h5py.File(broken, "r+") as file:
        file["stimulus/presentation/natural_scenes/data"][3] = 12
    with pytest.raises(DataError, match=r"names image 12 in row .*, but there are 12, counted from 0"):
        read(broken)


def test_version_1_and_damage_are_named(broken: Path, tmp_path: Path) -> None:
    content = broken.read_bytes()
    (tmp_path / "half.nwb").write_bytes(content[: len(content) // 2])
    (tmp_path / "page.nwb").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"half\.nwb is damaged or unfinished"):
        read(tmp_path / "half.nwb")
    with pytest.raises(DataError, match=r"page\.nwb cannot be read as NWB"):
        read(tmp_path / "page.nwb")
    with h5py.File(broken, "r+") as file:
        del file.attrs["nwb_version"]
        file["nwb_version"] = "NWB-1.0.6"
    with pytest.raises(DataError, match="must be an NWB file of version 2; it has version 1"):
        read(broken)


def test_a_description_beside_a_file_that_is_given_itself_is_said_to_be_passed_over(imaging: Path, tmp_path: Path) -> None:
    shutil.copy(imaging, tmp_path / "mouse.nwb")
    assert "recording.toml" not in " ".join(read(tmp_path / "mouse.nwb").notes)
    (tmp_path / "recording.toml").write_text('format = "nwb"\ndata = "mouse.nwb"\n')
    assert "recording.toml beside mouse.nwb was not read" in " ".join(read(tmp_path / "mouse.nwb").notes)
    assert "was not read" not in " ".join(read(tmp_path / "recording.toml").notes)
    (tmp_path / "recording.toml").rename(tmp_path / "mouse.toml")
    assert "mouse.toml beside mouse.nwb was not read" in " ".join(read(tmp_path / "mouse.nwb").notes)
