"""Recordings in the schema of Stringer et al. 2018 are read from both formats of MATLAB file."""

from pathlib import Path

import numpy as np
import pytest

from dina.checks import DataError
from dina.recordings import Recording, read
from dina.recordings.formats.stringer2018 import CONDITIONS, IMAGE_FILES, stimulus_set_of
from stringer_files import Version, write_images, write_labels, write_session

N, NEURONS, GREY = 6, 5, 7
NAME = "natimg2800_M170714_MP032_2017-09-14"
ISTIM = np.r_[np.arange(1, 7), GREY, np.arange(6, 0, -1), GREY, GREY]
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 68, 270)).astype(np.uint8)
RESPONSES = np.random.default_rng(1).random((len(ISTIM), NEURONS))
SPONTANEOUS = np.random.default_rng(2).random((9, NEURONS))
POSITIONS = np.random.default_rng(3).random((NEURONS, 3)) * 500


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DINA_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stringer2018"


def write(
    folder: Path, name: str = NAME, version: Version = "5", responses: np.ndarray = RESPONSES, istim: np.ndarray = ISTIM
) -> Path:
    return write_session(folder / f"{name}.mat", responses, istim, SPONTANEOUS, POSITIONS, np.array([0, 1, 0, 0, 1]), version)


def of(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_every_part_of_a_session_arrives(version: Version, tmp_path: Path) -> None:
    path = write(tmp_path, version=version)
    write_images(tmp_path / "images_natimg2800_all.mat", IMAGES, version)
    write_labels(
        tmp_path / "stimuli_class_assignment_confident.mat", np.array([0, 1, 2, 1, 0, 2]), ["unknown", "birds", "cats"], version
    )
    recording = read(path)
    shown = ISTIM != GREY
    assert (recording.name, recording.condition, recording.image_set) == (NAME, "natural", "natimg2800")
    assert recording.animal == "MP032"
    assert (recording.deg_per_pixel, recording.mid_grey, recording.contrast_scale) == (1.0, 128.0, 64.0)
    assert recording.images.dtype == np.uint8
    np.testing.assert_array_equal(recording.images[:, 0], IMAGES)
    np.testing.assert_array_equal(recording.stimulus_id, ISTIM[shown] - 1)
    np.testing.assert_array_equal(recording.responses, RESPONSES[shown].astype(np.float32))
    np.testing.assert_array_equal(of(recording.spontaneous), SPONTANEOUS.astype(np.float32))
    np.testing.assert_allclose(of(recording.neuron_position_um), POSITIONS, rtol=1e-6)  # float32 rounding
    assert of(recording.is_red).tolist() == [False, True, False, False, True]
    assert of(recording.labels).tolist() == ["", "birds", "cats", "birds", "", "cats"]
    assert "3 of 15 presentations were the grey screen (id 7) and were dropped." in recording.notes


def test_nan_responses_become_zero_as_in_the_original_analysis(tmp_path: Path) -> None:
    responses = RESPONSES.copy()
    responses[0, :2] = np.nan
    path = write(tmp_path, responses=responses)
    write_images(tmp_path / "images_natimg2800_all.mat", IMAGES)
    recording = read(path)
    assert recording.responses[0, :2].tolist() == [0, 0]
    assert "2 NaN responses were set to 0, as in the original analysis." in recording.notes


@pytest.mark.parametrize(
    ("screens", "columns"), [("left", (0, 90)), ("centre", (90, 180)), ("right", (180, 270)), ("left_centre", (0, 180))]
)
def test_screens_are_columns_of_the_images(screens: str, columns: tuple[int, int], tmp_path: Path) -> None:
    path = write(tmp_path)
    write_images(tmp_path / "images_natimg2800_all.mat", IMAGES)
    recording = read(path, options={"screens": screens})
    np.testing.assert_array_equal(recording.images[:, 0], IMAGES[:, :, slice(*columns)])


@pytest.mark.parametrize("stimulus_set", CONDITIONS)
def test_each_stimulus_set_finds_its_own_images(stimulus_set: str, tmp_path: Path) -> None:
    name = f"{stimulus_set}_M170717_MP033_2017-08-22"
    path = write(tmp_path, name)
    write_images(tmp_path / IMAGE_FILES[stimulus_set].format(recording=name), IMAGES)
    recording = read(path)
    assert stimulus_set_of(name) == stimulus_set
    assert recording.condition == CONDITIONS[stimulus_set]
    assert recording.image_set == ("natimg2800" if stimulus_set.startswith("natimg2800") else stimulus_set)


def test_images_are_looked_for_beside_the_file_then_in_the_cache_unless_given(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "data")

    def first_pixel(recording: Recording) -> int:
        return int(recording.images[0, 0, 0, 0])

    given = write_images(tmp_path / "given.mat", np.r_[np.full((1, 68, 270), 3, np.uint8), IMAGES[1:]])
    with pytest.raises(DataError, match=r"images_natimg2800_all.mat is neither beside it nor in the cache.*dina fetch"):
        read(path)
    write_images(cache / "images_natimg2800_all.mat", np.r_[np.full((1, 68, 270), 1, np.uint8), IMAGES[1:]])
    assert first_pixel(read(path)) == 1
    write_images(path.parent / "images_natimg2800_all.mat", np.r_[np.full((1, 68, 270), 2, np.uint8), IMAGES[1:]])
    assert first_pixel(read(path)) == 2
    assert first_pixel(read(path, images=given)) == 3
    assert first_pixel(read(path, images=cache)) == 1
    with pytest.raises(DataError, match="images must be a file, or a folder that holds"):
        read(path, images=tmp_path / "nowhere")


def test_a_fetched_recording_is_read_by_its_name_and_checked(cache: Path) -> None:
    path = write(cache)
    write_images(cache / "images_natimg2800_all.mat", IMAGES)
    assert read(NAME).name == NAME
    path.with_name(path.name + ".sha256").write_text("0" * 64 + f"  {path.name}\n")
    with pytest.raises(DataError, match=r"SHA-256 expected 000000000000…, got .* remove it and run 'dina fetch"):
        read(NAME)


def test_contradictions_are_named(tmp_path: Path) -> None:
    images = tmp_path / "images_natimg2800_all.mat"
    path = write(tmp_path)
    write_images(images, IMAGES[:4])
    with pytest.raises(DataError, match=r"must be 1 to 4 for 4 images, or 5 for the grey screen; got 6 at presentation 5"):
        read(path)
    write_images(images, IMAGES)
    with pytest.raises(DataError, match=r"stim.istim is 1-based; got 0"):
        read(write(tmp_path, istim=ISTIM - 1))
    with pytest.raises(DataError, match=r"stim.resp has 15 rows and stim.istim 14 entries"):
        read(write(tmp_path, istim=ISTIM[:-1]))
    with pytest.raises(DataError, match="no trials left; all 15 presentations are the grey screen"):
        read(write(tmp_path, istim=np.full(15, GREY)))
    with pytest.raises(
        DataError,
        match=r"session1.mat is read as .* must be named <stimulus set>_<mouse>_<date>.mat.*If it is a .mat of your own",
    ):
        read(write(tmp_path, "session1"))
    write_labels(tmp_path / "stimuli_class_assignment_confident.mat", np.zeros(4), ["unknown"])
    with pytest.raises(DataError, match="must name a class for each of 6 images; it holds 4"):
        read(write(tmp_path))


def test_images_on_another_axis_or_scale_are_refused(tmp_path: Path) -> None:
    path, file = write(tmp_path), tmp_path / "images_natimg2800_all.mat"
    write_images(file, np.moveaxis(IMAGES, 0, -1))
    with pytest.raises(DataError, match=r"imgs must be \(68, 270, number of images\), image number last"):
        read(path)
    write_images(file, IMAGES / 255)
    with pytest.raises(DataError, match="imgs must be 0 to 255 with grey at 128; got 0 to 1"):
        read(path)


def test_images_stored_as_floats_keep_what_eight_bits_cannot_hold(tmp_path: Path) -> None:
    path, file = write(tmp_path), tmp_path / "images_natimg2800_all.mat"
    write_images(file, IMAGES.astype(np.float64))
    assert read(path).images.dtype == np.uint8
    write_images(file, IMAGES + 0.5)
    fractional = read(path).images
    assert fractional.dtype == np.float32
    np.testing.assert_array_equal(fractional[:, 0], IMAGES + 0.5)
